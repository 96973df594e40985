//! A redaction empties the event wherever its words were copied.

use diesel::RunQueryDsl;
use greenroom_storage::{
    DirectoryStore, MemberStore, PublicRoom, PublicRoomsQuery, RoomStore, StateStore, TimelineStore,
};
use greenroom_stream::ChangeKind;
use ruma::events::room::member::MembershipState::Join;
use serde_json::json;

use crate::support::{Place, Room, TestDb, user};

async fn shown(db: &TestDb) -> PublicRoom {
    let query = PublicRoomsQuery {
        limit: 1,
        ..PublicRoomsQuery::default()
    };
    db.public_rooms(query).await.unwrap().rooms.remove(0)
}

#[tokio::test]
async fn a_redacted_message_is_empty_and_announced_so() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let message = room.message(&alice, "a secret");
    let position = db.append(message.clone()).await.unwrap().position;
    db.watcher.take();
    let redaction = room.redaction(&alice, &message, &json!({}));
    let redacted_at = db.append(redaction.clone()).await.unwrap().position;

    let stored = db.event(&message.event_id).await.unwrap().unwrap();
    assert_eq!(stored.position, position);
    assert_eq!(stored.json, redaction.redacts.as_ref().unwrap().json);
    assert!(!String::from_utf8_lossy(&stored.json).contains("secret"));
    assert_eq!(stored.redacted_by, Some(redaction.event_id.clone()));
    let changes = db.watcher.take();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0].position, redacted_at);
    let ChangeKind::Redacted { room_id, event } = &changes[1].kind else {
        panic!("not announced");
    };
    assert_eq!(room_id, &room.id);
    assert_eq!(**event, stored);
    assert_eq!(db.watcher.position(), changes[1].position);
}

#[tokio::test]
async fn a_redaction_of_an_event_in_the_same_group_empties_it() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let release = db.watcher.hold();
    let blocking = db.append(room.message(&alice, "holds the writer"));
    let message = room.message(&alice, "a secret");
    let queued = db.append(message.clone());
    let redaction = db.append(room.redaction(&alice, &message, &json!({})));
    release.send(()).unwrap();
    for committed in [blocking, queued, redaction] {
        committed.await.unwrap();
    }
    let stored = db.event(&message.event_id).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&stored.json).contains("secret"));
    let words = db.watcher.take_words();
    assert_eq!(
        words[words.len() - 3..],
        [
            "event m.room.message",
            "event m.room.redaction",
            "redacted m.room.message"
        ]
    );
}

#[tokio::test]
async fn a_redacted_name_leaves_the_members_list() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut room = Room::created(&db, "room", &alice).await;
    let content = json!({ "displayname": "rude", "avatar_url": "mxc://a/b" });
    let join = room.member(&bob, &bob, Join, content.clone());
    db.append(join.clone()).await.unwrap();
    let redaction = room.redaction(&alice, &join, &json!({ "membership": "join" }));
    db.append(redaction).await.unwrap();
    let bob_now = |members: Vec<greenroom_storage::Member>| {
        members.into_iter().find(|member| member.user_id == bob)
    };
    let member = bob_now(db.members(&room.id, Join, None).await.unwrap()).unwrap();
    assert_eq!((member.display_name, member.avatar_url), (None, None));
    assert_eq!(member.membership, Join);

    // A redaction of what was replaced since changes nothing of what is shown.
    let newer = room.member(&bob, &bob, Join, content);
    db.append(newer).await.unwrap();
    let again = room.redaction(&alice, &join, &json!({ "membership": "join" }));
    db.append(again).await.unwrap();
    let member = bob_now(db.members(&room.id, Join, None).await.unwrap()).unwrap();
    assert_eq!(member.display_name.as_deref(), Some("rude"));
}

#[tokio::test]
async fn redacted_state_leaves_the_directory_and_its_search() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    db.publish(&room.id, true).await.unwrap();
    let mut events = Vec::new();
    for (kind, content, kept) in [
        ("m.room.name", json!({ "name": "rude" }), json!({})),
        ("m.room.topic", json!({ "topic": "rude" }), json!({})),
        ("m.room.avatar", json!({ "url": "mxc://a/b" }), json!({})),
        (
            "m.room.join_rules",
            json!({ "join_rule": "public", "x": "rude" }),
            json!({ "join_rule": "public" }),
        ),
    ] {
        let event = room.event(&alice, kind, Some(""), content);
        db.append(event.clone()).await.unwrap();
        events.push((event, kept));
    }
    assert_eq!(shown(&db).await.name.as_deref(), Some("rude"));
    for (event, kept) in &events {
        let redaction = room.redaction(&alice, event, kept);
        db.append(redaction).await.unwrap();
    }
    let now = shown(&db).await;
    assert_eq!((now.name, now.topic, now.avatar_url), (None, None, None));
    // What the redaction algorithm keeps is still shown.
    assert_eq!(now.join_rule.as_deref(), Some("public"));
    let query = PublicRoomsQuery {
        search_term: Some("rude".to_owned()),
        limit: 1,
        ..PublicRoomsQuery::default()
    };
    assert!(db.public_rooms(query).await.unwrap().rooms.is_empty());
    let state = db.state_at(&room.id, db.watcher.position(), None).await;
    for event in state.unwrap() {
        assert!(!String::from_utf8_lossy(&event.json).contains("rude"));
    }
}

