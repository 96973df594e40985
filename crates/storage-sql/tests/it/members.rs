//! Who is in which room.

use greenroom_model::StreamPosition;
use greenroom_storage::{MemberStore, RoomStore};
use ruma::{OwnedUserId, events::room::member::MembershipState, room_id};
use serde_json::json;

use crate::support::{Room, TestDb, room_with_members, user};

use MembershipState::{Ban, Invite, Join, Knock, Leave};

#[tokio::test]
async fn counts_follow_every_change_of_membership() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut room = Room::created(&db, "room", &alice).await;
    let steps = [
        (Invite, (1, 1)),
        (Join, (2, 0)),
        (Join, (2, 0)),
        (Leave, (1, 0)),
        (Knock, (1, 0)),
        (Invite, (1, 1)),
        (Invite, (1, 1)),
        (Ban, (1, 0)),
        (Leave, (1, 0)),
        (Join, (2, 0)),
    ];
    for (membership, counts) in steps {
        room.set_member(&db, &alice, &bob, membership.clone()).await;
        let stored = db.member_counts(&room.id).await.unwrap();
        assert_eq!((stored.joined, stored.invited), counts, "{membership}");
        let stored = db.membership(&room.id, &bob).await.unwrap().unwrap();
        assert_eq!(stored.membership, membership);
        assert_eq!(stored.sender, alice);
    }
    let nowhere = db.member_counts(room_id!("!no:x")).await.unwrap();
    assert_eq!((nowhere.joined, nowhere.invited), (0, 0));
}

