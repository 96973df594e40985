//! The flow tests: one file per subject, each test a user's story that sees only HTTP.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

mod account;
mod admin;
mod auth;
mod auth_rules;
mod directory;
mod endpoints;
mod ephemeral;
mod event_by_time;
mod history;
mod identifiers;
mod membership;
mod own_data;
mod privacy;
mod push;
mod pushers;
mod races;
mod relations;
mod reports;
mod rooms;
mod search;
mod server;
mod sliding;
mod spaces;
mod sync;
mod tutorial;
mod tutorial_doc;
mod user_directory;
mod visibility;
