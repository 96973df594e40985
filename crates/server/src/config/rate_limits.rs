//! How often somebody may do something: the settings for what [`greenroom_api`] enforces.

use std::{num::NonZeroU32, time::Duration};

use greenroom_api::{Limits, Rate, RateLimitSettings};

use super::reader::Reader;

/// Reads `rate_limits`: `None` where they are off.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<RateLimitSettings> {
    let enabled = reader.switch("rate_limits.enabled", true);
    let default = RateLimitSettings::default();
    let limits = RateLimitSettings {
        login: read_limits(reader, "login", default.login),
        registration: read_limits(reader, "registration", default.registration),
        messages: read_limits(reader, "messages", default.messages),
        joins: read_limits(reader, "joins", default.joins),
        updates: read_limits(reader, "updates", default.updates),
        lookups: read_limits(reader, "lookups", default.lookups),
        reports: read_limits(reader, "reports", default.reports),
    };
    enabled.then_some(limits)
}

fn read_limits(reader: &mut Reader<'_>, kind: &str, default: Limits) -> Limits {
    let mut rate = |whose: &str, default: Rate| {
        let key = format!("rate_limits.{kind}.{whose}.burst");
        let burst = reader.number(&key, default.burst.get().into(), 1..=1_000_000);
        let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new);
        // The time between two acts, which is exact, and not its inverse, is what the defaults are.
        let per_second = reader.positive(&format!("rate_limits.{kind}.{whose}.per_second"));
        Rate {
            burst: burst.unwrap_or(default.burst),
            refill: per_second.map_or(default.refill, |rate| Duration::from_secs_f64(1.0 / rate)),
        }
    };
    Limits {
        per_account: rate("account", default.per_account),
        per_address: rate("address", default.per_address),
    }
}

/// By the keys of their settings, for showing.
pub(super) fn by_key(limits: &RateLimitSettings) -> Vec<(String, String)> {
    let kinds = [
        ("login", limits.login),
        ("registration", limits.registration),
        ("messages", limits.messages),
        ("joins", limits.joins),
        ("updates", limits.updates),
        ("lookups", limits.lookups),
        ("reports", limits.reports),
    ];
    let mut values = Vec::new();
    for (kind, limits) in kinds {
        for (whose, rate) in [
            ("account", limits.per_account),
            ("address", limits.per_address),
        ] {
            let per_second = format!("{:.4}", 1.0 / rate.refill.as_secs_f64());
            let per_second = per_second
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned();
            values.push((format!("rate_limits.{kind}.{whose}.per_second"), per_second));
            values.push((
                format!("rate_limits.{kind}.{whose}.burst"),
                rate.burst.to_string(),
            ));
        }
    }
    values
}
