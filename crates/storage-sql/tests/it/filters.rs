//! Stored filters.

use greenroom_storage::FilterStore;
use serde_json::value::RawValue;

use crate::support::{TestDb, user};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[tokio::test]
async fn the_same_filter_has_the_same_id_and_reads_as_it_was_stored() {
    let db = TestDb::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let text = "{ \"room\" : {\"timeline\":{\"limit\":1}}, \"x\":\"\\u0000é\" }";
    let store = |user_id, text| db.store_filter(user_id, raw(text), 10);
    let id = store(&alice, text).await.unwrap().unwrap();
    assert_eq!(store(&alice, text).await.unwrap().unwrap(), id);
    assert_ne!(store(&alice, "{}").await.unwrap().unwrap(), id);
    assert!(!id.starts_with('{'));
    let stored = db.filter(&alice, &id).await.unwrap().unwrap();
    assert_eq!(stored.get(), text);
    assert!(db.filter(&bob, &id).await.unwrap().is_none());
    for unknown in ["0", "", "a\0b"] {
        assert!(db.filter(&alice, unknown).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_user_holds_so_many_filters_and_no_more() {
    let db = TestDb::new();
    let alice = user("alice");
    let store = |text| db.store_filter(&alice, raw(text), 2);
    let first = store("{\"a\":1}").await.unwrap();
    assert!(first.is_some());
    assert!(store("{\"a\":2}").await.unwrap().is_some());
    assert_eq!(store("{\"a\":3}").await.unwrap(), None);
    // One that is held is not one more.
    assert_eq!(store("{\"a\":1}").await.unwrap(), first);
    let other = db.store_filter(&user("bob"), raw("{\"a\":3}"), 2).await;
    assert!(other.unwrap().is_some());
}
