//! One room in the place of another, as one act and in its turn.

use greenroom_model::StreamPosition;
use greenroom_storage::{
    AccountDataStore, DirectoryStore, RoomStore, RoomUpgrade, StateStore, StorageError,
    TimelineStore, UpgradeStore,
};
use ruma::{RoomId, UserId, events::room::member::MembershipState, room_alias_id};
use serde_json::{Value, json, value::to_raw_value};

use crate::support::{Room, TestDb, room_with_members, user};

/// The upgrade of a room to `next`, built on its head as it is.
pub(crate) fn upgrade(
    old: &mut Room,
    next: &mut Room,
    by: &UserId,
    as_of: StreamPosition,
) -> RoomUpgrade {
    let content = json!({ "replacement_room": next.id });
    RoomUpgrade {
        tombstone: old.event(by, "m.room.tombstone", Some(""), content),
        levels: Some(old.event(by, "m.room.power_levels", Some(""), json!({}))),
        as_of,
        state_types: ["m.room.name", "m.room.tombstone", "m.room.power_levels"]
            .map(str::to_owned)
            .into(),
        banned: Vec::new(),
        replacement: next.creation(by, json!({ "predecessor": { "room_id": old.id } })),
    }
}

/// The events of a room, oldest first.
async fn events(db: &TestDb, room_id: &RoomId) -> Vec<String> {
    let forward = greenroom_storage::Direction::Forward;
    let end = db.watcher.position();
    let found = db
        .events_between(room_id, StreamPosition::START, end, forward, 100)
        .await;
    let found = found.unwrap();
    found.into_iter().map(|event| event.event_type).collect()
}

#[tokio::test]
async fn an_upgrade_hands_over_what_leads_to_the_room() {
    let db = TestDb::new();
    let (mut old, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, mut next) = (&users[0], Room::new("next"));
    let alias = room_alias_id!("#a:test.example");
    db.create_alias(alias, &old.id, &users[1]).await.unwrap();
    db.publish(&old.id, true).await.unwrap();
    let as_of = db.watcher.position();
    // What is said meanwhile stands before the tombstone, and stops nothing.
    let said = db.append(old.message(alice, "said meanwhile"));
    let set = db.append(old.event(alice, "org.example", Some(""), json!({})));
    let upgrade = upgrade(&mut old, &mut next, alice, as_of);
    let tombstone = upgrade.tombstone.event_id.clone();
    let done = db.upgrade_room(upgrade).await.unwrap();
    assert!(said.await.unwrap().position < done.position);
    set.await.unwrap();
    let stored = db.event(&tombstone).await.unwrap().unwrap();
    assert_eq!(stored.position, done.position);
    assert_eq!(
        db.alias(alias).await.unwrap(),
        Some((next.id.clone(), users[1].clone()))
    );
    assert_eq!(db.published(&old.id).await.unwrap(), Some(false));
    assert_eq!(db.published(&next.id).await.unwrap(), Some(true));
    assert_eq!(
        events(&db, &old.id).await[3..],
        [
            "m.room.message",
            "org.example",
            "m.room.tombstone",
            "m.room.power_levels"
        ]
    );
    assert_eq!(
        events(&db, &next.id).await,
        ["m.room.create", "m.room.member"]
    );
    // The room goes on where the upgrade has left it.
    old.say(&db, alice, "after").await;
    next.say(&db, alice, "here").await;
}

#[tokio::test]
async fn an_upgrade_of_what_has_changed_since_is_refused_whole() {
    let db = TestDb::new();
    let (mut old, users) = room_with_members(&db, &["alice"]).await;
    let alice = &users[0];
    let named = old.event(alice, "m.room.name", Some(""), json!({ "name": "x" }));
    db.append(named.clone()).await.unwrap();
    let alias = room_alias_id!("#a:test.example");
    db.create_alias(alias, &old.id, alice).await.unwrap();
    let as_of = db.watcher.position();
    for redact in [false, true] {
        let change = match redact {
            true => old.redaction(alice, &named, &json!({})),
            false => old.event(alice, "m.room.name", Some(""), json!({ "name": "y" })),
        };
        // In the queue before it, and perhaps in the same transaction.
        let change = db.append(change);
        let mut next = Room::new("next");
        let refused = upgrade(&mut old, &mut next, alice, as_of);
        let tombstone = refused.tombstone.event_id.clone();
        let refused = db.upgrade_room(refused);
        let built_on_it = db.append(old.message(alice, "after the tombstone"));
        change.await.unwrap();
        assert!(matches!(refused.await, Err(StorageError::Conflict)));
        assert!(matches!(built_on_it.await, Err(StorageError::StaleHead)));
        assert_eq!(db.event(&tombstone).await.unwrap(), None);
        assert_eq!(db.room_version(&next.id).await.unwrap(), None);
        let (leads_to, _) = db.alias(alias).await.unwrap().unwrap();
        assert_eq!(leads_to, old.id);
        old.reload();
    }
    // Others may come and go meanwhile; but who is banned must be.
    let now = db.watcher.position();
    let [bob, carol] = ["bob", "carol"].map(user);
    db.append(old.join(&bob)).await.unwrap();
    old.set_member(&db, alice, &carol, MembershipState::Ban)
        .await;
    for (banned, right) in [(vec![], false), (vec![bob], false), (vec![carol], true)] {
        let mut next = Room::new("next");
        let attempt = RoomUpgrade {
            banned,
            ..upgrade(&mut old, &mut next, alice, now)
        };
        let outcome = db.upgrade_room(attempt).await;
        assert_eq!(outcome.is_ok(), right, "{outcome:?}");
        old.reload();
    }
}

