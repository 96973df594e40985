//! The kit for flow tests: a real server process, and the clients that talk to it.
//!
//! A flow test reads like a user's story and sees only HTTP:
//!
//! ```no_run
//! # async fn story() {
//! use greenroom_tests::TestServer;
//! use serde_json::json;
//!
//! let server = TestServer::start().await;
//! let alice = server.register("alice").await;
//! let room = alice.create_room(json!({"name": "Tea"})).await;
//! let event_id = alice.send_text(&room, "t1", "hello").await;
//! alice.sync_until(&room, |joined| joined.to_string().contains(&event_id)).await;
//! # }
//! ```
//!
//! Everything here fails by panicking, with what the server answered in the message.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    reason = "a test kit reports by panicking; the callers are tests"
)]

mod answer;
#[cfg(test)]
mod architecture;
mod builder;
mod client;
#[cfg(test)]
mod coverage;
mod database;
mod gateway;
mod janitor;
mod process;
mod server;
mod stored;
mod syncing;
mod wire;

pub use answer::Answer;
pub use builder::ServerBuilder;
pub use client::{Client, encode};
pub use gateway::PushGateway;
pub use server::{PASSWORD, SharedServer, TestServer, greenroom, shared_server};
pub use wire::{WireResponse, WireStream};

use std::time::Duration;

/// How long anything in a test may take before it counts as not happening.
///
/// No test waits this long when it passes; it bounds the tests that fail.
pub const DEADLINE: Duration = Duration::from_secs(30);
