//! What is unread, and the push rules that say so.

use greenroom_model::StreamPosition;
use greenroom_storage::{
    AccountDataStore, KeptUnread, ReadUpto, Receipt, ReceiptStore, UnreadStore,
};
use ruma::{RoomId, UserId, event_id, room_id};
use serde_json::value::RawValue;

use crate::support::{TestDb, user};

fn room() -> &'static RoomId {
    room_id!("!room:test.example")
}

fn kept(upto: i64, events: &[u8]) -> KeptUnread {
    KeptUnread {
        judged_upto: StreamPosition(upto),
        events: events.to_vec(),
    }
}

async fn unread(db: &TestDb, user_id: &UserId, room_id: &RoomId) -> Option<KeptUnread> {
    db.reading(user_id, room_id).await.unwrap().unread
}

#[tokio::test]
async fn what_is_unread_is_kept_by_user_and_room_and_never_goes_back() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let other = room_id!("!other:test.example");
    assert_eq!(unread(&db, &alice, room()).await, None);
    let both = vec![
        (room().to_owned(), kept(7, b"\0seven")),
        (other.to_owned(), kept(5, b"")),
    ];
    db.keep_unread(&alice, both).await.unwrap();
    assert_eq!(unread(&db, &alice, room()).await, Some(kept(7, b"\0seven")));
    assert_eq!(unread(&db, &bob, room()).await, None);
    for (upto, stands) in [(6, 7), (7, 7), (9, 9)] {
        let row = vec![(room().to_owned(), kept(upto, b"x"))];
        db.keep_unread(&alice, row).await.unwrap();
        let judged = unread(&db, &alice, room()).await.unwrap().judged_upto;
        assert_eq!(judged, StreamPosition(stands));
    }
    let mut judged = db.judged_upto(&alice).await.unwrap();
    judged.sort();
    let expected = [(other, 5), (room(), 9)];
    assert_eq!(
        judged,
        expected.map(|(room, upto)| (room.to_owned(), StreamPosition(upto)))
    );
    assert!(db.watcher.take().is_empty(), "nobody need be told");
}

#[tokio::test]
async fn a_reading_has_the_users_receipts_of_all_kinds() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let receipt = |user_id: &UserId, kind: &str, thread: Option<&str>, at: i64| Receipt {
        user_id: user_id.to_owned(),
        receipt_type: kind.to_owned(),
        thread_id: thread.map(ToOwned::to_owned),
        event_id: event_id!("$event").to_owned(),
        ts_ms: 1,
        event_position: StreamPosition(at),
    };
    for (user_id, kind, thread, position) in [
        (&alice, "m.read", None, 3),
        (&alice, "m.read.private", None, 4),
        (&alice, "m.read", Some("$root"), 5),
        (&bob, "m.read", None, 9),
    ] {
        let receipts = vec![receipt(user_id, kind, thread, position)];
        db.set_receipts(room(), user_id, receipts, None)
            .await
            .unwrap();
    }
    let reading = db.reading(&alice, room()).await.unwrap();
    let mut found: Vec<(Option<String>, i64)> = reading
        .receipts
        .into_iter()
        .map(
            |ReadUpto {
                 thread_id,
                 event_position,
                 ..
             }| (thread_id, event_position.0),
        )
        .collect();
    found.sort();
    let root = Some("$root".to_owned());
    assert_eq!(found, [(None, 3), (None, 4), (root, 5)]);
}

#[tokio::test]
async fn rules_change_together_with_what_the_ones_before_found() {
    let db = TestDb::new();
    let alice = user("alice");
    let rules = RawValue::from_string(r#"{"global":{}}"#.to_owned()).unwrap();
    let rows = vec![(room().to_owned(), kept(7, b"x"))];
    let position = db.set_push_rules(&alice, rules, rows).await.unwrap();
    assert_eq!(
        db.watcher.take_words(),
        ["account data of @alice:test.example in all"]
    );
    assert_eq!(position, db.watcher.position());
    let stored = db.account_data(&alice, None, "m.push_rules").await.unwrap();
    assert_eq!(stored.unwrap().get(), r#"{"global":{}}"#);
    assert_eq!(unread(&db, &alice, room()).await, Some(kept(7, b"x")));
}
