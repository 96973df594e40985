//! What rooms show to who is not in them, and the children of spaces.

use greenroom_model::StreamPosition;
use greenroom_storage::{RoomPreview, RoomStore, SpaceStore};
use ruma::{OwnedRoomId, RoomVersionId, UserId, events::room::member::MembershipState, room_id};
use serde_json::json;

use crate::support::{Room, TestDb, room_with_members, user};

async fn preview(db: &TestDb, room_id: &OwnedRoomId, reader: Option<&UserId>) -> RoomPreview {
    let mut found = db
        .room_previews(vec![room_id.clone()], reader)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[tokio::test]
async fn a_preview_follows_the_current_state() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let (guild, _) = room_with_members(&db, &["carol"]).await;
    let plain = preview(&db, &room.id, None).await;
    assert_eq!(plain.version, RoomVersionId::V12);
    assert_eq!(plain.room.joined_members, 2);
    assert_eq!((plain.membership, plain.encryption), (None, None));
    assert_eq!(plain.allowed_rooms, [] as [OwnedRoomId; 0]);

    room.set(&db, alice, "m.room.name", json!({"name": "A\0B"}))
        .await;
    room.set(&db, alice, "m.room.encryption", json!({"algorithm": "x"}))
        .await;
    let allow = json!([
        {"type": "m.room_membership", "room_id": guild.id},
        {"type": "m.room_membership", "room_id": "no room"},
        {"type": "other", "room_id": room.id},
        {"room_id": room.id},
        "x",
    ]);
    let rules = json!({"join_rule": "restricted", "allow": allow});
    let rules = room.event(alice, "m.room.join_rules", Some(""), rules);
    db.append(rules.clone()).await.unwrap();
    let shown = preview(&db, &room.id, Some(bob)).await;
    assert_eq!(shown.room.name.as_deref(), Some("A\0B"));
    assert_eq!(shown.encryption.as_deref(), Some("x"));
    assert_eq!(shown.membership, Some(MembershipState::Join));
    assert_eq!(shown.allowed_rooms, [guild.id.clone()]);
    assert!(!shown.in_allowed_room);
    let carols = preview(&db, &room.id, Some(&user("carol"))).await;
    assert_eq!((carols.membership, carols.in_allowed_room), (None, true));

    room.set(&db, alice, "m.room.encryption", json!({"algorithm": 5}))
        .await;
    // What is redacted is in no preview.
    db.append(room.redaction(alice, &rules, &json!({})))
        .await
        .unwrap();
    let shown = preview(&db, &room.id, Some(&user("carol"))).await;
    assert_eq!(shown.encryption, None);
    assert_eq!(shown.room.join_rule, None);
    assert!(shown.allowed_rooms.is_empty() && !shown.in_allowed_room);
}

#[tokio::test]
async fn many_rooms_are_previewed_at_once_and_those_that_are_not_there_left_out() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut asked = vec![room_id!("!nowhere").to_owned()];
    for _ in 0..5 {
        asked.push(Room::created(&db, "room", &alice).await.id);
    }
    // More than one query may have parameters.
    asked.extend((0..1_200).map(|number| OwnedRoomId::try_from(format!("!no{number}")).unwrap()));
    let found = db.room_previews(asked, Some(&alice)).await.unwrap();
    assert_eq!(found.len(), 5);
    assert!(
        found
            .iter()
            .all(|preview| preview.membership == Some(MembershipState::Join))
    );
    assert!(db.room_previews(Vec::new(), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_space_has_the_children_that_it_had_at_that_position() {
    let db = TestDb::new();
    let (mut space, users) = room_with_members(&db, &["alice"]).await;
    let alice = &users[0];
    let mut positions = Vec::new();
    for (child, via) in [("!a", "x"), ("!b", "x"), ("!a", "y"), ("!c", "x")] {
        let content = json!({"via": [via]});
        let event = space.event(alice, "m.space.child", Some(child), content);
        positions.push(db.append(event).await.unwrap().position);
    }
    space.say(&db, alice, "hello").await;
    let at = |position: StreamPosition, limit| {
        let (db, id) = (db.clone(), space.id.clone());
        async move {
            let mut found = db.space_children(&id, position, limit).await.unwrap();
            found.sort_by_key(|event| event.position);
            let keys = found.iter().map(|event| event.state_key.clone().unwrap());
            (
                keys.collect::<Vec<_>>(),
                found.iter().map(|event| event.position).collect::<Vec<_>>(),
            )
        }
    };
    assert_eq!(at(StreamPosition(1), 9).await.0, [] as [&str; 0]);
    let second = at(positions[1], 9).await;
    assert_eq!(second.1, positions[..2]);
    let (keys, found) = at(positions[3], 9).await;
    assert_eq!(keys, ["!b", "!a", "!c"]);
    assert_eq!(found, positions[1..]);
    // The oldest, if there are too many.
    assert_eq!(at(positions[3], 2).await.1, positions[1..3]);
}
