//! Rooms: their creation as one act, and what an actor needs to start.

use greenroom_model::{StreamPosition, TransactionKey};
use greenroom_storage::{DirectoryStore, MemberStore, RoomStore, StorageError, TimelineStore};
use ruma::{RoomVersionId, events::room::member::MembershipState, room_alias_id, room_id};
use serde_json::json;

use crate::support::{Room, TestDb, room_with_members, user};

fn key(txn_id: &str) -> TransactionKey {
    TransactionKey::new("@alice:test.example", "PHONE", "POST createRoom", txn_id)
}

#[tokio::test]
async fn a_room_is_created_whole() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::new("hall");
    let mut creation = room.creation(&alice, json!({ "type": "m.space" }));
    creation.events.push(room.event(
        &alice,
        "m.room.name",
        Some(""),
        json!({ "name": "The \0 hall" }),
    ));
    creation.alias = Some(room_alias_id!("#hall:test.example").to_owned());
    creation.published = true;
    creation.transaction = Some(key("1"));
    let newest = creation.events[2].clone();
    let position = db.create_room(creation).await.unwrap();

    assert_eq!(db.watcher.position(), position);
    assert_eq!(
        db.watcher.take_words(),
        [
            "event m.room.create",
            "event m.room.member",
            "event m.room.name"
        ]
    );
    let head = db.room_head(&room.id).await.unwrap().unwrap();
    assert_eq!(head.version, RoomVersionId::V12);
    assert_eq!(head.depth, 3);
    assert_eq!(head.newest.event_id, newest.event_id);
    assert_eq!(head.newest.position, position);
    assert_eq!(head.newest.json, newest.json);
    assert_eq!(
        db.room_version(&room.id).await.unwrap(),
        Some(RoomVersionId::V12)
    );
    let alias = db
        .alias(room_alias_id!("#hall:test.example"))
        .await
        .unwrap();
    assert_eq!(alias, Some((room.id.clone(), alice.clone())));
    assert_eq!(db.published(&room.id).await.unwrap(), Some(true));
    assert_eq!(
        db.room_of_transaction(key("1")).await.unwrap(),
        Some(room.id.clone())
    );
    assert_eq!(db.room_of_transaction(key("2")).await.unwrap(), None);
    let counts = db.member_counts(&room.id).await.unwrap();
    assert_eq!((counts.joined, counts.invited), (1, 0));
}

#[tokio::test]
async fn a_room_that_conflicts_leaves_nothing_behind() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut first = Room::new("first").creation(&alice, json!({}));
    first.alias = Some(room_alias_id!("#taken:test.example").to_owned());
    first.transaction = Some(key("1"));
    db.create_room(first.clone()).await.unwrap();
    let before = db.watcher.take();

    let mut same_alias = Room::new("second").creation(&alice, json!({}));
    same_alias.alias = first.alias.clone();
    let mut same_transaction = Room::new("third").creation(&alice, json!({}));
    same_transaction.transaction = Some(key("1"));
    same_transaction.alias = Some(room_alias_id!("#free:test.example").to_owned());
    for conflicting in [same_alias, same_transaction] {
        let room_id = conflicting.room_id.clone();
        let outcome = db.create_room(conflicting).await;
        assert!(matches!(outcome, Err(StorageError::Conflict)));
        assert_eq!(db.room_head(&room_id).await.unwrap(), None);
        assert_eq!(db.room_version(&room_id).await.unwrap(), None);
        assert_eq!(db.newest_position(&room_id).await.unwrap(), None);
        assert_eq!(db.membership(&room_id, &alice).await.unwrap(), None);
        assert_eq!(db.published(&room_id).await.unwrap(), None);
    }
    let free = db.alias(room_alias_id!("#free:test.example")).await;
    assert_eq!(free.unwrap(), None);
    assert!(db.watcher.take().is_empty());
    assert_eq!(before.len(), 2);
}

#[tokio::test]
async fn current_state_leaves_empty_places_out() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    room.set(&db, &alice, "m.room.name", json!({ "name": "old" }))
        .await;
    let newest = room
        .set(&db, &alice, "m.room.name", json!({ "name": "new" }))
        .await;
    let odd = room.event(&alice, "odd\0type", Some("odd\0key"), json!({}));
    db.append(odd).await.unwrap();
    let place = |kind: &str, key: &str| (kind.to_owned(), key.to_owned());
    let found = db.current_state(
        &room.id,
        vec![
            place("m.room.name", ""),
            place("m.room.name", "x"),
            place("odd\0type", "odd\0key"),
            place("odd\0type", "odd"),
        ],
    );
    let found = found.await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].position, newest);
    assert!(found[1].is_state("odd\0type", "odd\0key"));
    let nowhere = db.current_state(room_id!("!no:test.example"), vec![place("m.room.name", "")]);
    assert!(nowhere.await.unwrap().is_empty());
}

#[tokio::test]
async fn local_joined_members_and_joined_any_answer_for_the_joined() {
    let db = TestDb::new();
    let alice = user("alice");
    let (mut room, users) = room_with_members(&db, &["alice", "bob", "carol"]).await;
    let stranger = ruma::user_id!("@dora:else.example");
    db.append(room.join(stranger)).await.unwrap();
    room.set_member(&db, &alice, &users[1], MembershipState::Ban)
        .await;
    let server = ruma::server_name!("test.example");
    let local = db.local_joined_members(&room.id, server, 9).await.unwrap();
    assert_eq!(local, [alice.clone(), users[2].clone()]);
    let first = db.local_joined_members(&room.id, server, 1).await.unwrap();
    assert_eq!(first, [alice.clone()]);

    let other = room_id!("!no:test.example").to_owned();
    let rooms = [other.clone(), room.id.clone()];
    assert!(db.joined_any(&alice, &rooms).await.unwrap());
    assert!(!db.joined_any(&users[1], &rooms).await.unwrap());
    assert!(!db.joined_any(&alice, &[other]).await.unwrap());
    assert!(!db.joined_any(&alice, &[]).await.unwrap());
}

#[tokio::test]
async fn there_is_nothing_where_there_is_no_room() {
    let db = TestDb::new();
    let nowhere = room_id!("!no:test.example");
    assert_eq!(db.room_head(nowhere).await.unwrap(), None);
    assert_eq!(db.room_version(nowhere).await.unwrap(), None);
    assert_eq!(db.event_of_transaction(key("1")).await.unwrap(), None);
    db.settle().await.unwrap();
    assert_eq!(
        db.watcher.position(),
        StreamPosition::START.max(db.watcher.position())
    );
}
