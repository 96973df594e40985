//! Events that relate to others: what is found of them, what is summed up, what a redaction takes.

use std::{collections::HashSet, sync::Arc};

use greenroom_model::{Aggregations, Relation, StreamPosition, Target, rel_type};
use greenroom_storage::{
    Append, Direction, RelatingQuery, RelationReader, RelationStore, RoomStore, StorageError,
    ThreadsQuery,
};
use ruma::{EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, RoomId, UInt, UserId};
use serde_json::json;

use crate::support::{Room, TestDb, room_with_members, user};

/// An event of any type that relates to another one.
fn relating(
    room: &mut Room,
    sender: &UserId,
    event_type: &str,
    (rel_type, target): (&str, &EventId),
) -> Append {
    let content = json!({ "m.relates_to": { "rel_type": rel_type, "event_id": target } });
    let mut append = room.event(sender, event_type, None, content);
    append.relation = Some(Relation {
        target: target.to_owned(),
        rel_type: rel_type.to_owned(),
        key: None,
        is_edit: rel_type == rel_type::REPLACE,
    });
    append
}

fn reaction(room: &mut Room, sender: &UserId, target: &EventId, key: &str) -> Append {
    let mut append = relating(room, sender, "m.reaction", (rel_type::ANNOTATION, target));
    append.relation.as_mut().unwrap().key = Some(key.to_owned());
    append
}

async fn send(db: &TestDb, append: Append) -> (OwnedEventId, StreamPosition) {
    let event_id = append.event_id.clone();
    (event_id, db.append(append).await.unwrap().position)
}

async fn relate(
    db: &TestDb,
    room: &mut Room,
    sender: &UserId,
    relation: (&str, &EventId),
) -> OwnedEventId {
    send(db, relating(room, sender, "m.room.message", relation))
        .await
        .0
}

async fn redact(db: &TestDb, room: &mut Room, sender: &UserId, append: &Append) {
    let redaction = room.redaction(sender, append, &json!({}));
    db.append(redaction).await.unwrap();
}

fn reader(user_id: &UserId) -> RelationReader {
    RelationReader {
        user_id: user_id.to_owned(),
        ignored: None,
        visible: vec![(StreamPosition::START, StreamPosition(i64::MAX))],
    }
}

fn ignoring(user_id: &UserId, ignored: &[&OwnedUserId]) -> RelationReader {
    let ignored: HashSet<OwnedUserId> = ignored.iter().map(|&user| user.clone()).collect();
    RelationReader {
        ignored: Some(Arc::new(ignored)),
        ..reader(user_id)
    }
}

/// A message as the target of others.
fn target(append: &Append, position: StreamPosition) -> Target {
    Target {
        room_id: append.room_id.clone(),
        event_id: append.event_id.clone(),
        position,
        event_type: append.event_type.clone(),
        sender: append.sender.clone(),
        editable: true,
        threadable: true,
    }
}

/// A message that is stored, as the target of others.
async fn root(db: &TestDb, room: &mut Room, sender: &UserId) -> Target {
    let message = room.message(sender, "root");
    let position = db.append(message.clone()).await.unwrap().position;
    target(&message, position)
}

async fn summed(db: &TestDb, target: &Target, reader: RelationReader) -> Aggregations {
    let mut all = db.aggregations(vec![target.clone()], reader).await.unwrap();
    all.remove(&target.event_id).unwrap_or_default()
}

/// Count, newest reply, participation.
async fn thread(
    db: &TestDb,
    target: &Target,
    reader: RelationReader,
) -> Option<(u64, OwnedEventId, bool)> {
    let thread = summed(db, target, reader).await.thread?;
    Some((thread.count, thread.latest.event_id, thread.participated))
}

fn query(room_id: &RoomId, target: &EventId) -> RelatingQuery {
    RelatingQuery {
        room_id: room_id.to_owned(),
        target: target.to_owned(),
        rel_type: None,
        event_type: None,
        recurse: false,
        after: StreamPosition::START,
        upto: StreamPosition(i64::MAX),
        direction: Direction::Backward,
        limit: 100,
    }
}

async fn found(db: &TestDb, query: RelatingQuery) -> Vec<OwnedEventId> {
    let events = db.relating_events(query).await.unwrap();
    events.into_iter().map(|event| event.event_id).collect()
}

