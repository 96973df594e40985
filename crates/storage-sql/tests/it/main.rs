//! The storage contract, held against a database: on SQLite, or on PostgreSQL where
//! `GREENROOM_TEST_POSTGRES_URL` names a server on which databases may be created.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cloned_ref_to_slice_refs,
    reason = "a test that fails by panicking is doing its work, also in what tests share"
)]

mod account_data;
mod accounts;
mod appends;
mod devices;
mod directory;
mod disk_full;
mod event_times;
mod filters;
mod group_commit;
mod members;
mod migrations;
mod postgres_outage;
mod presence;
mod profiles;
mod pushers;
mod query_plans;
mod receipts;
mod redaction;
mod relations;
mod reports;
mod restart;
mod rooms;
mod search;
mod sliding;
mod spaces;
mod state;
mod support;
mod timeline;
mod uia;
mod unread;
mod upgrades;
mod user_directory;
