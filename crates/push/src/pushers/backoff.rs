//! When a gateway that failed is asked again.

use std::time::Duration;

use rand::Rng;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// After many.
const LONGEST: Duration = Duration::from_hours(1);

/// How long to wait after so many failures in a row: twice as long each time, up to an hour, and
/// up to a quarter more or less, so that those who failed together do not come back together. Longer
/// if the gateway asked for it, within the same hour.
pub(super) fn wait(
    failures: u64,
    retry_after: Option<Duration>,
    random: &mut impl Rng,
) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(31);
    let plain = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let wait = plain.mul_f64(random.random_range(0.75..=1.25));
    wait.max(retry_after.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(wait: Duration, around: Duration) -> bool {
        wait >= around.mul_f64(0.74) && wait <= around.mul_f64(1.26)
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        let mut random = rand::rng();
        for (failures, expected_s) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (12, 2048),
            (13, 3600),
            (64, 3600),
            (u64::MAX, 3600),
        ] {
            let expected = Duration::from_secs(expected_s);
            let wait = wait(failures, None, &mut random);
            assert!(within(wait, expected), "{failures}: {wait:?}");
        }
    }

    #[test]
    fn a_gateway_may_ask_for_more_time_but_not_for_days() {
        let mut random = rand::rng();
        let asked = Duration::from_mins(2);
        assert_eq!(wait(1, Some(asked), &mut random), asked);
        assert!(within(
            wait(9, Some(asked), &mut random),
            Duration::from_secs(256)
        ));
        let days = Duration::from_hours(100);
        assert_eq!(wait(1, Some(days), &mut random), LONGEST);
    }
}
