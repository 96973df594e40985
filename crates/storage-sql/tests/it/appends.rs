//! Appends one by one: what is stored, what conflicts, what is built on what failed.

use greenroom_storage::{RoomStore, StorageError, TimelineStore};
use greenroom_stream::ChangeKind;
use ruma::events::room::member::MembershipState;
use serde_json::json;

use crate::support::{Room, TestDb, user};

#[tokio::test]
async fn an_event_reads_as_it_was_appended() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut append = room.message_with(&alice, "txn \0 1");
    append.event_type = "odd\0type \u{10FFFF}".to_owned();
    append.json = br#"{"content":{"body":"a \u0000 b"}}"#.as_slice().into();
    let position = db.append(append.clone()).await.unwrap().position;
    let stored = db.event(&append.event_id).await.unwrap().unwrap();
    assert_eq!(stored.position, position);
    assert_eq!(stored.event_id, append.event_id);
    assert_eq!(stored.room_id, room.id);
    assert_eq!(stored.event_type, append.event_type);
    assert_eq!(stored.state_key, None);
    assert_eq!(stored.sender, alice);
    assert_eq!(stored.origin_server_ts, append.origin_server_ts);
    assert_eq!(stored.json, append.json);
    assert_eq!(stored.redacted_by, None);
    assert_eq!(stored.replaces_state, None);
    assert_eq!(
        stored.transaction,
        Some(("PHONE".into(), "txn \0 1".into()))
    );
    let change = db.watcher.take().pop().unwrap();
    assert_eq!(change.position, position);
    let ChangeKind::Event { event, membership } = change.kind else {
        panic!("not an event");
    };
    // What is announced is what is stored.
    assert_eq!(*event, stored);
    assert_eq!(membership, None);
}

#[tokio::test]
async fn a_member_event_announces_what_it_did() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut room = Room::created(&db, "room", &alice).await;
    room.set_member(&db, &alice, &bob, MembershipState::Invite)
        .await;
    db.watcher.take();
    let join = room.join(&bob);
    db.append(join.clone()).await.unwrap();
    let change = db.watcher.take().pop().unwrap();
    let ChangeKind::Event {
        membership: Some(membership),
        event,
    } = change.kind
    else {
        panic!("no membership");
    };
    assert_eq!(membership.user_id, bob);
    assert_eq!(membership.event_id, join.event_id);
    assert_eq!(membership.previous, Some(MembershipState::Invite));
    assert_eq!(membership.membership, MembershipState::Join);
    assert_eq!(event.replaces_state, join.replaces_state);
    assert!(event.replaces_state.is_some());
}

#[tokio::test]
async fn a_transaction_makes_one_event_and_tells_which() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let first = room.message_with(&alice, "1");
    let key = first.transaction.clone().unwrap().0;
    db.append(first.clone()).await.unwrap();
    let retry = room.message_with(&alice, "1");
    let outcome = db.append(retry.clone()).await;
    assert!(matches!(outcome, Err(StorageError::Conflict)));
    assert_eq!(db.event(&retry.event_id).await.unwrap(), None);
    assert_eq!(
        db.event_of_transaction(key).await.unwrap(),
        Some(first.event_id)
    );

    // What was built on the failed one is refused, until the room is loaded again.
    let built_on_it = room.message(&alice, "orphan");
    let outcome = db.append(built_on_it.clone()).await;
    assert!(matches!(outcome, Err(StorageError::StaleHead)));
    assert_eq!(db.event(&built_on_it.event_id).await.unwrap(), None);
    room.reload();
    room.say(&db, &alice, "loaded again").await;

    // The same transaction ID in another room is another act.
    let mut other = Room::created(&db, "other", &alice).await;
    db.append(other.message_with(&alice, "1")).await.unwrap();
}

#[tokio::test]
async fn an_event_id_is_stored_once() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let append = room.message(&alice, "one");
    db.append(append.clone()).await.unwrap();
    let mut twin = room.message(&alice, "two");
    twin.event_id = append.event_id.clone();
    let outcome = db.append(twin).await;
    assert!(matches!(outcome, Err(StorageError::Conflict)));
    let stored = db.event(&append.event_id).await.unwrap().unwrap();
    assert_eq!(stored.json, append.json);
}

#[tokio::test]
async fn a_state_event_that_fails_changes_no_state() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    room.set(&db, &alice, "m.room.name", json!({ "name": "kept" }))
        .await;
    let first = room.message_with(&alice, "1");
    db.append(first.clone()).await.unwrap();
    let mut renamed = room.event(&alice, "m.room.name", Some(""), json!({ "name": "lost" }));
    renamed.transaction = first.transaction;
    let outcome = db.append(renamed).await;
    assert!(matches!(outcome, Err(StorageError::Conflict)));
    let place = ("m.room.name".to_owned(), String::new());
    let current = db.current_state(&room.id, vec![place]).await.unwrap();
    assert_eq!(current.len(), 1);
    assert!(String::from_utf8_lossy(&current[0].json).contains("kept"));
}

#[tokio::test]
async fn settle_returns_after_what_was_queued_before() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let append = room.message(&alice, "queued");
    // Never polled: it has its place in the queue all the same.
    let committed = db.append(append.clone());
    db.settle().await.unwrap();
    assert!(db.event(&append.event_id).await.unwrap().is_some());
    assert!(committed.await.is_ok());
}
