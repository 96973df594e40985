//! A room's state, now and at any position.

use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{RoomStore, StateStore};
use ruma::{events::room::member::MembershipState, room_id};
use serde_json::json;

use crate::support::{Room, TestDb, room_with_members, user};

fn place(kind: &str, key: &str) -> (String, String) {
    (kind.to_owned(), key.to_owned())
}

fn positions(events: &[StoredEvent]) -> Vec<StreamPosition> {
    events.iter().map(|event| event.position).collect()
}

#[tokio::test]
async fn the_state_at_a_position_is_what_held_there() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let beginning = db.watcher.position();
    let named = room
        .set(&db, alice, "m.room.name", json!({"name": "1"}))
        .await;
    let said = room.say(&db, alice, "not state").await;
    let renamed = room
        .set(&db, alice, "m.room.name", json!({"name": "2"}))
        .await;
    let left = room.set_member(&db, bob, bob, MembershipState::Leave).await;
    let topic = room
        .set(&db, bob, "m.room.topic", json!({"topic": "t"}))
        .await;

    let state = |at| {
        let (db, id) = (&db, &room.id);
        async move { db.state_at(id, at, None).await.unwrap() }
    };
    let before = positions(&state(beginning).await);
    assert_eq!(before.len(), 3);
    let at = |mut more: Vec<StreamPosition>| {
        let mut all = before.clone();
        all.append(&mut more);
        all
    };
    // The state at an event's position contains the event.
    assert_eq!(positions(&state(named).await), at(vec![named]));
    assert_eq!(positions(&state(named.before()).await), before);
    assert_eq!(positions(&state(said).await), at(vec![named]));
    assert_eq!(positions(&state(renamed.before()).await), at(vec![named]));
    assert_eq!(positions(&state(renamed).await), at(vec![renamed]));
    let bobs = state(left).await;
    assert!(bobs.iter().any(|event| event.position == left));
    assert_eq!(bobs.len(), 4);
    assert_eq!(positions(&state(topic).await).len(), 5);
    assert_eq!(
        positions(&state(StreamPosition(i64::MAX - 1)).await),
        positions(&state(topic).await)
    );
    assert!(state(StreamPosition::START).await.is_empty());
    let nowhere = db.state_at(room_id!("!no:x"), topic, None).await.unwrap();
    assert!(nowhere.is_empty());
}

#[tokio::test]
async fn the_state_can_be_asked_by_type_by_place_and_without_members() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let alice = &users[0];
    let odd = room.event(alice, "odd\0type", Some("\0"), json!({}));
    let odd = db.append(odd).await.unwrap().position;
    let old = room
        .set(&db, alice, "m.room.name", json!({"name": "1"}))
        .await;
    let new = room
        .set(&db, alice, "m.room.name", json!({"name": "2"}))
        .await;
    let zed = room.set(&db, alice, "m.room.zed", json!({})).await;

    let typed = |types: &[&str], at| {
        let types = types.iter().map(|kind| (*kind).to_owned()).collect();
        let (db, id) = (&db, &room.id);
        async move { positions(&db.state_at(id, at, Some(types)).await.unwrap()) }
    };
    assert_eq!(typed(&["m.room.name"], new).await, [new]);
    assert_eq!(typed(&["m.room.name"], old).await, [old]);
    assert_eq!(typed(&["m.room.zed", "odd\0type"], zed).await, [odd, zed]);
    assert_eq!(typed(&["m.room.member"], zed).await.len(), 2);
    assert!(typed(&["m.room.none"], zed).await.is_empty());
    assert!(typed(&[], zed).await.is_empty());

    let keys = vec![
        place("m.room.name", ""),
        place("m.room.name", "no"),
        place("odd\0type", "\0"),
        place("m.room.member", "@bob:test.example"),
    ];
    let held = db
        .state_entries_at(&room.id, old, keys.clone())
        .await
        .unwrap();
    assert_eq!(positions(&held)[..2], [old, odd]);
    assert_eq!(held.len(), 3);
    let early = db.state_entries_at(&room.id, odd, keys).await.unwrap();
    assert_eq!(early.len(), 2);
    let none = db
        .state_entries_at(&room.id, odd, Vec::new())
        .await
        .unwrap();
    assert!(none.is_empty());

    let without = db.state_without_members_at(&room.id, zed).await.unwrap();
    assert_eq!(positions(&without)[1..], [odd, new, zed]);
    assert_eq!(without[0].event_type, "m.room.create");
    let without = db.state_without_members_at(&room.id, old).await.unwrap();
    assert_eq!(positions(&without)[1..], [odd, old]);
}

#[tokio::test]
async fn changes_of_state_show_each_place_once_as_it_was_at_the_end() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let created = db.watcher.position();
    let old = room
        .set(&db, &alice, "m.room.name", json!({"name": "1"}))
        .await;
    let topic = room
        .set(&db, &alice, "m.room.topic", json!({"topic": "t"}))
        .await;
    let new = room
        .set(&db, &alice, "m.room.name", json!({"name": "2"}))
        .await;
    let newest = room
        .set(&db, &alice, "m.room.name", json!({"name": "3"}))
        .await;
    let changes = |after, upto| {
        let (db, id) = (&db, &room.id);
        async move { positions(&db.state_changes(id, after, upto).await.unwrap()) }
    };
    assert_eq!(changes(created, newest).await, [topic, newest]);
    assert_eq!(changes(created, new).await, [topic, new]);
    assert_eq!(changes(created, topic).await, [old, topic]);
    assert_eq!(changes(old, topic).await, [topic]);
    assert_eq!(changes(new, newest).await, [newest]);
    assert!(changes(newest, newest).await.is_empty());
    assert_eq!(changes(StreamPosition::START, newest).await.len(), 4);
}

#[tokio::test]
async fn what_decides_over_a_reader_is_told_from_the_beginning() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let joined = db.watcher.position();
    let visibility = "m.room.history_visibility";
    let mut held = Vec::new();
    for value in ["shared", "joined", "invited"] {
        let content = json!({"history_visibility": value});
        held.push(room.set(&db, alice, visibility, content).await);
        room.set(&db, alice, "m.room.name", json!({"name": value}))
            .await;
    }
    let left = room.set_member(&db, bob, bob, MembershipState::Leave).await;
    let (visibility, memberships) = db.reader_history(&room.id, bob).await.unwrap();
    assert_eq!(positions(&visibility), held);
    assert_eq!(positions(&memberships), [joined, left]);
    let stranger = user("stranger");
    let (visibility, memberships) = db.reader_history(&room.id, &stranger).await.unwrap();
    assert_eq!(positions(&visibility), held);
    assert!(memberships.is_empty());
}