#[tokio::test]
async fn a_redaction_of_replaced_state_keeps_what_replaced_it() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    db.publish(&room.id, true).await.unwrap();
    let old = room.event(&alice, "m.room.name", Some(""), json!({ "name": "rude" }));
    db.append(old.clone()).await.unwrap();
    room.set(&db, &alice, "m.room.name", json!({ "name": "polite" }))
        .await;
    let redaction = room.redaction(&alice, &old, &json!({}));
    db.append(redaction).await.unwrap();
    assert_eq!(shown(&db).await.name.as_deref(), Some("polite"));
    let stored = db.event(&old.event_id).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&stored.json).contains("rude"));
}

#[tokio::test]
async fn a_redaction_reaches_no_other_room() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut other = Room::created(&db, "other", &alice).await;
    let message = other.message(&alice, "stays");
    db.append(message.clone()).await.unwrap();
    db.watcher.take();
    let redaction = room.redaction(&alice, &message, &json!({}));
    db.append(redaction.clone()).await.unwrap();
    let stored = db.event(&message.event_id).await.unwrap().unwrap();
    assert_eq!(stored.json, message.json);
    assert_eq!(stored.redacted_by, None);
    assert_eq!(db.watcher.take_words(), ["event m.room.redaction"]);
    // The redaction itself is stored.
    assert!(db.event(&redaction.event_id).await.unwrap().is_some());
}

/// Everything the database keeps in files, or in rows where the files are not ours to read.
fn stored_bytes(place: &Place) -> Vec<u8> {
    if place.is_sqlite() {
        let directory = std::path::Path::new(place.file()).parent().unwrap();
        let files = std::fs::read_dir(directory).unwrap();
        return files
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect();
    }
    let rows = "SELECT convert_from(json, 'UTF8') AS text FROM events
         UNION ALL SELECT row_to_json(m)::text FROM memberships m
         UNION ALL SELECT row_to_json(r)::text FROM rooms r";
    let rows: Vec<Row> = diesel::sql_query(rows).load(&mut place.postgres()).unwrap();
    rows.into_iter()
        .flat_map(|row| row.text.into_bytes())
        .collect()
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|some| some == text.as_bytes())
}

#[tokio::test]
async fn b33_no_file_holds_what_was_redacted() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut room = Room::created(&db, "room", &alice).await;
    // From a few bytes beside others to many pages of their own.
    let mut secrets = Vec::new();
    for length in [10, 300, 3_000, 5_000, 60_000] {
        let secret = format!("secret-{length}-{}-end", "x".repeat(length));
        let message = room.message(&alice, &secret);
        db.append(message.clone()).await.unwrap();
        db.append(room.message(&alice, "kept")).await.unwrap();
        secrets.push((message, json!({})));
    }
    for (kind, content) in [
        ("m.room.name", json!({ "name": "secret-name" })),
        ("m.room.topic", json!({ "topic": "secret-topic" })),
    ] {
        let event = room.event(&alice, kind, Some(""), content);
        db.append(event.clone()).await.unwrap();
        secrets.push((event, json!({})));
    }
    let join = room.member(&bob, &bob, Join, json!({ "displayname": "secret-bob" }));
    db.append(join.clone()).await.unwrap();
    secrets.push((join, json!({ "membership": "join" })));
    assert!(holds(&stored_bytes(&db.place), "secret-60000-"));
    for (event, kept) in &secrets {
        let redaction = room.redaction(&alice, event, kept);
        db.append(redaction).await.unwrap();
    }
    // Whoever is answered now came after the log was emptied.
    db.probe().await.unwrap();
    let running = stored_bytes(&db.place);
    assert!(holds(&running, "kept"));
    assert!(!holds(&running, "secret-"), "while it runs");
    db.db.close().await;
    let closed = stored_bytes(&db.place);
    assert!(holds(&closed, "kept"));
    assert!(!holds(&closed, "secret-"), "after it was closed");
}