#[tokio::test]
async fn members_are_listed_with_the_names_of_their_events() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut room = Room::created(&db, "room", &alice).await;
    let content = json!({ "displayname": "B\0b \u{10FFFF}", "avatar_url": "mxc://a/b" });
    let joined = db
        .append(room.member(&bob, &bob, Join, content))
        .await
        .unwrap();
    // Old events may hold anything.
    let content = json!({ "displayname": 7, "avatar_url": ["x"] });
    db.append(room.member(&alice, &user("carol"), Invite, content))
        .await
        .unwrap();
    let found = db.members(&room.id, Join, None).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].user_id, alice);
    assert_eq!(found[1].user_id, bob);
    assert_eq!(found[1].membership, Join);
    assert_eq!(found[1].display_name.as_deref(), Some("B\0b \u{10FFFF}"));
    assert_eq!(found[1].avatar_url.as_deref(), Some("mxc://a/b"));
    assert_eq!(found[1].position, joined.position);
    assert_eq!(db.members(&room.id, Join, Some(1)).await.unwrap().len(), 1);
    let invited = db.members(&room.id, Invite, None).await.unwrap();
    assert_eq!(invited[0].display_name, None);
    assert_eq!(invited[0].avatar_url, None);
    assert!(db.members(&room.id, Ban, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_users_rooms_are_listed_by_membership_and_position() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut rooms = Vec::new();
    for membership in [Join, Invite, Join, Leave, Ban, Knock] {
        let mut room = Room::created(&db, "room", &alice).await;
        room.set_member(&db, &alice, &bob, membership).await;
        rooms.push(room);
    }
    let list = |wanted: &'static [MembershipState]| {
        let (db, bob) = (&db, &bob);
        async move {
            let found = db.rooms_of(bob, wanted).await.unwrap();
            found
                .into_iter()
                .map(|membership| membership.room_id)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(
        list(&[Join]).await,
        [rooms[0].id.clone(), rooms[2].id.clone()]
    );
    assert_eq!(
        list(&[Join, Invite]).await,
        [&rooms[0], &rooms[1], &rooms[2]].map(|room| room.id.clone())
    );
    assert_eq!(list(&[Knock]).await, [rooms[5].id.clone()]);
    assert!(list(&[]).await.is_empty());
    assert_eq!(db.rooms_of(&alice, &[Join]).await.unwrap().len(), 6);
}

#[tokio::test]
async fn left_rooms_are_those_left_between_the_positions_and_not_forgotten() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut left = Vec::new();
    let mut rooms = Vec::new();
    for membership in [Leave, Ban, Leave] {
        let mut room = Room::created(&db, "room", &alice).await;
        left.push(room.set_member(&db, &alice, &bob, membership).await);
        rooms.push(room);
    }
    let list = |after, upto| {
        let (db, bob) = (&db, &bob);
        async move {
            let found = db.left_rooms(bob, after, upto).await.unwrap();
            found
                .into_iter()
                .map(|membership| membership.position)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(list(StreamPosition::START, left[2]).await, left);
    assert_eq!(list(left[0], left[1]).await, [left[1]]);
    assert!(list(left[2], left[2]).await.is_empty());

    db.watcher.take();
    assert!(db.forget(&rooms[1].id, &bob).await.unwrap());
    assert_eq!(db.watcher.take_words(), ["@bob:test.example forgot"]);
    assert_eq!(
        list(StreamPosition::START, left[2]).await,
        [left[0], left[2]]
    );
    let banned = db.rooms_of(&bob, &[Ban]).await.unwrap();
    assert!(banned.is_empty());
    let stored = db.membership(&rooms[1].id, &bob).await.unwrap().unwrap();
    assert!(stored.forgotten);
    // To be let in again, or shut out, is no reason to remember; a new invitation is.
    for away in [Leave, Ban] {
        rooms[1].set_member(&db, &alice, &bob, away).await;
        let stored = db.membership(&rooms[1].id, &bob).await.unwrap().unwrap();
        assert!(stored.forgotten);
    }
    rooms[1].set_member(&db, &alice, &bob, Invite).await;
    let stored = db.membership(&rooms[1].id, &bob).await.unwrap().unwrap();
    assert!(!stored.forgotten);
}

#[tokio::test]
async fn only_a_room_that_was_left_can_be_forgotten() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let mut room = Room::created(&db, "room", &alice).await;
    assert!(!db.forget(&room.id, &bob).await.unwrap());
    assert!(!db.forget(&room.id, &alice).await.unwrap());
    assert!(!db.forget(room_id!("!no:x"), &alice).await.unwrap());
    for inside in [Invite, Join, Knock] {
        room.set_member(&db, &alice, &bob, inside).await;
        assert!(!db.forget(&room.id, &bob).await.unwrap());
    }
    let stored = db.membership(&room.id, &bob).await.unwrap().unwrap();
    assert!(!stored.forgotten);
}

#[tokio::test]
async fn heroes_are_the_first_five_others_who_are_there_or_else_who_left() {
    let db = TestDb::new();
    let names = ["alice", "b", "c", "d", "e"];
    let (mut room, users) = room_with_members(&db, &names).await;
    let alice = &users[0];
    let late: Vec<OwnedUserId> = ["f", "g", "h"].map(user).to_vec();
    for guest in &late {
        room.set_member(&db, alice, guest, Invite).await;
    }
    let heroes = |reader: OwnedUserId| {
        let (db, id) = (&db, &room.id);
        async move { db.heroes(id, &reader).await.unwrap() }
    };
    let expected = [&users[1], &users[2], &users[3], &users[4], &late[0]];
    assert_eq!(heroes(alice.clone()).await, expected.map(Clone::clone));
    assert_eq!(heroes(users[1].clone()).await.first(), Some(alice));
    assert_eq!(heroes(user("stranger")).await.len(), 5);
    // A change of name moves a member to where the new event stands.
    let renamed = room.member(&users[1], &users[1], Join, json!({ "displayname": "B" }));
    db.append(renamed).await.unwrap();
    assert_eq!(db.heroes(&room.id, alice).await.unwrap()[0], users[2]);
    for guest in users[1..].iter().chain(&late) {
        room.set_member(&db, guest, guest, Leave).await;
    }
    let gone = db.heroes(&room.id, alice).await.unwrap();
    assert_eq!(
        gone,
        users[1..]
            .iter()
            .chain(&late[..1])
            .cloned()
            .collect::<Vec<_>>()
    );
    let alone = Room::created(&db, "alone", alice).await;
    assert!(db.heroes(&alone.id, alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn sharing_a_room_takes_two_who_are_joined() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob, carol) = (&users[0], &users[1], user("carol"));
    assert!(db.share_room(alice, bob).await.unwrap());
    assert!(db.share_room(bob, alice).await.unwrap());
    assert!(!db.share_room(alice, &carol).await.unwrap());
    room.set_member(&db, alice, &carol, Invite).await;
    assert!(!db.share_room(alice, &carol).await.unwrap());
    room.set_member(&db, bob, bob, Leave).await;
    assert!(!db.share_room(alice, bob).await.unwrap());
}

#[tokio::test]
async fn a_summary_is_of_the_position_that_is_asked_for() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let others: Vec<OwnedUserId> = (0..8).map(|n| user(&format!("u{n}"))).collect();
    let begun = room.say(&db, &alice, "x").await;
    let now = db.room_summary(&room.id, &alice, begun).await.unwrap();
    let mut story = vec![(begun, now)];
    for step in 0..60_usize {
        let who = &others[step * 5 % others.len()];
        let membership = [Invite, Join, Join, Ban, Leave, Knock, Join][step * 3 % 7].clone();
        let named = |has: bool| match has {
            true => json!({"name": "N", "alias": "#n:test.example"}),
            false => json!({}),
        };
        let position = match step % 10 {
            7 => {
                let content = named(step % 20 == 7);
                room.set(&db, &alice, "m.room.name", content).await
            }
            9 => {
                let content = named(step % 20 == 9);
                room.set(&db, &alice, "m.room.canonical_alias", content)
                    .await
            }
            _ => room.set_member(&db, &alice, who, membership).await,
        };
        let now = db.room_summary(&room.id, &alice, position).await.unwrap();
        let counts = db.member_counts(&room.id).await.unwrap();
        assert_eq!(now.counts, counts, "nothing has changed since");
        story.push((position, now));
    }
    for (position, then) in story {
        let asked = db.room_summary(&room.id, &alice, position).await.unwrap();
        assert_eq!(asked, then, "at {position:?}");
    }
    db.close().await;
}
