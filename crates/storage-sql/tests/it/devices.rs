//! Devices, and the tokens that speak for them.

use greenroom_storage::{DeviceStore, Refresh};

use crate::support::{TestDb, register, session, token, user};

/// Trades the refresh token of `from` for the pair of `to`.
async fn refresh(db: &TestDb, from: u8, to: u8) -> Refresh {
    db.refresh(
        token(from + 100),
        token(to),
        Some(60_000),
        token(to + 100),
        10_000,
    )
    .await
    .unwrap()
}

/// Whether the access token of a pair is known.
async fn lives(db: &TestDb, pair: u8) -> bool {
    db.session(token(pair)).await.unwrap().is_some()
}

async fn db_with_session() -> TestDb {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    assert!(db.create_session(&alice, session("A", 1)).await.unwrap());
    db.watcher.take();
    db
}

#[tokio::test]
async fn a_session_reads_as_it_was_created() {
    let db = db_with_session().await;
    let stored = db.session(token(1)).await.unwrap().unwrap();
    assert_eq!(stored.user_id, user("alice"));
    assert_eq!(stored.device_id, "A");
    assert_eq!(stored.access_expires_ts_ms, Some(50_000));
    assert!(!stored.admin);
    // A refresh token is not an access token.
    assert!(!lives(&db, 101).await);
    let devices = db.devices(&user("alice")).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].display_name.as_deref(), Some("A's name"));
    assert_eq!(devices[0].created_ts_ms, 2_000);
}

#[tokio::test]
async fn nobody_logs_in_without_an_account() {
    let db = TestDb::new();
    let nobody = db.create_session(&user("nobody"), session("A", 1)).await;
    assert!(!nobody.unwrap());
    assert!(!lives(&db, 1).await);
}

#[tokio::test]
async fn a_login_on_a_known_device_keeps_it_and_ends_its_tokens() {
    let db = db_with_session().await;
    let alice = user("alice");
    db.create_session(&alice, session("B", 3)).await.unwrap();
    let mut again = session("A", 2);
    again.display_name = Some("another name".to_owned());
    assert!(db.create_session(&alice, again).await.unwrap());
    assert!(!lives(&db, 1).await);
    assert!(lives(&db, 2).await && lives(&db, 3).await);
    assert_eq!(refresh(&db, 1, 9).await, Refresh::Unknown);
    let devices = db.devices(&alice).await.unwrap();
    assert_eq!(devices[0].display_name.as_deref(), Some("A's name"));
    assert_eq!(
        db.watcher.take_words(),
        ["sessions of @alice:test.example on A"]
    );
}

#[tokio::test]
async fn a_refresh_ends_the_old_access_token_and_says_so() {
    let db = db_with_session().await;
    let Refresh::Done(new) = refresh(&db, 1, 2).await else {
        panic!("refused");
    };
    assert_eq!(new.device_id, "A");
    assert_eq!(new.access_expires_ts_ms, Some(60_000));
    assert!(!lives(&db, 1).await);
    assert!(lives(&db, 2).await);
    assert_eq!(
        db.watcher.take_words(),
        ["sessions of @alice:test.example on A"]
    );
    assert_eq!(refresh(&db, 77, 3).await, Refresh::Unknown);
}

#[tokio::test]
async fn a_client_that_lost_the_answer_refreshes_again() {
    let db = db_with_session().await;
    refresh(&db, 1, 2).await;
    assert!(matches!(refresh(&db, 1, 3).await, Refresh::Done(_)));
    // Of the pair that was lost nothing works.
    assert!(!lives(&db, 2).await);
    assert_eq!(refresh(&db, 2, 9).await, Refresh::Unknown);
    assert!(lives(&db, 3).await);
    assert!(matches!(refresh(&db, 3, 4).await, Refresh::Done(_)));
}