#[tokio::test]
async fn a_thread_is_counted_and_its_newest_reply_known() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (&users[0], &users[1], &users[2]);
    let message = root(&db, &mut room, alice).await;
    assert_eq!(thread(&db, &message, reader(bob)).await, None);
    let relation = (rel_type::THREAD, &*message.event_id);
    let first = relating(&mut room, bob, "m.room.message", relation);
    send(&db, first.clone()).await;
    let last = relating(&mut room, bob, "m.room.message", relation);
    send(&db, last.clone()).await;
    let right = |count, latest: &Append, part| Some((count, latest.event_id.clone(), part));
    assert_eq!(
        thread(&db, &message, reader(bob)).await,
        right(2, &last, true)
    );
    // Who sent the root has taken part, who only reads has not.
    assert_eq!(
        thread(&db, &message, reader(alice)).await,
        right(2, &last, true)
    );
    assert_eq!(
        thread(&db, &message, reader(carol)).await,
        right(2, &last, false)
    );

    redact(&db, &mut room, bob, &last).await;
    assert_eq!(
        thread(&db, &message, reader(carol)).await,
        right(1, &first, false)
    );
    redact(&db, &mut room, bob, &first).await;
    assert_eq!(thread(&db, &message, reader(bob)).await, None);
    let threads = ThreadsQuery {
        room_id: room.id.clone(),
        upto: StreamPosition(i64::MAX),
        participant: None,
        limit: 10,
    };
    assert_eq!(
        db.threads(threads).await.unwrap().roots,
        Vec::<OwnedEventId>::new()
    );
}

#[tokio::test]
async fn ignored_and_hidden_replies_are_left_out() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (&users[0], &users[1], &users[2]);
    let message = root(&db, &mut room, alice).await;
    let relation = (rel_type::THREAD, &*message.event_id);
    let by_bob = relate(&db, &mut room, bob, relation).await;
    let (by_carol, middle) =
        send(&db, relating(&mut room, carol, "m.room.message", relation)).await;
    let by_bob_again = relate(&db, &mut room, bob, relation).await;
    let right = |count, latest: &OwnedEventId| Some((count, latest.clone(), true));
    assert_eq!(
        thread(&db, &message, reader(alice)).await,
        right(3, &by_bob_again)
    );
    assert_eq!(
        thread(&db, &message, ignoring(alice, &[bob])).await,
        right(1, &by_carol)
    );
    assert_eq!(
        thread(&db, &message, ignoring(alice, &[carol])).await,
        right(2, &by_bob_again)
    );
    assert_eq!(
        thread(&db, &message, ignoring(alice, &[bob, carol])).await,
        None
    );

    let mut left = reader(alice);
    left.visible = vec![(StreamPosition::START, middle)];
    assert_eq!(
        thread(&db, &message, left.clone()).await,
        right(2, &by_carol)
    );
    left.ignored = ignoring(alice, &[carol]).ignored;
    assert_eq!(thread(&db, &message, left).await, right(1, &by_bob));
    let mut away = reader(alice);
    away.visible = vec![
        (StreamPosition::START, message.position),
        (middle, StreamPosition(i64::MAX)),
    ];
    assert_eq!(
        thread(&db, &message, away.clone()).await,
        right(1, &by_bob_again)
    );
    away.visible.pop();
    assert_eq!(thread(&db, &message, away).await, None);
}

#[tokio::test]
async fn the_newest_valid_edit_counts() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let message = root(&db, &mut room, alice).await;
    let relation = (rel_type::REPLACE, &*message.event_id);
    let edit = async |db: &TestDb, reader: RelationReader| {
        let summed = summed(db, &message, reader).await;
        summed.edit.map(|edit| edit.event_id)
    };
    // By somebody else, of another type, without new content: "should be ignored".
    relate(&db, &mut room, bob, relation).await;
    send(&db, relating(&mut room, alice, "m.sticker", relation)).await;
    let mut empty = relating(&mut room, alice, "m.room.message", relation);
    empty.relation.as_mut().unwrap().is_edit = false;
    send(&db, empty).await;
    assert_eq!(edit(&db, reader(bob)).await, None);

    let at = |append: &mut Append, ts: u32| {
        append.origin_server_ts = MilliSecondsSinceUnixEpoch(UInt::from(ts));
    };
    let mut newest = relating(&mut room, alice, "m.room.message", relation);
    at(&mut newest, 9_000);
    send(&db, newest.clone()).await;
    // Sent later with an earlier time, it is older.
    let mut older = relating(&mut room, alice, "m.room.message", relation);
    at(&mut older, 8_000);
    send(&db, older.clone()).await;
    assert_eq!(
        edit(&db, reader(bob)).await.as_ref(),
        Some(&newest.event_id)
    );
    assert_eq!(edit(&db, ignoring(bob, &[alice])).await, None);
    // At the same time, the greater ID is newer.
    let mut twin = relating(&mut room, alice, "m.room.message", relation);
    at(&mut twin, 9_000);
    twin.event_id = "$zzz".try_into().unwrap();
    send(&db, twin.clone()).await;
    let mut lesser = relating(&mut room, alice, "m.room.message", relation);
    at(&mut lesser, 9_000);
    lesser.event_id = "$000".try_into().unwrap();
    send(&db, lesser).await;
    assert_eq!(edit(&db, reader(bob)).await.as_ref(), Some(&twin.event_id));

    redact(&db, &mut room, alice, &twin).await;
    assert_eq!(
        edit(&db, reader(bob)).await.as_ref(),
        Some(&newest.event_id)
    );
    let mut fixed = message.clone();
    fixed.editable = false;
    assert_eq!(
        summed(&db, &fixed, reader(bob)).await,
        Aggregations::default()
    );
}

