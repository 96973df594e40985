//! Aliases and the published directory.

use greenroom_storage::{
    DirectoryStore, PublicRoom, PublicRoomsPage, PublicRoomsQuery, RoomStore, StorageError,
};
use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId, room_alias_id, room_id};
use serde_json::{Value, json};

use crate::support::{Room, TestDb, user};

/// A published room with so many members and these pieces of state.
async fn publish(
    db: &TestDb,
    members: usize,
    create: Value,
    state: &[(&str, Value)],
) -> OwnedRoomId {
    let alice = user("alice");
    let mut room = Room::new("public");
    let mut creation = room.creation(&alice, create);
    creation.published = true;
    for number in 1..members {
        creation
            .events
            .push(room.join(&user(&format!("u{number}"))));
    }
    for (kind, content) in state {
        let event = room.event(&alice, kind, Some(""), content.clone());
        creation.events.push(event);
    }
    db.create_room(creation).await.unwrap();
    room.id
}

async fn named(db: &TestDb, members: usize, name: &str) -> OwnedRoomId {
    publish(
        db,
        members,
        json!({}),
        &[("m.room.name", json!({ "name": name }))],
    )
    .await
}

async fn search(db: &TestDb, term: &str) -> Vec<String> {
    let query = PublicRoomsQuery {
        search_term: Some(term.to_owned()),
        limit: 50,
        ..PublicRoomsQuery::default()
    };
    let page = db.public_rooms(query).await.unwrap();
    assert_eq!(page.total, page.rooms.len() as u64);
    assert!(!page.more);
    let mut names: Vec<String> = page
        .rooms
        .into_iter()
        .filter_map(|room| room.name)
        .collect();
    names.sort();
    names
}

fn ids(page: &PublicRoomsPage) -> Vec<OwnedRoomId> {
    page.rooms.iter().map(|room| room.room_id.clone()).collect()
}

#[tokio::test]
async fn an_alias_points_to_one_room_until_it_is_removed() {
    let db = TestDb::new();
    let alice = user("alice");
    let room = room_id!("!room:test.example");
    let aliases = [
        "#b:test.example",
        "#a:test.example",
        "#\u{10FFFF}é:test.example",
    ];
    let aliases = aliases.map(|alias| OwnedRoomAliasId::try_from(alias).unwrap());
    for alias in &aliases {
        db.create_alias(alias, room, &alice).await.unwrap();
    }
    let again = db.create_alias(&aliases[0], room_id!("!other:x"), &alice);
    assert!(matches!(again.await, Err(StorageError::Conflict)));
    let found = db.alias(&aliases[0]).await.unwrap();
    assert_eq!(found, Some((room.to_owned(), alice)));
    let unknown: &RoomAliasId = room_alias_id!("#B:test.example");
    assert_eq!(db.alias(unknown).await.unwrap(), None);
    let listed = db.aliases(room).await.unwrap();
    assert_eq!(
        listed,
        [&aliases[1], &aliases[0], &aliases[2]].map(Clone::clone)
    );
    assert!(db.aliases(room_id!("!other:x")).await.unwrap().is_empty());
    assert!(db.delete_alias(&aliases[0]).await.unwrap());
    assert!(!db.delete_alias(&aliases[0]).await.unwrap());
    assert_eq!(db.alias(&aliases[0]).await.unwrap(), None);
}

#[tokio::test]
async fn a_room_is_published_and_taken_back() {
    let db = TestDb::new();
    let room = Room::created(&db, "room", &user("alice")).await;
    assert_eq!(db.published(&room.id).await.unwrap(), Some(false));
    assert!(search_all(&db).await.is_empty());
    assert!(db.publish(&room.id, true).await.unwrap());
    assert!(db.publish(&room.id, true).await.unwrap());
    assert_eq!(db.published(&room.id).await.unwrap(), Some(true));
    assert_eq!(search_all(&db).await, [room.id.clone()]);
    assert!(db.publish(&room.id, false).await.unwrap());
    assert!(search_all(&db).await.is_empty());
    let nowhere = room_id!("!no:test.example");
    assert!(!db.publish(nowhere, true).await.unwrap());
    assert_eq!(db.published(nowhere).await.unwrap(), None);
}

