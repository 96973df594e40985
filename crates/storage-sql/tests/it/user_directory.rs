//! Finding users by name.

use greenroom_storage::{AccountStore, ProfileStore, RoomStore, UserDirectoryStore};
use ruma::{OwnedUserId, UserId};
use serde_json::json;

use crate::support::{Room, TestDb, register, user};

async fn found(db: &TestDb, searcher: &UserId, term: &str, limit: u64) -> Vec<OwnedUserId> {
    let found = db.find_users(searcher, term, limit).await.unwrap();
    found.into_iter().map(|found| found.user_id).collect()
}

/// A room with a join rule, whose members are these.
async fn room(db: &TestDb, join_rule: &str, members: &[&OwnedUserId]) -> Room {
    let mut room = Room::created(db, "room", members[0]).await;
    for member in &members[1..] {
        db.append(room.join(member)).await.unwrap();
    }
    room.set(
        db,
        members[0],
        "m.room.join_rules",
        json!({"join_rule": join_rule}),
    )
    .await;
    room
}

#[tokio::test]
async fn users_are_found_by_the_name_that_they_have_now_until_they_are_deactivated() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let bob = register(&db, "bob.jones").await;
    room(&db, "public", &[&bob]).await;
    assert_eq!(found(&db, &alice, "JONES", 9).await, [bob.clone()]);
    assert_eq!(found(&db, &alice, "bob jo", 9).await, [bob.clone()]);
    db.set_profile_field(&bob, "displayname", Some("Robert\0 Ünal".into()))
        .await
        .unwrap();
    assert_eq!(found(&db, &alice, "unal robert", 9).await, [bob.clone()]);
    assert_eq!(found(&db, &alice, "@bob", 9).await, [bob.clone()]);
    db.set_profile_field(&bob, "displayname", None)
        .await
        .unwrap();
    assert!(found(&db, &alice, "robert", 9).await.is_empty());
    assert_eq!(found(&db, &alice, "bob", 9).await, [bob.clone()]);
    db.deactivate(&bob).await.unwrap();
    for term in ["bob", "jones", "@bob.jones:test.example"] {
        assert!(found(&db, &alice, term, 9).await.is_empty(), "{term}");
    }
}

#[tokio::test]
async fn among_very_many_of_a_name_those_whom_one_may_find_are_found() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    // More than are looked at one by one, and none of them to be found.
    let mut hidden = Vec::new();
    for number in 0..600 {
        hidden.push(register(&db, &format!("sam{number:03}")).await);
    }
    assert!(found(&db, &alice, "sam", 3).await.is_empty());
    let (friend, other, stranger) = (
        register(&db, "samuel").await,
        register(&db, "samson").await,
        register(&db, "samz").await,
    );
    room(&db, "invite", &[&alice, &friend]).await;
    room(&db, "public", &[&other]).await;
    room(&db, "invite", &[&stranger, &hidden[0]]).await;
    let mut both = found(&db, &alice, "sam", 9).await;
    both.sort();
    assert_eq!(both, [other.clone(), friend.clone()]);
    assert_eq!(found(&db, &alice, "sam", 1).await.len(), 1);
    // Of those that fit better, enough are known without all of them being looked at.
    let mut members: Vec<&OwnedUserId> = hidden.iter().take(20).collect();
    members.push(&alice);
    room(&db, "invite", &members).await;
    assert_eq!(found(&db, &alice, "sam", 20).await, hidden[..20]);
}

#[tokio::test]
async fn a_database_from_before_there_was_a_directory_is_taken_in() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let bob = register(&db, "bob").await;
    let gone = register(&db, "gone").await;
    db.set_profile_field(&bob, "displayname", Some("Émile".into()))
        .await
        .unwrap();
    room(&db, "public", &[&alice, &bob, &gone]).await;
    db.deactivate(&gone).await.unwrap();
    db.place.execute("DELETE FROM directory_words");
    assert!(found(&db, &alice, "bob", 9).await.is_empty());
    let db = db.restart().await;
    assert_eq!(found(&db, &alice, "emile", 9).await, [bob.clone()]);
    assert_eq!(found(&db, &alice, "bob", 9).await, [bob]);
    assert!(found(&db, &user("alice"), "gone", 9).await.is_empty());
}

#[tokio::test]
async fn of_very_many_open_rooms_the_first_thousands_are_looked_through() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    // As many of the name as are looked at one by one, and none of them to be found.
    for number in 0..500 {
        register(&db, &format!("sam{number:03}")).await;
    }
    let (near, far) = (register(&db, "samy").await, register(&db, "samz").await);
    let open = json!({"join_rule": "public"});
    for (name, member) in [("a", &near), ("z", &far)] {
        let mut room = Room::created(&db, name, member).await;
        room.set(&db, member, "m.room.join_rules", open.clone())
            .await;
    }
    let mut known = found(&db, &alice, "sam", 9).await;
    known.sort();
    assert_eq!(known, [near.clone(), far]);
    db.place.execute(
        "INSERT INTO rooms (room_id, version, creator, created_ts, published, join_rule, \
         joined_members, invited_members) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000) \
         SELECT '!m' || (10000 + n), '12', '@nobody:b', 0, FALSE, 'public', 0, 0 FROM numbers",
    );
    assert_eq!(found(&db, &alice, "sam", 9).await, [near]);
}