#[tokio::test]
async fn references_are_listed_and_a_reply_has_its_own() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let message = root(&db, &mut room, alice).await;
    let relation = (rel_type::REFERENCE, &*message.event_id);
    let first = relate(&db, &mut room, alice, relation).await;
    let by_bob = relating(&mut room, bob, "m.room.message", relation);
    send(&db, by_bob.clone()).await;
    let last = relate(&db, &mut room, alice, relation).await;
    let all = summed(&db, &message, reader(alice)).await.references;
    assert_eq!(all, [first.clone(), by_bob.event_id.clone(), last.clone()]);
    let some = summed(&db, &message, ignoring(alice, &[bob]))
        .await
        .references;
    assert_eq!(some, [first.clone(), last.clone()]);
    redact(&db, &mut room, bob, &by_bob).await;
    let rest = summed(&db, &message, reader(alice)).await.references;
    assert_eq!(rest, [first, last]);

    let reply = relate(&db, &mut room, bob, (rel_type::THREAD, &message.event_id)).await;
    let edit = relate(&db, &mut room, bob, (rel_type::REPLACE, &reply)).await;
    let all = db.aggregations(vec![message.clone()], reader(alice)).await;
    let of_reply = all.unwrap().remove(&reply).unwrap();
    assert_eq!(of_reply.edit.unwrap().event_id, edit);
}

#[tokio::test]
async fn a_relation_into_another_room_or_to_nothing_is_harmless() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let room_id = room.id.clone();
    let mut other = Room::created(&db, "other", &alice).await;
    let message = root(&db, &mut room, &alice).await;
    for rel_type in [rel_type::THREAD, rel_type::REPLACE, rel_type::REFERENCE] {
        relate(&db, &mut other, &alice, (rel_type, &message.event_id)).await;
    }
    assert_eq!(
        summed(&db, &message, reader(&alice)).await,
        Aggregations::default()
    );
    assert_eq!(
        found(&db, query(&room_id, &message.event_id)).await,
        Vec::<OwnedEventId>::new()
    );

    // What is not there yet is found once it comes.
    let mut late = room.message(&alice, "late");
    late.event_id = "$late\0\u{10FFFF}".try_into().unwrap();
    let reply = relate(&db, &mut room, &alice, (rel_type::THREAD, &late.event_id)).await;
    let itself: OwnedEventId = "$itself".try_into().unwrap();
    let mut loops = relating(&mut room, &alice, "m.x", (rel_type::REFERENCE, &itself));
    loops.event_id = itself.clone();
    send(&db, loops).await;
    assert_eq!(
        found(&db, query(&room_id, &late.event_id)).await,
        [reply.clone()]
    );
    assert_eq!(found(&db, query(&room_id, &itself)).await, [itself]);
}