async fn search_all(db: &TestDb) -> Vec<OwnedRoomId> {
    let query = PublicRoomsQuery {
        limit: 100,
        ..PublicRoomsQuery::default()
    };
    ids(&db.public_rooms(query).await.unwrap())
}

#[tokio::test]
async fn the_directory_shows_what_the_state_says() {
    let db = TestDb::new();
    let state = [
        ("m.room.name", json!({ "name": "N\0" })),
        ("m.room.topic", json!({ "topic": "T\u{10FFFF}" })),
        (
            "m.room.canonical_alias",
            json!({ "alias": "#a:test.example" }),
        ),
        ("m.room.avatar", json!({ "url": "mxc://a/b" })),
        ("m.room.join_rules", json!({ "join_rule": "knock" })),
        ("m.room.guest_access", json!({ "guest_access": "can_join" })),
        (
            "m.room.history_visibility",
            json!({ "history_visibility": "world_readable" }),
        ),
    ];
    let room_id = publish(&db, 3, json!({ "type": "m.space" }), &state).await;
    let query = || PublicRoomsQuery {
        limit: 10,
        ..PublicRoomsQuery::default()
    };
    let page = db.public_rooms(query()).await.unwrap();
    let expected = PublicRoom {
        room_id: room_id.clone(),
        name: Some("N\0".to_owned()),
        topic: Some("T\u{10FFFF}".to_owned()),
        canonical_alias: Some("#a:test.example".to_owned()),
        avatar_url: Some("mxc://a/b".to_owned()),
        join_rule: Some("knock".to_owned()),
        room_type: Some("m.space".to_owned()),
        guest_can_join: true,
        world_readable: true,
        joined_members: 3,
    };
    assert_eq!(page.rooms, [expected]);
    assert_eq!((page.more, page.total), (false, 1));

    // What is of the wrong type, or empty, counts as absent.
    let odd = [
        ("m.room.name", json!({ "name": "" })),
        ("m.room.topic", json!({ "topic": 7 })),
    ];
    publish(&db, 1, json!({ "type": [] }), &odd).await;
    let page = db.public_rooms(query()).await.unwrap();
    let bare = &page.rooms[1];
    assert_eq!(
        (&bare.name, &bare.topic, &bare.room_type),
        (&None, &None, &None)
    );
    assert!(!bare.guest_can_join && !bare.world_readable);
}

#[tokio::test]
async fn pages_follow_each_other_both_ways() {
    let db = TestDb::new();
    let mut rooms = Vec::new();
    for members in [2, 5, 2, 1, 3, 2, 1] {
        rooms.push((members as u64, named(&db, members, "room").await));
    }
    // Most members first, the room ID breaking ties.
    rooms.sort();
    rooms.reverse();
    let page = |from: Option<&(u64, OwnedRoomId)>, backwards| {
        let query = PublicRoomsQuery {
            limit: 3,
            from: from.cloned(),
            backwards,
            ..PublicRoomsQuery::default()
        };
        let db = &db;
        async move { db.public_rooms(query).await.unwrap() }
    };
    let expect = |page: &PublicRoomsPage, range: std::ops::Range<usize>, more: bool| {
        let wanted: Vec<_> = rooms[range].iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(ids(page), wanted);
        assert_eq!(page.more, more);
        assert_eq!(page.total, 7);
    };
    expect(&page(None, false).await, 0..3, true);
    expect(&page(Some(&rooms[2]), false).await, 3..6, true);
    expect(&page(Some(&rooms[5]), false).await, 6..7, false);
    expect(&page(Some(&rooms[6]), false).await, 7..7, false);
    expect(&page(Some(&rooms[6]), true).await, 3..6, true);
    expect(&page(Some(&rooms[3]), true).await, 0..3, false);
    expect(&page(Some(&rooms[1]), true).await, 0..1, false);
    expect(&page(Some(&rooms[0]), true).await, 0..0, false);
    // From the far end.
    expect(&page(None, true).await, 4..7, true);
    // A room that is gone leaves its place behind.
    db.publish(&rooms[2].1, false).await.unwrap();
    let next = page(Some(&rooms[2]), false).await;
    assert_eq!(next.rooms[0].room_id, rooms[3].1);
    assert_eq!(next.total, 6);
    let none = PublicRoomsQuery::default();
    let none = db.public_rooms(none).await.unwrap();
    assert!(none.rooms.is_empty() && none.more);
}

