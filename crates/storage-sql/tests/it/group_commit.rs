//! Group commit: acts fail alone and commit together, in order, announced once.

use greenroom_model::StreamPosition;
use greenroom_storage::{
    AccountDataStore, AccountStore, Appended, Committed, DirectoryStore, RoomStore, StorageError,
    TimelineStore,
};
use greenroom_stream::ChangeKind;
use ruma::room_alias_id;
use serde_json::{json, value::to_raw_value};

use crate::support::{Room, TestDb, register, user};

/// As many acts as the queue holds, and one.
const MORE_THAN_THE_QUEUE: usize = 16_384 + 1;

async fn outcomes(committed: Vec<Committed>) -> Vec<Result<Appended, StorageError>> {
    let mut outcomes = Vec::new();
    for one in committed {
        outcomes.push(one.await);
    }
    outcomes
}

fn word(outcome: &Result<Appended, StorageError>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(StorageError::Conflict) => "conflict",
        Err(StorageError::StaleHead) => "stale",
        Err(_) => "failed",
    }
}

#[tokio::test]
async fn what_is_queued_together_is_committed_together() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let release = db.watcher.hold();
    let first = db.append(room.message(&alice, "holds the writer"));
    let queued: Vec<_> = (0..100)
        .map(|number| db.append(room.message(&alice, &number.to_string())))
        .collect();
    release.send(()).unwrap();
    let before = first.await.unwrap().position;
    let mut last = before;
    for outcome in outcomes(queued).await {
        let position = outcome.unwrap().position;
        assert!(position > last);
        last = position;
    }
    // The room, the message that held the writer, and what was queued behind it: at most two
    // groups more, because the writer may have taken some of it with the first.
    let groups = db.watcher.groups();
    assert!(groups.len() <= 4, "{groups:?}");
    assert_eq!(groups.iter().sum::<usize>(), 103);
    assert_eq!(db.watcher.position(), last);
}

#[tokio::test]
async fn positions_and_announcements_follow_the_queue_across_kinds_of_acts() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let mut room = Room::created(&db, "room", &alice).await;
    db.watcher.take();
    let release = db.watcher.hold();
    let blocking = db.append(room.message(&alice, "holds the writer"));
    let content = || to_raw_value(&json!({})).unwrap();
    // Queued when they are first polled, one after the other.
    let (_, first, _, second, _, ()) = tokio::join!(
        blocking,
        db.append(room.message(&alice, "1")),
        db.set_account_data(&alice, None, "one", content()),
        db.append(room.message(&alice, "2")),
        db.set_account_data(&alice, None, "two", content()),
        async move { release.send(()).unwrap() },
    );
    assert!(first.unwrap().position < second.unwrap().position);
    // Fails the test if positions do not grow.
    let seen = db.watcher.seen();
    assert_eq!(seen.len(), 5);
    let stored = db.account_data_changes(&alice, StreamPosition::START, db.watcher.position());
    let announced: Vec<_> = seen
        .iter()
        .filter(|change| matches!(change.kind, ChangeKind::AccountData { .. }))
        .map(|change| change.position)
        .collect();
    let stored: Vec<_> = stored
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.position)
        .collect();
    assert_eq!(stored, announced);
}

#[tokio::test]
async fn a_conflict_fails_that_append_and_what_was_built_on_it_and_nothing_else() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut other = Room::created(&db, "other", &alice).await;
    db.append(room.message_with(&alice, "1")).await.unwrap();
    db.watcher.take();

    let release = db.watcher.hold();
    let mut committed = vec![
        db.append(room.message(&alice, "holds the writer")),
        db.append(room.message(&alice, "before")),
        db.append(other.message(&alice, "elsewhere")),
        db.append(room.message_with(&alice, "1")),
        db.append(other.event(&alice, "m.room.name", Some(""), json!({ "name": "x" }))),
        db.append(room.message(&alice, "behind")),
        db.append(room.event(&alice, "m.room.topic", Some(""), json!({}))),
        db.append(other.message(&alice, "elsewhere too")),
    ];
    room.reload();
    let loaded_again = room.message(&alice, "loaded again");
    committed.push(db.append(loaded_again.clone()));
    release.send(()).unwrap();
    let outcomes = outcomes(committed).await;
    let words: Vec<_> = outcomes.iter().map(word).collect();
    assert_eq!(
        words,
        [
            "done", "done", "done", "conflict", "done", "stale", "stale", "done", "done"
        ]
    );
    // Announced is what was committed, once.
    let announced: Vec<_> = db
        .watcher
        .take()
        .iter()
        .map(|change| change.position)
        .collect();
    let done: Vec<_> = outcomes
        .iter()
        .flatten()
        .map(|done| done.position)
        .collect();
    assert_eq!(announced, done);
    let newest = db.room_head(&room.id).await.unwrap().unwrap().newest;
    assert_eq!(newest.event_id, loaded_again.event_id);
}

