//! What sliding sync asks beyond the questions of the other subjects.

use greenroom_model::StreamPosition;
use greenroom_storage::SlidingStore;

use crate::support::{TestDb, room_with_members};

#[tokio::test]
async fn the_state_of_several_rooms_has_the_places_that_are_filled() {
    let db = TestDb::new();
    let (one, _) = room_with_members(&db, &["alice"]).await;
    let place = |event_type: &str| (event_type.to_owned(), String::new());
    let keys = vec![place("m.room.create"), place("m.room.none")];
    let missing = ruma::room_id!("!none:test.example").to_owned();
    let rooms = vec![one.id.clone(), missing];
    let found = db
        .entries_of_rooms(rooms, keys, StreamPosition(i64::MAX))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].event_type, "m.room.create");
    assert_eq!(found[0].room_id, one.id);
    db.close().await;
}

#[tokio::test]
async fn the_newest_event_of_a_type_is_looked_for_among_the_last_ones() {
    let db = TestDb::new();
    let (room, _) = room_with_members(&db, &["alice", "bob", "carol"]).await;
    let newest = async |types, look_at| {
        let found = db.newest_of_types(&room.id, types, look_at).await;
        found.unwrap()
    };
    let create = newest(&["m.room.create"], 500).await.unwrap();
    let member = newest(&["m.room.member"], 500).await.unwrap();
    assert!(create < member);
    let oldest_of_two = newest(&["m.room.create"], 2).await.unwrap();
    assert!(oldest_of_two > create && oldest_of_two < member);
    let nothing = db
        .newest_of_types(ruma::room_id!("!none:b"), &["x"], 5)
        .await;
    assert_eq!(nothing.unwrap(), None::<StreamPosition>);
    db.close().await;
}
