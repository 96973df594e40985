//! Account data and tags.

use std::sync::Arc;

use greenroom_model::StreamPosition;
use greenroom_storage::{AccountDataEntry, AccountDataStore};
use ruma::{RoomId, UserId, room_id};
use serde_json::{Value, json, value::RawValue};

use crate::support::{TestDb, user};

fn raw(json: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(json).unwrap()
}

async fn set(db: &TestDb, user_id: &UserId, room_id: Option<&RoomId>, kind: &str, json: Value) {
    db.set_account_data(user_id, room_id, kind, raw(&json))
        .await
        .unwrap();
}

async fn changes(db: &TestDb, user_id: &UserId, after: StreamPosition) -> Vec<AccountDataEntry> {
    let upto = db.watcher.position();
    db.account_data_changes(user_id, after, upto).await.unwrap()
}

#[tokio::test]
async fn account_data_reads_exactly_as_it_was_set() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let room = room_id!("!room:test.example");
    let text = "{ \"a\" : 1.50, \"nul\":\"\\u0000\" }";
    let content = RawValue::from_string(text.to_owned()).unwrap();
    db.set_account_data(&alice, None, "odd\0type", content)
        .await
        .unwrap();
    let read = |user_id, room_id, kind| {
        let db = &db;
        async move {
            let stored = db.account_data(user_id, room_id, kind).await.unwrap();
            stored.map(|content| content.get().to_owned())
        }
    };
    assert_eq!(read(&alice, None, "odd\0type").await.as_deref(), Some(text));
    assert_eq!(read(&alice, None, "odd").await, None);
    assert_eq!(read(&alice, Some(room), "odd\0type").await, None);
    assert_eq!(read(&bob, None, "odd\0type").await, None);
    set(&db, &alice, Some(room), "odd\0type", json!({"b": 2})).await;
    set(&db, &alice, None, "odd\0type", json!({"a": 2})).await;
    assert_eq!(
        read(&alice, Some(room), "odd\0type").await.as_deref(),
        Some("{\"b\":2}")
    );
    assert_eq!(
        read(&alice, None, "odd\0type").await.as_deref(),
        Some("{\"a\":2}")
    );
}

#[tokio::test]
async fn changes_are_those_between_the_positions_in_stream_order() {
    let db = TestDb::new();
    let (alice, room) = (user("alice"), room_id!("!room:test.example"));
    set(&db, &alice, None, "first", json!({})).await;
    set(&db, &alice, Some(room), "second", json!({})).await;
    let middle = db.watcher.position();
    set(&db, &user("bob"), None, "not hers", json!({})).await;
    set(&db, &alice, None, "third\0", json!({})).await;
    set(&db, &alice, None, "first", json!({"again": true})).await;

    let all = changes(&db, &alice, StreamPosition::START).await;
    let types = |entries: &[AccountDataEntry]| -> Vec<String> {
        entries
            .iter()
            .map(|entry| entry.data_type.clone())
            .collect()
    };
    assert_eq!(types(&all), ["second", "third\0", "first"]);
    assert_eq!(all[0].room_id.as_deref(), Some(room));
    assert_eq!(all[1].room_id, None);
    assert_eq!(all[2].content.get(), "{\"again\":true}");
    assert_eq!(
        types(&changes(&db, &alice, middle).await),
        ["third\0", "first"]
    );
    let upto_middle = db.account_data_changes(&alice, StreamPosition::START, middle);
    assert_eq!(types(&upto_middle.await.unwrap()), ["second"]);
    assert_eq!(
        db.watcher.take_words()[..2],
        [
            "account data of @alice:test.example in all",
            "account data of @alice:test.example in !room:test.example"
        ]
    );
}

#[tokio::test]
async fn two_tags_set_at_once_are_both_kept() {
    let db = Arc::new(TestDb::new());
    let (alice, room) = (user("alice"), room_id!("!room:test.example"));
    let setting: Vec<_> = (0..20)
        .map(|number| {
            let (db, alice) = (Arc::clone(&db), alice.clone());
            tokio::spawn(async move {
                let order = raw(&json!({ "order": 0.5 }));
                let tag = format!("u.tag{number}\0");
                db.set_tag(&alice, room, &tag, Some(order)).await.unwrap();
            })
        })
        .collect();
    for task in setting {
        task.await.unwrap();
    }
    let stored = db.account_data(&alice, Some(room), "m.tag").await.unwrap();
    let stored: Value = serde_json::from_str(stored.unwrap().get()).unwrap();
    assert_eq!(stored["tags"].as_object().unwrap().len(), 20);
    assert_eq!(stored["tags"]["u.tag7\0"], json!({ "order": 0.5 }));

    db.set_tag(&alice, room, "u.tag7\0", None).await.unwrap();
    db.set_tag(&alice, room, "u.unknown", None).await.unwrap();
    let stored = db.account_data(&alice, Some(room), "m.tag").await.unwrap();
    let stored: Value = serde_json::from_str(stored.unwrap().get()).unwrap();
    assert_eq!(stored["tags"].as_object().unwrap().len(), 19);
}

#[tokio::test]
async fn a_tag_is_set_over_whatever_a_client_has_written_there() {
    let db = TestDb::new();
    let (alice, room) = (user("alice"), room_id!("!room:test.example"));
    for odd in [json!({"tags": 7, "kept": true}), json!({"tags": null})] {
        set(&db, &alice, Some(room), "m.tag", odd).await;
        let content = raw(&json!({}));
        db.set_tag(&alice, room, "m.favourite", Some(content))
            .await
            .unwrap();
        let stored = db.account_data(&alice, Some(room), "m.tag").await.unwrap();
        let stored: Value = serde_json::from_str(stored.unwrap().get()).unwrap();
        assert_eq!(stored["tags"], json!({ "m.favourite": {} }));
    }
}
