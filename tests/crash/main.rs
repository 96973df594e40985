//! The crash test: nothing acknowledged is ever lost, doubled or reordered.
//!
//! A swarm of clients writes messages, state, joins and leaves, account data and receipts. Each
//! act is journaled, and the journal fsynced, before the server hears of it and again when the
//! server has acknowledged it. Meanwhile the server is killed, its database is stopped, or its
//! disk is full. Whoever got no answer asks again with the same transaction id. In the end the
//! journal is compared with everything that a client can read.
//!
//! `GREENROOM_CRASH_KILLS` is how many times the server is killed, as in
//! `GREENROOM_CRASH_KILLS=200 tests/run crash`; `GREENROOM_CRASH_SEED` repeats the choices of a
//! run, whose seed is printed. What the machine does between two choices is not repeated.
//! `GREENROOM_CRASH_OUTAGES` is how many times PostgreSQL is stopped and `GREENROOM_CRASH_FILLS` how
//! many times the disk is filled; `GREENROOM_CRASH_NO_MOUNT=1` is for where no disk can be mounted.
//!
//! A killed process leaves its written pages to the system. That what was acknowledged is also on
//! the disk, should the power fail, is for the settings of the database and not tested here.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test reports by panicking and printing"
)]

mod act;
mod creations;
mod disk;
mod findings;
mod journal;
mod kills;
mod outage;
mod proof;
mod random;
mod reading;
mod swarm;
mod watcher;
mod world;
mod writer;

use tokio::sync::{Mutex, MutexGuard};

/// The tests of this binary run one at a time: one of them stops the PostgreSQL of all.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Says something that is shown even if the test passes: what was done, and how it can be repeated.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        // Past the capture of the test harness.
        let _ = writeln!(std::io::stderr(), "crash: {}", format_args!($($words)*));
    }};
}

/// How many times to do something, by the environment.
pub fn times(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")),
        Err(_) => default,
    }
}
