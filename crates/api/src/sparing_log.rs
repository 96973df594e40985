//! Log lines that whoever asks can cause: as many as an operator reads, however often somebody asks.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

/// How long one more line waits when as many as may come at once are written.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets a few lines of one kind through, and then one every ten seconds.
pub(crate) struct SparingLog<C: Clock = DefaultClock> {
    gate: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    unwritten: AtomicU64,
}

impl SparingLog {
    /// A kind of line of which `burst` may come at once.
    pub(crate) fn new(burst: NonZeroU32) -> Self {
        Self::with_clock(burst, DefaultClock::default())
    }
}

impl<C: Clock> SparingLog<C> {
    fn with_clock(burst: NonZeroU32, clock: C) -> Self {
        // A period is refused only if it is zero.
        let quota = Quota::with_period(INTERVAL)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            gate: RateLimiter::direct_with_clock(quota, clock),
            unwritten: AtomicU64::new(0),
        }
    }

    /// Has `line` written if it is time, and told how many were not written before it.
    pub(crate) fn write(&self, line: impl FnOnce(u64)) {
        if self.gate.check().is_ok() {
            line(self.unwritten.swap(0, Ordering::Relaxed));
        } else {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_that_say_how_long_it_is() {
        let clock = FakeRelativeClock::default();
        let log = SparingLog::with_clock(NonZeroU32::MIN.saturating_add(1), clock.clone());
        let mut lines = Vec::new();
        for _ in 0..100 {
            log.write(|unwritten| lines.push(unwritten));
        }
        assert_eq!(lines, [0, 0]);
        clock.advance(INTERVAL);
        for _ in 0..100 {
            log.write(|unwritten| lines.push(unwritten));
        }
        assert_eq!(lines, [0, 0, 98]);
        clock.advance(INTERVAL);
        log.write(|unwritten| lines.push(unwritten));
        assert_eq!(lines, [0, 0, 98, 99]);
    }
}
