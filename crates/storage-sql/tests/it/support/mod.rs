//! What the tests share: a database of their own on either engine, who watches its changes, and
//! rooms to put into it.

mod database;
mod rooms;
mod watcher;

pub(crate) use database::{Place, TestDb};
pub(crate) use rooms::{Room, room_with_members};
pub(crate) use watcher::Watcher;

use greenroom_storage::{AccountStore, NewAccount, NewSession, Registration, TokenHash};
use greenroom_storage_sql::Db;
use ruma::{OwnedUserId, UserId};

/// Says that a test could not do its work here, past the harness that keeps what tests print.
pub(crate) fn skipped(why: &str) {
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("\nSKIPPED: {why}\n").as_bytes(),
    );
}

/// The server name of every test.
pub(crate) const SERVER: &str = "test.example";

/// `@NAME:test.example`.
pub(crate) fn user(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:{SERVER}")).unwrap()
}

/// A token hash that is as good as any other.
pub(crate) fn token(seed: u8) -> TokenHash {
    TokenHash([seed; 32])
}

/// An account without a password, to be registered.
pub(crate) fn account(name: &str) -> NewAccount {
    NewAccount {
        user_id: user(name),
        password_hash: Some(format!("hash of {name}")),
        admin: false,
        created_ts_ms: 1_000,
    }
}

/// Registers an account.
pub(crate) async fn register(db: &Db, name: &str) -> OwnedUserId {
    let outcome = db.register(account(name), None, None).await.unwrap();
    assert_eq!(outcome, Registration::Done);
    user(name)
}

/// A session on `device` whose tokens are made from `seed`.
pub(crate) fn session(device: &str, seed: u8) -> NewSession {
    NewSession {
        device_id: device.into(),
        display_name: Some(format!("{device}'s name")),
        access_token: token(seed),
        access_expires_ts_ms: Some(50_000),
        refresh_token: Some(token(seed + 100)),
        created_ts_ms: 2_000,
    }
}
