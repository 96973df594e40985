//! How often somebody may do something.

use super::reader::Reader;

/// So many at once, and then so many per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    /// Above 0.
    pub(crate) per_second: f64,
    /// At least 1.
    pub(crate) burst: u32,
}

/// The limits of one kind of act.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    /// For one account: the one that acts, or that somebody tries to log in to or to register.
    pub(crate) account: Rate,
    /// For one address, or one /64 network where it is an IPv6 one.
    pub(crate) address: Rate,
}

/// The limits of every kind of act, where they are on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RateLimits {
    pub(crate) login: Rates,
    pub(crate) registration: Rates,
    pub(crate) messages: Rates,
    pub(crate) joins: Rates,
}

const fn rates(account: (f64, u32), address: (f64, u32)) -> Rates {
    Rates {
        account: Rate { per_second: account.0, burst: account.1 },
        address: Rate { per_second: address.0, burst: address.1 },
    }
}

impl RateLimits {
    /// Nothing a person does, alone or with a family behind one address, comes near these.
    pub(crate) const DEFAULT: Self = Self {
        // Twelve guesses a minute at one password.
        login: rates((0.2, 10), (1.0, 30)),
        registration: rates((0.2, 10), (0.2, 20)),
        messages: rates((10.0, 50), (50.0, 200)),
        joins: rates((1.0, 20), (5.0, 60)),
    };

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let enabled = reader.switch("rate_limits.enabled", true);
        let limits = Self {
            login: read_rates(reader, "login", Self::DEFAULT.login),
            registration: read_rates(reader, "registration", Self::DEFAULT.registration),
            messages: read_rates(reader, "messages", Self::DEFAULT.messages),
            joins: read_rates(reader, "joins", Self::DEFAULT.joins),
        };
        enabled.then_some(limits)
    }

    /// By the keys of their settings, for showing.
    pub(super) fn by_key(&self) -> Vec<(String, String)> {
        let kinds =
            [("login", self.login), ("registration", self.registration), ("messages", self.messages), ("joins", self.joins)];
        let mut values = Vec::new();
        for (kind, rates) in kinds {
            for (whose, rate) in [("account", rates.account), ("address", rates.address)] {
                values.push((format!("rate_limits.{kind}.{whose}.per_second"), rate.per_second.to_string()));
                values.push((format!("rate_limits.{kind}.{whose}.burst"), rate.burst.to_string()));
            }
        }
        values
    }
}

fn read_rates(reader: &mut Reader<'_>, kind: &str, default: Rates) -> Rates {
    let mut rate = |whose: &str, default: Rate| {
        let burst = reader.number(&format!("rate_limits.{kind}.{whose}.burst"), default.burst.into(), 1..=1_000_000);
        Rate {
            per_second: reader.positive(&format!("rate_limits.{kind}.{whose}.per_second"), default.per_second),
            burst: u32::try_from(burst).unwrap_or(default.burst),
        }
    };
    Rates { account: rate("account", default.account), address: rate("address", default.address) }
}
