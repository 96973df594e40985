//! Read receipts.

use greenroom_model::StreamPosition;
use greenroom_storage::{AccountDataStore, Receipt, ReceiptStore};
use ruma::{EventId, RoomId, UserId, event_id, room_id};

use crate::support::{TestDb, user};

fn room() -> &'static RoomId {
    room_id!("!room:test.example")
}

/// A receipt for an event whose ID begins with its position.
fn receipt(user_id: &UserId, kind: &str, thread: Option<&str>, event_id: &EventId) -> Receipt {
    let digits = event_id
        .as_str()
        .trim_matches(|c: char| !c.is_ascii_digit());
    Receipt {
        user_id: user_id.to_owned(),
        receipt_type: kind.to_owned(),
        thread_id: thread.map(ToOwned::to_owned),
        event_id: event_id.to_owned(),
        event_position: StreamPosition(digits.parse().unwrap()),
        ts_ms: 77,
    }
}

async fn all(db: &TestDb, reader: &UserId, after: StreamPosition) -> Vec<Receipt> {
    let upto = db.watcher.position();
    db.receipts(room(), reader, after, upto).await.unwrap()
}

async fn set(db: &TestDb, receipt: Receipt) {
    let user_id = receipt.user_id.clone();
    db.set_receipts(room(), &user_id, vec![receipt], None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_receipt_only_moves_forward() {
    let db = TestDb::new();
    let alice = user("alice");
    let first = receipt(&alice, "m.read", None, event_id!("$10"));
    set(&db, first.clone()).await;
    assert_eq!(
        all(&db, &alice, StreamPosition::START).await,
        [first.clone()]
    );
    assert_eq!(
        db.watcher.take_words(),
        ["receipt of @alice:test.example, private false"]
    );
    let before = db.watcher.position();
    for event in [event_id!("$9"), event_id!("$10b")] {
        set(&db, receipt(&alice, "m.read", None, event)).await;
    }
    assert!(db.watcher.take().is_empty());
    assert_eq!(all(&db, &alice, StreamPosition::START).await, [first]);
    let later = receipt(&alice, "m.read", None, event_id!("$11"));
    set(&db, later.clone()).await;
    assert_eq!(all(&db, &alice, before).await, [later.clone()]);
    assert_eq!(all(&db, &alice, StreamPosition::START).await, [later]);
}

#[tokio::test]
async fn receipts_of_threads_types_and_users_stand_apart() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let event = event_id!("$5");
    let mut expected = Vec::new();
    for (user_id, kind, thread) in [
        (&alice, "m.read", None),
        (&alice, "m.read", Some("main")),
        (&alice, "m.read", Some("$root\0")),
        (&alice, "m.read.private", None),
        (&bob, "m.read", None),
        (&bob, "m.read.private", Some("main")),
    ] {
        let receipt = receipt(user_id, kind, thread, event);
        set(&db, receipt.clone()).await;
        expected.push(receipt);
    }
    // Private ones are their owner's alone.
    assert_eq!(
        all(&db, &alice, StreamPosition::START).await,
        expected[..5].to_vec()
    );
    let seen_by_bob = all(&db, &bob, StreamPosition::START).await;
    assert_eq!(seen_by_bob.len(), 5);
    assert!(!seen_by_bob.contains(&expected[3]));
    let carol = all(&db, &user("carol"), StreamPosition::START).await;
    assert_eq!(carol.len(), 4);
    let elsewhere = db.receipts(
        room_id!("!no:x"),
        &alice,
        StreamPosition::START,
        db.watcher.position(),
    );
    assert!(elsewhere.await.unwrap().is_empty());
}

#[tokio::test]
async fn receipts_are_those_between_the_positions() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    set(&db, receipt(&alice, "m.read", None, event_id!("$1"))).await;
    let middle = db.watcher.position();
    set(&db, receipt(&bob, "m.read", None, event_id!("$2"))).await;
    let end = db.watcher.position();
    let of = |receipts: Vec<Receipt>| -> Vec<_> {
        receipts
            .into_iter()
            .map(|receipt| receipt.user_id)
            .collect()
    };
    let early = db
        .receipts(room(), &alice, StreamPosition::START, middle)
        .await;
    assert_eq!(of(early.unwrap()), [alice.clone()]);
    let late = db.receipts(room(), &alice, middle, end).await;
    assert_eq!(of(late.unwrap()), [bob]);
    let none = db.receipts(room(), &alice, end, end).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn the_read_marker_is_set_in_the_same_act() {
    let db = TestDb::new();
    let alice = user("alice");
    let read = receipt(&alice, "m.read", None, event_id!("$2"));
    let marked = event_id!("$1").to_owned();
    db.set_receipts(room(), &alice, vec![read], Some(marked))
        .await
        .unwrap();
    assert_eq!(
        db.watcher.take_words(),
        [
            "receipt of @alice:test.example, private false",
            "account data of @alice:test.example in !room:test.example"
        ]
    );
    assert_eq!(db.watcher.groups(), [2]);
    let stored = db.account_data(&alice, Some(room()), "m.fully_read").await;
    assert_eq!(stored.unwrap().unwrap().get(), r#"{"event_id":"$1"}"#);
}
