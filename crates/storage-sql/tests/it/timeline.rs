//! A room's events in order.

use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Direction, RoomStore, TimelineStore};
use ruma::{OwnedEventId, room_id};

use crate::support::{Room, TestDb, user};

fn positions(events: &[StoredEvent]) -> Vec<StreamPosition> {
    events.iter().map(|event| event.position).collect()
}

#[tokio::test]
async fn a_page_of_events_is_read_either_way() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut other = Room::created(&db, "other", &alice).await;
    let mut said = Vec::new();
    for number in 0..6 {
        said.push(room.say(&db, &alice, &number.to_string()).await);
        other.say(&db, &alice, "elsewhere").await;
    }
    let page = |after, upto, direction, limit| {
        let (db, id) = (&db, &room.id);
        async move {
            let events = db.events_between(id, after, upto, direction, limit).await;
            positions(&events.unwrap())
        }
    };
    let (forward, backward) = (Direction::Forward, Direction::Backward);
    assert_eq!(page(said[0], said[4], forward, 9).await, said[1..=4]);
    assert_eq!(page(said[0], said[4], forward, 2).await, said[1..=2]);
    assert_eq!(
        page(said[0], said[4], backward, 2).await,
        [said[4], said[3]]
    );
    assert_eq!(page(said[5], said[5], backward, 9).await, []);
    assert_eq!(page(said[0], said[5], forward, 0).await, []);
    let everything = page(StreamPosition::START, said[5], backward, u64::MAX).await;
    assert_eq!(everything.len(), 8);
    assert_eq!(
        everything[..6],
        said.iter().rev().copied().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn events_of_several_rooms_come_oldest_first() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut rooms = Vec::new();
    for name in ["a", "b", "c"] {
        rooms.push(Room::created(&db, name, &alice).await);
    }
    let start = db.watcher.position();
    let mut said = Vec::new();
    for room in [0, 1, 2, 0, 1, 2] {
        said.push(rooms[room].say(&db, &alice, "hi").await);
    }
    let two = [rooms[2].id.clone(), rooms[0].id.clone()];
    let found = db.events_in_rooms(&two, start, said[5], 9).await.unwrap();
    assert_eq!(positions(&found), [said[0], said[2], said[3], said[5]]);
    let found = db.events_in_rooms(&two, start, said[5], 3).await.unwrap();
    assert_eq!(positions(&found), [said[0], said[2], said[3]]);
    let found = db.events_in_rooms(&two, said[0], said[3], 9).await.unwrap();
    assert_eq!(positions(&found), [said[2], said[3]]);
    let found = db.events_in_rooms(&[], start, said[5], 9).await.unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn events_are_found_by_id() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut ids: Vec<OwnedEventId> = Vec::new();
    // More than go into one question.
    let appends: Vec<_> = (0..1_200).map(|_| room.message(&alice, "hi")).collect();
    let committing: Vec<_> = appends
        .into_iter()
        .map(|append| {
            ids.push(append.event_id.clone());
            db.append(append)
        })
        .collect();
    for committed in committing {
        committed.await.unwrap();
    }
    ids.push("$unknown".try_into().unwrap());
    ids.push("$with\0nul".try_into().unwrap());
    let found = db.events(ids.clone()).await.unwrap();
    assert_eq!(found.len(), 1_200);
    assert!(db.events(Vec::new()).await.unwrap().is_empty());
    let first = db.event(&ids[0]).await.unwrap().unwrap();
    assert_eq!(first.event_id, ids[0]);
    for unknown in &ids[1_200..] {
        assert_eq!(db.event(unknown).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_newest_position_is_that_of_the_rooms_last_event() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let other = Room::created(&db, "other", &alice).await;
    let said = room.say(&db, &alice, "last").await;
    assert_eq!(db.newest_position(&room.id).await.unwrap(), Some(said));
    let nowhere = room_id!("!no:test.example");
    assert_eq!(db.newest_position(nowhere).await.unwrap(), None);
    let rooms = vec![other.id.clone(), nowhere.to_owned(), room.id.clone()];
    let found = db.newest_positions(rooms).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], (room.id.clone(), said));
    assert!(db.newest_positions(Vec::new()).await.unwrap().is_empty());
}