#[tokio::test]
async fn the_same_transaction_twice_in_a_group_makes_one_event() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let release = db.watcher.hold();
    let committed = vec![
        db.append(room.message(&alice, "holds the writer")),
        db.append(room.message_with(&alice, "1")),
        db.append(room.message_with(&alice, "1")),
    ];
    release.send(()).unwrap();
    let words: Vec<_> = outcomes(committed).await.iter().map(word).collect();
    assert_eq!(words, ["done", "done", "conflict"]);
}

#[tokio::test]
async fn an_act_that_fails_leaves_its_neighbours_in_the_group() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let mut room = Room::created(&db, "room", &alice).await;
    let taken = room_alias_id!("#taken:test.example");
    db.create_alias(taken, &room.id, &alice).await.unwrap();
    db.watcher.take();

    let release = db.watcher.hold();
    let blocking = db.append(room.message(&alice, "holds the writer"));
    let mut doomed = Room::new("doomed").creation(&alice, json!({}));
    doomed.alias = Some(taken.to_owned());
    let doomed_id = doomed.room_id.clone();
    let fine = Room::new("fine").creation(&alice, json!({}));
    let fine_id = fine.room_id.clone();
    let free = room_alias_id!("#free:test.example");
    let content = to_raw_value(&json!({})).unwrap();
    let (_, one, two, three, four, last, ()) = tokio::join!(
        blocking,
        db.create_room(doomed),
        db.create_room(fine),
        db.create_alias(taken, &fine_id, &alice),
        db.create_alias(free, &fine_id, &alice),
        db.set_account_data(&alice, None, "m.direct", content),
        async move { release.send(()).unwrap() },
    );
    assert!(matches!(one, Err(StorageError::Conflict)));
    assert!(matches!(three, Err(StorageError::Conflict)));
    assert!(two.is_ok() && four.is_ok() && last.is_ok());
    assert_eq!(db.room_version(&doomed_id).await.unwrap(), None);
    assert!(db.room_version(&fine_id).await.unwrap().is_some());
    assert!(db.alias(free).await.unwrap().is_some());
    assert_eq!(
        db.watcher.take_words(),
        [
            "event m.room.message",
            "event m.room.create",
            "event m.room.member",
            "account data of @alice:test.example in all"
        ]
    );
}

#[tokio::test]
async fn a_change_is_announced_before_it_is_acknowledged_and_after_it_is_committed() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let release = db.watcher.hold();
    let append = room.message(&alice, "seen, not yet acknowledged");
    let event_id = append.event_id.clone();
    let mut committed = tokio::spawn(db.append(append));
    // The writer is inside the announcement now, or will be; the act is not acknowledged there.
    while db.watcher.seen().last().is_none_or(
        |change| !matches!(&change.kind, ChangeKind::Event { event, .. } if event.event_id == event_id),
    ) {
        tokio::task::yield_now().await;
    }
    assert!(db.event(&event_id).await.unwrap().is_some());
    assert!(!committed.is_finished());
    release.send(()).unwrap();
    (&mut committed).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let release = db.watcher.hold();
    let blocking = db.append(room.message(&alice, "holds the writer"));
    // The writer takes what it has room for into its group, so this is more than enough.
    let queued: Vec<_> = (0..MORE_THAN_THE_QUEUE + 512)
        .map(|_| db.append(room.message(&alice, "x")))
        .collect();
    release.send(()).unwrap();
    blocking.await.unwrap();
    let outcomes = outcomes(queued).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(StorageError::Overloaded)))
        .count();
    assert!(refused > 0 && refused <= 1 + 512, "{refused}");
    assert_eq!(outcomes.iter().flatten().count(), outcomes.len() - refused);
    db.probe().await.unwrap();
}

#[tokio::test]
async fn a55_an_observer_that_panics_stops_nothing() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    db.watcher.panic_next();
    let position = room.say(&db, &alice, "heard").await;
    assert_eq!(db.watcher.position(), position);
    assert!(room.say(&db, &alice, "heard too").await > position);
}

#[tokio::test]
async fn a_probe_is_a_write_that_is_committed() {
    let db = TestDb::new();
    db.probe().await.unwrap();
    assert!(db.watcher.take().is_empty());
    let nobody = db.account(&user("nobody")).await.unwrap();
    assert_eq!(nobody, None);
}
