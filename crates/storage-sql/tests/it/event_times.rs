//! A room's events by their time, where the clock was set back now and then.

use greenroom_model::StreamPosition;
use greenroom_storage::{Direction, EventTimeStore, RoomStore};
use ruma::{MilliSecondsSinceUnixEpoch, UInt};

use crate::support::{Room, TestDb, user};

/// The room's events, as position and time.
type Sent = Vec<(StreamPosition, u64)>;

/// Sends a message at each of these times, among those of another room.
async fn speak(db: &TestDb, room: &mut Room, times: &[u64]) -> Sent {
    let alice = user("alice");
    let mut other = Room::created(db, "other", &alice).await;
    let mut sent = Sent::new();
    // The room's first events say a later time.
    let mut before = u64::MAX;
    for ts in times {
        other.say(db, &alice, "elsewhere").await;
        let mut message = room.message(&alice, "x");
        message.origin_server_ts = MilliSecondsSinceUnixEpoch(UInt::new_saturating(*ts));
        message.steps_back = *ts < before;
        before = *ts;
        sent.push((db.append(message).await.unwrap().position, *ts));
    }
    sent
}

/// Asks for every time there is, and checks each answer against all that was sent.
async fn check(db: &TestDb, room: &Room, sent: &Sent, upto: StreamPosition) {
    let most = sent.iter().map(|(_, ts)| *ts).max().unwrap_or(0);
    for ts in 0..most + 2 {
        for direction in [Direction::Forward, Direction::Backward] {
            let asked = db.stretches_by_time(&room.id, ts, direction, upto).await;
            let stretches = asked.unwrap();
            let mut edge = StreamPosition::START;
            for (after, end) in &stretches {
                assert!(
                    edge <= *after && after < end && *end <= upto,
                    "{stretches:?}"
                );
                edge = *end;
                let inside = sent.iter().filter(|(at, _)| at > after && at <= end);
                assert!(inside.is_sorted_by_key(|(_, ts)| *ts), "{stretches:?}");
            }
            for (at, time) in sent.iter().filter(|(at, _)| *at <= upto) {
                let inside = stretches.iter().any(|(after, end)| after < at && at <= end);
                let right = match direction {
                    Direction::Forward => *time >= ts,
                    Direction::Backward => *time <= ts,
                };
                assert_eq!(
                    inside, right,
                    "{ts} {direction:?}: {at} {time} {stretches:?}"
                );
            }
        }
    }
}

/// A room that has no events of its own times: its first two are left out of what is checked.
async fn room(db: &TestDb) -> Room {
    Room::created(db, "room", &user("alice")).await
}

#[tokio::test]
async fn b35_times_that_jump_about_are_found_where_they_are() {
    let db = TestDb::new();
    for times in [
        &[][..],
        &[5],
        &[5, 5, 5],
        &[3, 4, 4, 7, 9],
        &[9, 1, 2, 3, 9, 10],
        &[9, 8, 7, 6],
        &[2, 30, 3, 31, 4, 4, 4, 3, 40, 0],
    ] {
        let mut room = room(&db).await;
        let sent = speak(&db, &mut room, times).await;
        check(&db, &room, &sent, db.watcher.position()).await;
        if let Some((middle, _)) = sent.get(sent.len() / 2) {
            check(&db, &room, &sent, *middle).await;
        }
    }
    // As far as time can be said.
    let mut room = room(&db).await;
    let sent = speak(&db, &mut room, &[1, 2]).await;
    let upto = db.watcher.position();
    for (direction, all) in [(Direction::Forward, 0), (Direction::Backward, 2)] {
        let far = db.stretches_by_time(&room.id, u64::MAX, direction, upto);
        let far = far.await.unwrap();
        let inside = sent
            .iter()
            .filter(|(at, _)| far.iter().any(|(after, upto)| after < at && at <= upto));
        assert_eq!(inside.count(), all, "{direction:?}");
    }
    db.close().await;
}

#[tokio::test]
async fn an_upgrade_finds_where_the_clock_was_set_back_before() {
    let db = TestDb::new();
    let mut room = room(&db).await;
    let sent = speak(&db, &mut room, &[9, 1, 2, 2, 9, 3]).await;
    db.close().await;
    let TestDb { db, place, .. } = db;
    drop(db);
    place.execute(
        "DROP TABLE time_steps; \
         DELETE FROM __diesel_schema_migrations WHERE version = '20261123100460'",
    );
    let db = TestDb::at(place);
    check(&db, &room, &sent, db.watcher.position()).await;
    db.close().await;
}
