use greenroom_api::Rate;

use super::*;

fn sources(
    file: Option<&str>,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> (Sources, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = file.map(|content| {
        let path = folder.path().join("greenroom.toml");
        std::fs::write(&path, content).unwrap();
        path
    });
    let sources = Sources {
        file: path,
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        flags: flags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect(),
    };
    (sources, folder)
}

fn load(file: Option<&str>, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Loaded {
    Config::load(&sources(file, env, flags).0).unwrap()
}

fn problems(file: Option<&str>, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    Config::load(&sources(file, env, flags).0)
        .unwrap_err()
        .to_string()
}

#[test]
fn with_nothing_set_it_serves_this_machine_alone_and_lets_everybody_register() {
    let config = load(None, &[], &[]).config;
    assert_eq!(config.listen, [SocketAddr::from(([127, 0, 0, 1], 8008))]);
    assert_eq!(config.registration, Registration::Open);
    assert_eq!(config.server_name, "localhost");
    assert_eq!(
        config.database_url.to_string(),
        "sqlite:./greenroom-data/greenroom.db"
    );
    let tls = config.tls.as_ref().unwrap();
    assert_eq!(
        (tls.listen.as_slice(), tls.required),
        (&[SocketAddr::from(([127, 0, 0, 1], 8448))][..], false)
    );
    assert_eq!(config.rate_limits, Some(RateLimitSettings::default()));
    assert_eq!(
        config.base_url(Some(SocketAddr::from(([127, 0, 0, 1], 1)))),
        "http://127.0.0.1:1"
    );
    assert!(
        config.presence == Presence::On
            && config.example_app
            && config.trusted_proxies.is_empty()
            && config.metrics_listen.is_none()
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file =
        "workers = 3\nlog = \"warn\"\npresence = false\nlisten = [\"127.0.0.1:1\", \"[::1]:1\"]";
    let env = [
        ("GREENROOM_WORKERS", "4"),
        ("GREENROOM_LOG", "debug"),
        ("OTHER", "x"),
    ];
    let loaded = load(Some(file), &env, &[("workers", "5")]);
    assert_eq!(
        (loaded.config.workers, loaded.config.log.as_str()),
        (5, "debug")
    );
    assert_eq!(loaded.config.listen.len(), 2);
    let shown = loaded.to_string();
    for line in [
        "workers = 5  (flag --workers)",
        "log = debug  (environment variable GREENROOM_LOG)",
        "example_app = on  (default)",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert!(shown.contains("presence = off  (file "), "{shown}");
}

#[test]
fn every_problem_is_told_at_once_with_where_it_is() {
    let file = "wrokers = 1\nlog_format = \"xml\"\n[tls]\nlisten = \"nowhere\"\n[limits]\nrequest_body_bytes = -1";
    let env = [
        ("GREENROOM_SERVER_NAME", "no name"),
        ("GREENROOM_DATABASE_URL", "mysql://u:hunter2@h/d"),
    ];
    let problems = problems(
        Some(file),
        &env,
        &[
            ("workers", "0"),
            ("presence", "perhaps"),
            ("registration", "ajar"),
        ],
    );
    for expected in [
        "no setting `wrokers`, did you mean `workers`?",
        "`log_format` (file ",
        "`tls.listen` (file ",
        "`limits.request_body_bytes` (file ",
        "`server_name` (environment variable GREENROOM_SERVER_NAME)",
        "`database_url` (environment variable GREENROOM_DATABASE_URL)",
        "`workers` (flag --workers): must be a whole number from 1 to 512",
        "`presence` (flag --presence): must be `on`, `local` or `off`",
        "`registration` (flag --registration): must be `open`, `token` or `closed`",
    ] {
        assert!(problems.contains(expected), "{expected} in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 10, "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn b58_open_registration_where_others_can_connect_needs_consent() {
    let public = ("GREENROOM_LISTEN", "0.0.0.0:8008");
    let config = load(None, &[public], &[]).config;
    assert_eq!(config.registration, Registration::Closed);
    assert!(config.tls.is_none());
    let refused = problems(None, &[public], &[("registration", "open")]);
    for expected in [
        "0.0.0.0:8008",
        "spam",
        "i_accept_spam_from_open_registration",
        "registration-token create",
    ] {
        assert!(refused.contains(expected), "{refused}");
    }
    let consent = ("i_accept_spam_from_open_registration", "on");
    assert_eq!(
        load(None, &[public], &[("registration", "open"), consent])
            .config
            .registration,
        Registration::Open
    );
    assert_eq!(
        load(None, &[public], &[("registration", "token")])
            .config
            .registration,
        Registration::Token
    );
    // One public address is enough, and a TLS one counts.
    problems(
        None,
        &[("GREENROOM_LISTEN", "127.0.0.1:8008,[::]:8008")],
        &[("registration", "open")],
    );
    problems(
        None,
        &[("GREENROOM_TLS_LISTEN", "0.0.0.0:8448")],
        &[("registration", "open")],
    );
    assert_eq!(
        load(None, &[("GREENROOM_TLS_LISTEN", "0.0.0.0:8448")], &[])
            .config
            .registration,
        Registration::Closed
    );
}

#[test]
fn registration_left_open_behind_a_proxy_is_a_warning() {
    for setting in ["trusted_proxies", "public_base_url"] {
        let value = if setting == "trusted_proxies" {
            "127.0.0.1"
        } else {
            "https://matrix.example.org"
        };
        let loaded = load(None, &[], &[(setting, value)]);
        assert_eq!(loaded.config.registration, Registration::Open);
        let warnings = loaded.warnings.join("\n");
        assert!(warnings.contains("anybody can register"), "{warnings}");
        assert!(warnings.contains(setting), "{warnings}");
        let told = load(None, &[], &[(setting, value), ("registration", "open")]);
        assert!(told.warnings.is_empty(), "{:?}", told.warnings);
    }
    let elsewhere = [("listen", "0.0.0.0:8008"), ("trusted_proxies", "127.0.0.1")];
    let warnings = load(None, &[], &elsewhere).warnings.join("\n");
    assert!(!warnings.contains("anybody can register"), "{warnings}");
}

#[test]
fn a_plain_value_where_a_table_belongs_is_told_what_is_in_the_table() {
    let text = problems(Some("tls = \"off\"\n"), &[], &[]);
    assert!(
        text.contains("no setting `tls`, it is a table with `tls.listen`"),
        "{text}"
    );
    let text = problems(Some("[rate_limits.login]\naccount = 5\n"), &[], &[]);
    assert!(text.contains("`rate_limits.login.account.burst`"), "{text}");
}

#[test]
fn tls_can_be_switched_off_and_is_required_where_it_is_asked_for() {
    assert!(
        load(None, &[], &[("tls.listen", "off")])
            .config
            .tls
            .is_none()
    );
    let tls = load(None, &[], &[("tls.listen", "127.0.0.1:0")])
        .config
        .tls
        .unwrap();
    assert!(tls.required && tls.files.is_none());
    assert!(problems(None, &[], &[("tls.certificate", "a.pem")]).contains("needs `tls.key` too"));
    let both = [
        ("tls.certificate", "/absent/a.pem"),
        ("tls.key", "/absent/b.pem"),
    ];
    assert_eq!(
        problems(None, &[], &both)
            .matches("there is no file")
            .count(),
        2
    );
}

#[test]
fn rates_can_be_set_one_by_one_and_switched_off_as_a_whole() {
    let file = "[rate_limits.login.account]\nper_second = 0.5\n[rate_limits.messages]\naddress = { burst = 7 }";
    let limits = load(
        Some(file),
        &[("GREENROOM_RATE_LIMITS_JOINS_ADDRESS_BURST", "9")],
        &[],
    )
    .config
    .rate_limits
    .unwrap();
    let default = RateLimitSettings::default();
    assert_eq!(
        limits.login.per_account,
        Rate {
            refill: Duration::from_secs(2),
            ..default.login.per_account
        }
    );
    assert_eq!(
        (
            limits.messages.per_address.burst.get(),
            limits.joins.per_address.burst.get()
        ),
        (7, 9)
    );
    assert!(
        load(Some("rate_limits = \"off\""), &[], &[])
            .config
            .rate_limits
            .is_none()
    );
    assert!(
        load(Some("rate_limits = false"), &[], &[])
            .config
            .rate_limits
            .is_none()
    );
    assert!(
        load(None, &[("GREENROOM_RATE_LIMITS", "off")], &[])
            .config
            .rate_limits
            .is_none()
    );
    assert!(
        problems(
            Some("[rate_limits.login.account]\nper_second = 0\nburst = 1.5"),
            &[],
            &[]
        )
        .lines()
        .count()
            == 3
    );
}

#[test]
fn a_variable_that_is_no_setting_is_a_warning_for_kubernetes_sets_some() {
    let env = [
        ("GREENROOM_PORT", "tcp://10.0.0.1:80"),
        ("GREENROOM_LISTNE", "x"),
        ("GREENROOM_TEST_POSTGRES_URL", "x"),
        ("GREENROOM_CONFIG", "x"),
    ];
    let warnings = load(None, &env, &[]).warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[1].contains("did you mean GREENROOM_LISTEN?"),
        "{warnings:?}"
    );
}

#[test]
fn a_file_that_was_named_must_exist_and_be_toml() {
    let missing = Sources {
        file: Some("/absent/greenroom.toml".into()),
        ..Sources::default()
    };
    assert!(
        Config::load(&missing)
            .unwrap_err()
            .to_string()
            .contains("does not exist")
    );
    assert!(problems(Some("listen = ["), &[], &[]).contains("greenroom.toml"));
    assert!(problems(Some("[listen]\nx = 1"), &[], &[]).contains("`listen.x`"));
}

#[test]
fn proxies_are_addresses_and_networks() {
    let loaded = load(
        Some("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]"),
        &[],
        &[],
    );
    assert_eq!(loaded.config.trusted_proxies.len(), 2);
    assert!(
        loaded
            .to_string()
            .contains("trusted_proxies = 10.0.0.0/8, ::1  (file ")
    );
    assert!(
        problems(None, &[], &[("trusted_proxies", "10.0.0.0/8,proxy")])
            .contains("`proxy` is not an IP address")
    );
}

#[test]
fn networks_that_may_be_reached_are_addresses_and_networks() {
    let loaded = load(
        Some("[outbound]\nallow = [\"10.0.0.0/8\", \"::1\"]"),
        &[],
        &[],
    );
    assert_eq!(loaded.config.outbound.allow.len(), 2);
    assert!(
        loaded
            .to_string()
            .contains("outbound.allow = 10.0.0.0/8, ::1  (file ")
    );
    let wrong = [
        ("GREENROOM_OUTBOUND_ALLOW", "10.0.0.0/33,gateway"),
        ("GREENROOM_OUTBOUND_CERTIFICATES", "/absent/a.pem"),
    ];
    let problems = problems(None, &wrong, &[]);
    for expected in [
        "`10.0.0.0/33` is not an IP address or a range like 10.0.0.0/8",
        "`gateway` is not an IP address",
        "`outbound.certificates` (environment variable GREENROOM_OUTBOUND_CERTIFICATES): there is no file /absent/a.pem",
    ] {
        assert!(problems.contains(expected), "{expected} in\n{problems}");
    }
}

#[test]
fn no_secret_is_shown() {
    let loaded = load(
        None,
        &[(
            "GREENROOM_DATABASE_URL",
            "postgres://u:hunter2@h/d?password=hunter2",
        )],
        &[],
    );
    assert!(
        !loaded.to_string().contains("hunter2") && !format!("{loaded:?}").contains("hunter2"),
        "{loaded:?}"
    );
}

#[test]
fn the_base_url_is_the_configured_one_or_the_server_name() {
    let bound = Some(SocketAddr::from(([0, 0, 0, 0], 8008)));
    let named = load(None, &[], &[("server_name", "example.org:8448")]).config;
    assert_eq!(named.base_url(bound), "https://example.org");
    let configured = load(
        None,
        &[],
        &[("public_base_url", "https://matrix.example.org/")],
    )
    .config;
    assert_eq!(configured.base_url(bound), "https://matrix.example.org");
    for wrong in ["matrix.example.org", "https://", "https://a b", "ftp://a"] {
        problems(None, &[], &[("public_base_url", wrong)]);
    }
}

#[test]
fn every_setting_is_shown_with_a_value() {
    let loaded = load(None, &[], &[]);
    let shown = loaded.to_string();
    for setting in settings::SETTINGS {
        assert!(
            shown.contains(&format!("{} = ", setting.key)),
            "{}",
            setting.key
        );
    }
    assert!(
        shown.contains("rate_limits.messages.account.per_second = 10  (default)"),
        "{shown}"
    );
}
