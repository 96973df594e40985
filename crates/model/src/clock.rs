//! Where time comes from, so that a test can hold it still.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ruma::{MilliSecondsSinceUnixEpoch, UInt};

/// Wall-clock time in milliseconds since the Unix epoch.
///
/// Parts take an `Arc<dyn Clock>` and never ask the system themselves.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// The same instant in the type Matrix uses on the wire.
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        // A clock beyond 2^53 ms is 285,000 years off; the wire type cannot say it.
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(self.now_ms()))
    }
}

/// The system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system"
    )]
    fn now_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| {
                u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
            })
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that shows `now_ms` until it is moved.
    #[must_use]
    pub fn at(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
