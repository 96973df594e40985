//! The storage contract on diesel, for SQLite and PostgreSQL from one query source.
//!
//! [`Db`] is the way in: [`Db::open`] runs the migrations, starts the one writer with its group
//! commit and the pool of readers, and the result implements every trait of `greenroom-storage`.

mod account_data;
mod accounts;
mod append;
mod connection;
mod db;
mod devices;
mod directory;
mod event_times;
mod filters;
mod members;
mod migrate;
mod presence;
mod profiles;
mod pushers;
mod readers;
mod receipts;
mod relations;
mod reports;
mod rooms;
mod rows;
mod schema;
mod search;
mod sliding;
mod spaces;
mod state;
mod summary;
mod text;
mod timeline;
mod uia;
mod unread;
mod upgrades;
mod user_directory;
mod writer;

pub use connection::DatabaseUrl;
pub use db::{Db, DbOptions};