#[expect(
    clippy::too_many_lines,
    reason = "one tree of events, looked at from all sides"
)]
#[tokio::test]
async fn recursion_finds_three_steps_by_ways_of_the_types_wanted() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice"]).await;
    let (alice, room_id) = (&users[0], room.id.clone());
    let message = root(&db, &mut room, alice).await;
    let one = relating(
        &mut room,
        alice,
        "m.room.message",
        (rel_type::REFERENCE, &message.event_id),
    );
    send(&db, one.clone()).await;
    let two = relating(
        &mut room,
        alice,
        "m.room.message",
        (rel_type::REFERENCE, &one.event_id),
    );
    send(&db, two.clone()).await;
    let other = relating(
        &mut room,
        alice,
        "m.other",
        (rel_type::REFERENCE, &one.event_id),
    );
    send(&db, other.clone()).await;
    let three = reaction(&mut room, alice, &two.event_id, "x");
    send(&db, three.clone()).await;
    let four = relating(
        &mut room,
        alice,
        "m.x",
        (rel_type::REFERENCE, &three.event_id),
    );
    send(&db, four.clone()).await;
    let all = |direction| RelatingQuery {
        recurse: true,
        direction,
        ..query(&room_id, &message.event_id)
    };
    let ids = |appends: &[&Append]| -> Vec<OwnedEventId> {
        appends.iter().map(|it| it.event_id.clone()).collect()
    };
    let back = found(&db, all(Direction::Backward)).await;
    assert_eq!(back, ids(&[&three, &other, &two, &one]));
    let forth = found(&db, all(Direction::Forward)).await;
    assert_eq!(forth, ids(&[&one, &two, &other, &three]));
    let some = RelatingQuery {
        limit: 2,
        ..all(Direction::Forward)
    };
    assert_eq!(found(&db, some).await, ids(&[&one, &two]));
    assert_eq!(
        found(&db, query(&room_id, &message.event_id)).await,
        ids(&[&one])
    );
    let of_type = |rel_type: &str, event_type: Option<&str>| RelatingQuery {
        rel_type: Some(rel_type.to_owned()),
        event_type: event_type.map(ToOwned::to_owned),
        ..all(Direction::Forward)
    };
    let references = found(&db, of_type(rel_type::REFERENCE, None)).await;
    assert_eq!(references, ids(&[&one, &two, &other]));
    let messages = of_type(rel_type::REFERENCE, Some("m.room.message"));
    assert_eq!(found(&db, messages).await, ids(&[&one, &two]));
    // "[...] whose only relation to the original given event is through a non-matching
    // intermediate event, will not be included."
    let others = of_type(rel_type::REFERENCE, Some("m.other"));
    assert_eq!(found(&db, others).await, Vec::<OwnedEventId>::new());
    let annotations = found(&db, of_type(rel_type::ANNOTATION, None)).await;
    assert_eq!(annotations, Vec::<OwnedEventId>::new());

    // A redaction in the middle cuts the ways over it, and only them.
    redact(&db, &mut room, alice, &two).await;
    assert_eq!(
        found(&db, all(Direction::Forward)).await,
        ids(&[&one, &other])
    );
    let below = RelatingQuery {
        recurse: true,
        direction: Direction::Forward,
        ..query(&room_id, &two.event_id)
    };
    assert_eq!(found(&db, below).await, ids(&[&three, &four]));
    redact(&db, &mut room, alice, &one).await;
    assert_eq!(found(&db, all(Direction::Forward)).await, ids(&[]));
}

#[tokio::test]
async fn the_same_annotation_is_refused_until_the_first_is_redacted() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let message = root(&db, &mut room, alice).await;
    let key = "\0👍".repeat(5_000);
    let annotated = async |db: &TestDb, key: &str| {
        let target = &*message.event_id;
        db.has_annotated(&message.room_id, target, bob, "m.reaction", key)
            .await
            .unwrap()
    };
    assert!(!annotated(&db, &key).await);
    // Both are on their way at once, and the second is refused: what follows it is built anew.
    let first = reaction(&mut room, bob, &message.event_id, &key);
    let second = reaction(&mut room, bob, &message.event_id, &key);
    let (first_done, second_done) = (db.append(first.clone()), db.append(second));
    assert!(first_done.await.is_ok());
    assert!(matches!(
        second_done.await,
        Err(StorageError::DuplicateAnnotation)
    ));
    room.reload();
    assert!(annotated(&db, &key).await && !annotated(&db, "other").await);
    let mut other_type = reaction(&mut room, bob, &message.event_id, &key);
    other_type.event_type = "m.other".to_owned();
    let others = [
        reaction(&mut room, bob, &message.event_id, "other"),
        reaction(&mut room, alice, &message.event_id, &key),
        other_type,
    ];
    for other in others {
        db.append(other).await.unwrap();
    }
    redact(&db, &mut room, bob, &first).await;
    assert!(!annotated(&db, &key).await);
    let again = reaction(&mut room, bob, &message.event_id, &key);
    db.append(again).await.unwrap();
}

