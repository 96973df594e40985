//! The storage contract, held against a database: on SQLite, or on PostgreSQL where
//! `GREENROOM_TEST_POSTGRES_URL` names a server on which databases may be created.

mod account_data;
mod accounts;
mod appends;
mod devices;
mod directory;
mod disk_full;
mod filters;
mod group_commit;
mod members;
mod migrations;
mod postgres_outage;
mod profiles;
mod query_plans;
mod receipts;
mod redaction;
mod restart;
mod rooms;
mod state;
mod support;
mod timeline;
mod uia;
