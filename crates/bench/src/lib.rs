//! A load generator for Matrix homeservers that verifies what it counts.
//!
//! It speaks the standard client-server API over plain HTTP/1.1, so any
//! homeserver can be measured by its URL. It shares the machine with the
//! server it measures and is therefore lean: one thread, one connection per
//! simulated client, no more JSON than the scenario needs.
//!
//! A scenario (in [`scenario`]) sets up its accounts and rooms, measures one
//! phase, and then reads everything back: an event that was acknowledged and
//! is not found exactly once fails the run.

#![allow(
    clippy::cast_precision_loss,
    reason = "counts, KiB and nanoseconds become figures for people, far below 2^53"
)]

pub mod commit;
pub mod database;
pub mod error;
pub mod http;
pub mod latency;
pub mod limits;
pub mod machine;
pub mod matrix;
pub mod measure;
pub mod options;
pub mod outcome;
pub mod parallel;
pub mod process;
pub mod report;
pub mod scenario;
pub mod verify;