#[tokio::test]
async fn threads_come_by_their_newest_replies() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let mut roots = Vec::new();
    for sender in [alice, bob, alice, alice] {
        roots.push(root(&db, &mut room, sender).await);
    }
    // A reply in a thread's reply is in no thread, whoever let it pass.
    let reply = relate(
        &db,
        &mut room,
        alice,
        (rel_type::THREAD, &roots[0].event_id),
    )
    .await;
    relate(&db, &mut room, alice, (rel_type::THREAD, &reply)).await;
    for (root, sender) in [(1, alice), (2, alice), (3, bob), (1, alice)] {
        relate(
            &db,
            &mut room,
            sender,
            (rel_type::THREAD, &roots[root].event_id),
        )
        .await;
    }
    let page = async |upto, participant: Option<&OwnedUserId>, limit| {
        let query = ThreadsQuery {
            room_id: room.id.clone(),
            upto,
            participant: participant.cloned(),
            limit,
        };
        db.threads(query).await.unwrap()
    };
    let ids = |numbers: &[usize]| -> Vec<OwnedEventId> {
        let roots = numbers.iter().map(|number| &roots[*number]);
        roots.map(|root| root.event_id.clone()).collect()
    };
    let end = StreamPosition(i64::MAX);
    let all = page(end, None, 10).await;
    assert_eq!((all.roots, all.next), (ids(&[1, 3, 2, 0]), None));
    let first = page(end, None, 3).await;
    assert_eq!(first.roots, ids(&[1, 3, 2]));
    let rest = page(first.next.unwrap(), None, 3).await;
    assert_eq!((rest.roots, rest.next), (ids(&[0]), None));
    let exact = page(end, None, 4).await;
    assert_eq!((exact.roots.len(), exact.next), (4, None));
    // Bob has sent a root and a reply.
    let of_bob = page(end, Some(bob), 1).await;
    assert_eq!(of_bob.roots, ids(&[1]));
    let rest = page(of_bob.next.unwrap(), Some(bob), 5).await;
    assert_eq!((rest.roots, rest.next), (ids(&[3]), None));
}

#[tokio::test]
async fn a_thread_with_more_replies_than_are_looked_at_at_once() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let message = root(&db, &mut room, alice).await;
    let relation = (rel_type::THREAD, &*message.event_id);
    let by_alice = relate(&db, &mut room, alice, relation).await;
    let replies: Vec<_> = (0..250)
        .map(|_| db.append(relating(&mut room, bob, "m.room.message", relation)))
        .collect();
    for reply in replies {
        reply.await.unwrap();
    }
    let all = thread(&db, &message, reader(alice)).await.unwrap();
    assert_eq!(all.0, 251);
    let rest = thread(&db, &message, ignoring(alice, &[bob])).await;
    assert_eq!(rest, Some((1, by_alice, true)));
}

#[tokio::test]
async fn references_are_cut_after_those_are_left_out_that_are_not_for_the_reader() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let parent = room.event(alice, "m.room.message", None, json!({}));
    let (_, at) = send(&db, parent.clone()).await;
    let own = relate(
        &db,
        &mut room,
        alice,
        (rel_type::REFERENCE, &parent.event_id),
    )
    .await;
    for _ in 0..1_001 {
        relate(&db, &mut room, bob, (rel_type::REFERENCE, &parent.event_id)).await;
    }
    let targets = || vec![target(&parent, at)];
    let references = |mut summed: std::collections::HashMap<OwnedEventId, Aggregations>| {
        summed.remove(&parent.event_id).unwrap().references
    };
    let all = db.aggregations(targets(), reader(alice)).await.unwrap();
    assert_eq!(references(all).len(), 1_000);
    let ignoring = ignoring(alice, &[bob]);
    let some = db.aggregations(targets(), ignoring).await.unwrap();
    assert_eq!(references(some), [own]);
}

#[tokio::test]
async fn a_redaction_cuts_all_of_very_many_ways_over_its_target() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice"]).await;
    let alice = &users[0];
    let message = root(&db, &mut room, alice).await;
    let middle = relating(
        &mut room,
        alice,
        "m.room.message",
        (rel_type::REFERENCE, &message.event_id),
    );
    db.append(middle.clone()).await.unwrap();
    let below: Vec<_> = (0..1_100)
        .map(|_| {
            let relation = (rel_type::REFERENCE, &*middle.event_id);
            db.append(relating(&mut room, alice, "m.room.message", relation))
        })
        .collect();
    for event in below {
        event.await.unwrap();
    }
    let all = RelatingQuery {
        recurse: true,
        limit: 2_000,
        ..query(&room.id, &message.event_id)
    };
    assert_eq!(found(&db, all.clone()).await.len(), 1_101);
    redact(&db, &mut room, alice, &middle).await;
    assert!(found(&db, all).await.is_empty());
    let direct = RelatingQuery {
        limit: 2_000,
        ..query(&room.id, &middle.event_id)
    };
    assert_eq!(found(&db, direct).await.len(), 1_100);
}