#[tokio::test]
async fn b54_a_refresh_token_used_after_its_new_access_token_kills_the_pair() {
    let db = db_with_session().await;
    refresh(&db, 1, 2).await;
    db.confirm_refresh(token(2)).await.unwrap();
    db.watcher.take();
    assert_eq!(refresh(&db, 1, 3).await, Refresh::Reused);
    assert!(!lives(&db, 2).await && !lives(&db, 3).await);
    assert_eq!(refresh(&db, 2, 4).await, Refresh::Unknown);
    assert_eq!(
        db.watcher.take_words(),
        ["sessions of @alice:test.example on A"]
    );
    // The device stays: its owner logs in again on it.
    assert_eq!(db.devices(&user("alice")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn b54_a_refresh_token_used_after_its_new_refresh_token_kills_the_pair() {
    let db = db_with_session().await;
    refresh(&db, 1, 2).await;
    // The new refresh token is used, though its access token never was.
    assert!(matches!(refresh(&db, 2, 3).await, Refresh::Done(_)));
    assert_eq!(refresh(&db, 1, 4).await, Refresh::Reused);
    assert!(!lives(&db, 3).await && !lives(&db, 4).await);
    assert_eq!(refresh(&db, 3, 5).await, Refresh::Unknown);
}

#[tokio::test]
async fn a_refresh_token_of_long_ago_is_still_recognized() {
    let db = db_with_session().await;
    for pair in 1..6 {
        assert!(matches!(
            refresh(&db, pair, pair + 1).await,
            Refresh::Done(_)
        ));
        db.confirm_refresh(token(pair + 1)).await.unwrap();
    }
    assert_eq!(refresh(&db, 2, 9).await, Refresh::Reused);
    assert!(!lives(&db, 6).await);
}

#[tokio::test]
async fn a_used_refresh_token_is_forgotten_after_two_months() {
    let db = db_with_session().await;
    refresh(&db, 1, 2).await;
    db.confirm_refresh(token(2)).await.unwrap();
    let later = 10_000 + 61 * 24 * 3_600_000;
    let outcome = db.refresh(token(102), token(3), None, token(103), later);
    assert!(matches!(outcome.await.unwrap(), Refresh::Done(_)));
    assert_eq!(refresh(&db, 1, 4).await, Refresh::Unknown);
    assert!(lives(&db, 3).await);
    assert_eq!(
        refresh(&db, 2, 4).await,
        Refresh::Done(db.session(token(4)).await.unwrap().unwrap())
    );
}

#[tokio::test]
async fn confirming_what_was_never_refreshed_changes_nothing() {
    let db = db_with_session().await;
    let before = db.watcher.position();
    db.confirm_refresh(token(1)).await.unwrap();
    db.confirm_refresh(token(77)).await.unwrap();
    assert!(lives(&db, 1).await);
    assert!(matches!(refresh(&db, 1, 2).await, Refresh::Done(_)));
    assert!(db.watcher.position() > before);
}

#[tokio::test]
async fn another_devices_tokens_survive_a_refresh_and_a_reuse() {
    let db = db_with_session().await;
    let alice = user("alice");
    db.create_session(&alice, session("B", 50)).await.unwrap();
    refresh(&db, 1, 2).await;
    db.confirm_refresh(token(2)).await.unwrap();
    refresh(&db, 1, 3).await;
    assert!(lives(&db, 50).await);
    assert!(matches!(refresh(&db, 50, 51).await, Refresh::Done(_)));
}

#[tokio::test]
async fn deleted_devices_take_their_tokens_with_them() {
    let db = db_with_session().await;
    let alice = user("alice");
    db.create_session(&alice, session("B", 2)).await.unwrap();
    let bob = register(&db, "bob").await;
    db.create_session(&bob, session("A", 3)).await.unwrap();
    db.watcher.take();
    assert!(db.delete_device(&alice, "A".into()).await.unwrap());
    assert!(!db.delete_device(&alice, "A".into()).await.unwrap());
    assert!(!db.delete_device(&alice, "with a \0".into()).await.unwrap());
    assert!(!lives(&db, 1).await);
    assert!(lives(&db, 2).await && lives(&db, 3).await);
    assert_eq!(refresh(&db, 1, 9).await, Refresh::Unknown);
    db.delete_devices(&alice).await.unwrap();
    assert!(!lives(&db, 2).await);
    assert!(lives(&db, 3).await);
    assert_eq!(
        db.watcher.take_words(),
        [
            "sessions of @alice:test.example on A",
            "sessions of @alice:test.example on B"
        ]
    );
    db.delete_devices(&alice).await.unwrap();
    assert!(db.watcher.take().is_empty());
}

#[tokio::test]
async fn b07_a_device_may_have_any_name_and_any_id() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let odd = "a\0\u{10FFFF}é";
    let mut strange = session(odd, 1);
    strange.display_name = Some("\0 name".to_owned());
    assert!(db.create_session(&alice, strange).await.unwrap());
    let stored = db.session(token(1)).await.unwrap().unwrap();
    assert_eq!(stored.device_id.as_str(), odd);
    let Refresh::Done(new) = refresh(&db, 1, 2).await else {
        panic!("refused");
    };
    assert_eq!(new.device_id.as_str(), odd);
    // The same device again, not another one.
    assert!(db.create_session(&alice, session(odd, 3)).await.unwrap());
    let devices = db.devices(&alice).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].device_id.as_str(), odd);
    assert_eq!(devices[0].display_name.as_deref(), Some("\0 name"));
    assert!(db.delete_device(&alice, odd.into()).await.unwrap());
    assert!(!lives(&db, 3).await);
}