/// The state that an act in turn changes, others change right before and after it, in one group.
#[tokio::test]
async fn an_upgrade_takes_its_turn_among_the_appends_of_its_room() {
    let db = TestDb::new();
    let (mut old, users) = room_with_members(&db, &["alice"]).await;
    let alice = &users[0];
    for round in 0..20 {
        let as_of = db.watcher.position();
        let (mut next, mut other) = (Room::new("next"), Room::new("next"));
        let before = db.append(old.message(alice, "before"));
        let first = db.upgrade_room(upgrade(&mut old, &mut next, alice, as_of));
        let content = json!({ "round": round });
        let levels = old.event(alice, "m.room.power_levels", Some(""), content.clone());
        let after = db.append(levels);
        // Its twin, built on it but made of the same state, comes too late.
        let second = db.upgrade_room(upgrade(&mut old, &mut other, alice, as_of));
        before.await.unwrap();
        first.await.unwrap();
        let after = after.await.unwrap().position;
        assert!(matches!(second.await, Err(StorageError::Conflict)));
        let place = ("m.room.power_levels".to_owned(), String::new());
        let now = db.current_state(&old.id, vec![place]).await.unwrap();
        let now: Value = serde_json::from_slice(&now[0].json).unwrap();
        assert_eq!(now["content"], content);
        // One event holds each place, at every position.
        let state = db.state_at(&old.id, after, None).await.unwrap();
        let mut places: Vec<_> = state
            .iter()
            .map(|event| (&event.event_type, &event.state_key))
            .collect();
        let all = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), all, "round {round}");
        old.reload();
    }
    // Behind an append that failed nothing is done.
    let taken = old.message_with(alice, "1");
    db.append(taken).await.unwrap();
    let as_of = db.watcher.position();
    let fails = db.append(old.message_with(alice, "1"));
    let mut next = Room::new("next");
    let refused = db.upgrade_room(upgrade(&mut old, &mut next, alice, as_of));
    assert!(matches!(fails.await, Err(StorageError::Conflict)));
    assert!(matches!(refused.await, Err(StorageError::StaleHead)));
    assert_eq!(db.room_version(&next.id).await.unwrap(), None);
}

#[tokio::test]
async fn bans_are_those_of_now() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let [carol, dora] = ["carol", "dora"].map(user);
    let ban = json!({ "reason": "noise" });
    let ban = room.member(&users[0], &dora, MembershipState::Ban, ban);
    db.append(ban.clone()).await.unwrap();
    for membership in [MembershipState::Ban, MembershipState::Leave] {
        room.set_member(&db, &users[0], &carol, membership).await;
    }
    let found = db.bans(&room.id).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].event_id, ban.event_id);
    assert_eq!(found[0].json, ban.json);
}

#[tokio::test]
async fn labels_go_along_where_there_are_none() {
    let db = TestDb::new();
    let alice = user("alice");
    let [old, next] =
        ["!old:test.example", "!next:test.example"].map(|id| RoomId::parse(id).unwrap());
    // Nothing there, nothing to do.
    db.carry_labels(&alice, &old, &next).await.unwrap();
    let tags = json!({ "tags": { "u.x": { "order": 0.5 } }, "other": 1 });
    for (direct, right) in [
        (
            json!({ "@a:b": ["!x:y", old], "@c:d": [1], "@e:f": { "g": old } }),
            json!({ "@a:b": ["!x:y", old, next], "@c:d": [1], "@e:f": { "g": old } }),
        ),
        (
            json!({ "@a:b": [old, next] }),
            json!({ "@a:b": [old, next] }),
        ),
        (json!({ "@a:b": [] }), json!({ "@a:b": [] })),
    ] {
        db.set_account_data(&alice, Some(&old), "m.tag", to_raw_value(&tags).unwrap())
            .await
            .unwrap();
        db.set_account_data(&alice, None, "m.direct", to_raw_value(&direct).unwrap())
            .await
            .unwrap();
        db.carry_labels(&alice, &old, &next).await.unwrap();
        let found = db.account_data(&alice, None, "m.direct").await.unwrap();
        let found: Value = serde_json::from_str(found.unwrap().get()).unwrap();
        assert_eq!(found, right);
        let found = db.account_data(&alice, Some(&next), "m.tag").await.unwrap();
        let found: Value = serde_json::from_str(found.unwrap().get()).unwrap();
        assert_eq!(found, tags);
    }
    let own = json!({ "tags": {} });
    db.set_account_data(&alice, Some(&next), "m.tag", to_raw_value(&own).unwrap())
        .await
        .unwrap();
    db.carry_labels(&alice, &old, &next).await.unwrap();
    let found = db.account_data(&alice, Some(&next), "m.tag").await.unwrap();
    assert_eq!(found.unwrap().get(), own.to_string());
}