#[tokio::test]
async fn a_search_takes_every_character_literally() {
    let db = TestDb::new();
    for name in [
        "100% sure",
        "100 sure",
        "a_b",
        "axb",
        "back\\slash",
        "nul\0here",
        "it's",
    ] {
        named(&db, 1, name).await;
    }
    assert_eq!(search(&db, "100%").await, ["100% sure"]);
    assert_eq!(search(&db, "%").await, ["100% sure"]);
    assert_eq!(search(&db, "_").await, ["a_b"]);
    assert_eq!(search(&db, "\\").await, ["back\\slash"]);
    assert_eq!(search(&db, "\\s").await, ["back\\slash"]);
    assert_eq!(search(&db, "'").await, ["it's"]);
    assert_eq!(search(&db, "\0").await, ["nul\0here"]);
    assert_eq!(search(&db, "SURE").await, ["100 sure", "100% sure"]);
    assert_eq!(search(&db, "").await.len(), 7);
    assert!(search(&db, "nothing like it").await.is_empty());
    assert!(search(&db, &"long".repeat(50_000)).await.is_empty());
}

#[tokio::test]
async fn a_search_ignores_case_in_every_script() {
    let db = TestDb::new();
    for name in ["Éclairs à Zürich", "ЧАЙ и кофе", "Straße", "日本語"] {
        named(&db, 1, name).await;
    }
    assert_eq!(search(&db, "éCLAIRS").await, ["Éclairs à Zürich"]);
    assert_eq!(search(&db, "ZÜRICH").await, ["Éclairs à Zürich"]);
    assert_eq!(search(&db, "É").await, ["Éclairs à Zürich"]);
    assert_eq!(search(&db, "чай И КОФЕ").await, ["ЧАЙ и кофе"]);
    assert_eq!(search(&db, "straße").await, ["Straße"]);
    assert_eq!(search(&db, "本").await, ["日本語"]);
}

#[tokio::test]
async fn a_search_looks_at_name_topic_and_alias_as_they_are_now() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    db.publish(&room.id, true).await.unwrap();
    room.set(&db, &alice, "m.room.name", json!({ "name": "Name" }))
        .await;
    room.set(
        &db,
        &alice,
        "m.room.topic",
        json!({ "topic": "Everything Green" }),
    )
    .await;
    let alias = json!({ "alias": "#Hall:test.example" });
    room.set(&db, &alice, "m.room.canonical_alias", alias).await;
    for term in ["name", "everything green", "#hall:test"] {
        assert_eq!(search(&db, term).await, ["Name"], "{term}");
    }
    // Not across from one to the next.
    assert!(search(&db, "nameeverything").await.is_empty());
    room.set(&db, &alice, "m.room.topic", json!({})).await;
    assert!(search(&db, "green").await.is_empty());
    assert_eq!(search(&db, "#hall").await, ["Name"]);
}

#[tokio::test]
async fn rooms_are_picked_by_type() {
    let db = TestDb::new();
    let space = publish(&db, 1, json!({ "type": "m.space" }), &[]).await;
    let odd = publish(&db, 1, json!({ "type": "odd\0" }), &[]).await;
    let plain = publish(&db, 1, json!({}), &[]).await;
    let of_types = |types: &[Option<&str>]| {
        let room_types = types
            .iter()
            .map(|kind| kind.map(ToOwned::to_owned))
            .collect();
        let query = PublicRoomsQuery {
            room_types: Some(room_types),
            limit: 10,
            ..PublicRoomsQuery::default()
        };
        let db = &db;
        async move {
            let page = db.public_rooms(query).await.unwrap();
            assert_eq!(page.total, page.rooms.len() as u64);
            let mut found = ids(&page);
            found.sort();
            found
        }
    };
    let sorted = |mut rooms: Vec<&OwnedRoomId>| {
        rooms.sort();
        rooms.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(of_types(&[Some("m.space")]).await, sorted(vec![&space]));
    assert_eq!(of_types(&[None]).await, sorted(vec![&plain]));
    assert_eq!(of_types(&[Some("odd\0")]).await, sorted(vec![&odd]));
    assert_eq!(
        of_types(&[None, Some("m.space"), Some("x")]).await,
        sorted(vec![&plain, &space])
    );
    assert!(of_types(&[]).await.is_empty());
}
