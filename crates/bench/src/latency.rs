//! Percentiles over every single measurement, without buckets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A summary in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// How many were measured.
    pub count: u64,
    /// The arithmetic mean.
    pub mean_ms: f64,
    /// Half were at most this.
    pub p50_ms: f64,
    /// Nine in ten were at most this.
    pub p90_ms: f64,
    /// 99 in 100 were at most this.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// Measured durations.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    /// Adds one.
    pub fn push(&mut self, duration: Duration) {
        self.0
            .push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all of another's.
    pub fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// How many have been measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing has been measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts them and reads off the percentiles. All zero if nothing was measured.
    #[must_use]
    pub fn summary(mut self) -> LatencySummary {
        self.0.sort_unstable();
        let count = self.0.len();
        if count == 0 {
            return LatencySummary::default();
        }
        let total: u128 = self.0.iter().map(|nanos| u128::from(*nanos)).sum();
        LatencySummary {
            count: count as u64,
            mean_ms: total as f64 / count as f64 / 1e6,
            p50_ms: percentile(&self.0, 500),
            p90_ms: percentile(&self.0, 900),
            p99_ms: percentile(&self.0, 990),
            max_ms: percentile(&self.0, 1_000),
        }
    }
}

/// Nearest rank: the smallest value that at least `per_mille` of them do not exceed.
///
/// `sorted` is in nanoseconds, ascending; the answer is in milliseconds.
fn percentile(sorted: &[u64], per_mille: usize) -> f64 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).or(sorted.last()).copied().unwrap_or(0) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latencies, LatencySummary, percentile};

    fn millis(values: impl IntoIterator<Item = u64>) -> LatencySummary {
        let mut latencies = Latencies::default();
        for value in values {
            latencies.push(Duration::from_millis(value));
        }
        latencies.summary()
    }

    #[test]
    fn percentiles_are_nearest_ranks_whatever_the_order() {
        let summary = millis((1..=100).rev());
        let expected = LatencySummary {
            count: 100,
            mean_ms: 50.5,
            p50_ms: 50.0,
            p90_ms: 90.0,
            p99_ms: 99.0,
            max_ms: 100.0,
        };
        assert_eq!(summary, expected);
    }

    #[test]
    fn one_measurement_is_every_percentile() {
        let summary = millis([7]);
        assert_eq!(
            (summary.p50_ms, summary.p99_ms, summary.max_ms),
            (7.0, 7.0, 7.0)
        );
    }

    #[test]
    fn an_outlier_shows_in_the_maximum_and_not_in_the_median() {
        let summary = millis(std::iter::repeat_n(1, 199).chain([1_000]));
        assert_eq!(
            (summary.p50_ms, summary.p99_ms, summary.max_ms),
            (1.0, 1.0, 1_000.0)
        );
    }

    #[test]
    fn the_99th_of_fewer_than_a_hundred_is_the_slowest() {
        let slowest = percentile(&[1_000_000, 2_000_000, 3_000_000], 990);
        assert!((slowest - 3.0).abs() < f64::EPSILON, "{slowest}");
    }

    #[test]
    fn nothing_measured_is_all_zero() {
        assert_eq!(millis([]), LatencySummary::default());
    }

    #[test]
    fn appending_keeps_every_measurement() {
        let mut one = Latencies::default();
        one.push(Duration::from_millis(1));
        let mut other = Latencies::default();
        other.push(Duration::from_millis(3));
        one.append(&mut other);
        assert_eq!((one.summary().count, other.summary().count), (2, 0));
    }
}
