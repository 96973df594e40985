//! The list of settings: their keys in the file, their environment variables, and whether they have a flag.

/// One setting. Its default is in the code that reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The key in `greenroom.toml`, with a dot where a table begins.
    pub(crate) key: &'static str,
    /// The part of the environment variable behind `GREENROOM_`.
    pub(crate) env: &'static str,
    /// Whether there is a flag, `--` and the environment variable's name in lowercase with dashes.
    pub(crate) flag: bool,
}

const fn flag(key: &'static str, env: &'static str) -> Setting {
    Setting {
        key,
        env,
        flag: true,
    }
}

const fn file(key: &'static str, env: &'static str) -> Setting {
    Setting {
        key,
        env,
        flag: false,
    }
}

/// What environment variables of ours begin with.
pub(crate) const ENV_PREFIX: &str = "GREENROOM_";

/// Variables with the prefix that are no settings: where the file is, and what tests are told.
pub(crate) const ENV_IGNORED: &[&str] = &["CONFIG", "TEST_"];

/// All of them, in the order in which they are shown.
pub(crate) const SETTINGS: &[Setting] = &[
    flag("listen", "LISTEN"),
    flag("data_dir", "DATA_DIR"),
    flag("server_name", "SERVER_NAME"),
    flag("database_url", "DATABASE_URL"),
    flag("public_base_url", "PUBLIC_BASE_URL"),
    flag("registration", "REGISTRATION"),
    flag(
        "i_accept_spam_from_open_registration",
        "I_ACCEPT_SPAM_FROM_OPEN_REGISTRATION",
    ),
    flag("tls.listen", "TLS_LISTEN"),
    flag("tls.certificate", "TLS_CERTIFICATE"),
    flag("tls.key", "TLS_KEY"),
    flag("workers", "WORKERS"),
    flag("log", "LOG"),
    flag("log_format", "LOG_FORMAT"),
    flag("metrics_listen", "METRICS_LISTEN"),
    flag("trusted_proxies", "TRUSTED_PROXIES"),
    flag("presence", "PRESENCE"),
    flag("example_app", "EXAMPLE_APP"),
    flag("shutdown_timeout_seconds", "SHUTDOWN_TIMEOUT_SECONDS"),
    file("outbound.allow", "OUTBOUND_ALLOW"),
    file("outbound.certificates", "OUTBOUND_CERTIFICATES"),
    file("limits.request_body_bytes", "LIMITS_REQUEST_BODY_BYTES"),
    file(
        "limits.parked_syncs_per_device",
        "LIMITS_PARKED_SYNCS_PER_DEVICE",
    ),
    file(
        "limits.connections_per_worker",
        "LIMITS_CONNECTIONS_PER_WORKER",
    ),
    flag("rate_limits.enabled", "RATE_LIMITS"),
    file(
        "rate_limits.login.account.per_second",
        "RATE_LIMITS_LOGIN_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.login.account.burst",
        "RATE_LIMITS_LOGIN_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.login.address.per_second",
        "RATE_LIMITS_LOGIN_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.login.address.burst",
        "RATE_LIMITS_LOGIN_ADDRESS_BURST",
    ),
    file(
        "rate_limits.registration.account.per_second",
        "RATE_LIMITS_REGISTRATION_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.registration.account.burst",
        "RATE_LIMITS_REGISTRATION_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.registration.address.per_second",
        "RATE_LIMITS_REGISTRATION_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.registration.address.burst",
        "RATE_LIMITS_REGISTRATION_ADDRESS_BURST",
    ),
    file(
        "rate_limits.messages.account.per_second",
        "RATE_LIMITS_MESSAGES_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.messages.account.burst",
        "RATE_LIMITS_MESSAGES_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.messages.address.per_second",
        "RATE_LIMITS_MESSAGES_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.messages.address.burst",
        "RATE_LIMITS_MESSAGES_ADDRESS_BURST",
    ),
    file(
        "rate_limits.joins.account.per_second",
        "RATE_LIMITS_JOINS_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.joins.account.burst",
        "RATE_LIMITS_JOINS_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.joins.address.per_second",
        "RATE_LIMITS_JOINS_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.joins.address.burst",
        "RATE_LIMITS_JOINS_ADDRESS_BURST",
    ),
    file(
        "rate_limits.updates.account.per_second",
        "RATE_LIMITS_UPDATES_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.updates.account.burst",
        "RATE_LIMITS_UPDATES_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.updates.address.per_second",
        "RATE_LIMITS_UPDATES_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.updates.address.burst",
        "RATE_LIMITS_UPDATES_ADDRESS_BURST",
    ),
    file(
        "rate_limits.lookups.account.per_second",
        "RATE_LIMITS_LOOKUPS_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.lookups.account.burst",
        "RATE_LIMITS_LOOKUPS_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.lookups.address.per_second",
        "RATE_LIMITS_LOOKUPS_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.lookups.address.burst",
        "RATE_LIMITS_LOOKUPS_ADDRESS_BURST",
    ),
    file(
        "rate_limits.reports.account.per_second",
        "RATE_LIMITS_REPORTS_ACCOUNT_PER_SECOND",
    ),
    file(
        "rate_limits.reports.account.burst",
        "RATE_LIMITS_REPORTS_ACCOUNT_BURST",
    ),
    file(
        "rate_limits.reports.address.per_second",
        "RATE_LIMITS_REPORTS_ADDRESS_PER_SECOND",
    ),
    file(
        "rate_limits.reports.address.burst",
        "RATE_LIMITS_REPORTS_ADDRESS_BURST",
    ),
];

impl Setting {
    /// The setting with this key in the file.
    pub(crate) fn by_key(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The setting of this variable, whose name is given without `GREENROOM_`.
    pub(crate) fn by_env(env: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.env == env)
    }

    /// `--listen` for `listen`, if there is such a flag.
    pub(crate) fn flag_name(&self) -> Option<String> {
        self.flag
            .then(|| format!("--{}", self.env.to_ascii_lowercase().replace('_', "-")))
    }
}

/// The known name that somebody may have meant by `unknown`: the nearest, if it is near.
pub(crate) fn did_you_mean<'a>(
    unknown: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = 1 + unknown.chars().count() / 4;
    known
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, name)| name)
}

/// How many characters must be inserted, left out or exchanged for one to become the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, a) in one.chars().enumerate() {
        let mut left = above + 1;
        let mut diagonal = above;
        for (slot, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let here = if a == b {
                diagonal
            } else {
                1 + diagonal.min(left).min(*slot)
            };
            diagonal = std::mem::replace(slot, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_variables_are_unique() {
        for (at, one) in SETTINGS.iter().enumerate() {
            assert!(
                SETTINGS
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.key != one.key && other.env != one.env),
                "{}",
                one.key
            );
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (one, other, expected) in [
            ("", "abc", 3),
            ("listen", "listen", 0),
            ("lsiten", "listen", 2),
            ("worker", "workers", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_nonsense_is_not() {
        let known = || SETTINGS.iter().map(|setting| setting.key);
        assert_eq!(did_you_mean("lisen", known()), Some("listen"));
        assert_eq!(did_you_mean("database-url", known()), Some("database_url"));
        assert_eq!(did_you_mean("colour", known()), None);
    }
}
