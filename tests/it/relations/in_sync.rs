//! What relates to the events of a sync.

use greenroom_tests::TestServer;

use super::*;

/// What a sync with so many events says of the relations to one of them, and whether its timeline
/// is limited.
async fn synced(reader: &Client, room: &str, event_id: &str, query: &str) -> (Value, bool) {
    let sync = reader.sync(query).await;
    let timeline = &sync["rooms"]["join"][room]["timeline"];
    let mut events = timeline["events"].as_array().unwrap().iter();
    let found = events.find(|event| event["event_id"] == event_id);
    let found = found.unwrap_or_else(|| panic!("{event_id} is not in {timeline}"));
    let relations = found["unsigned"]["m.relations"].clone();
    (relations, timeline["limited"] == true)
}

fn limit(limit: usize) -> String {
    let filter = json!({"room": {"timeline": {"limit": limit}}});
    format!("filter={}", encode(&filter.to_string()))
}

#[tokio::test]
async fn a_limited_timeline_is_bundled_from_memory_and_after_a_restart() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    // The room is in memory from here on.
    let since = bob.now().await;
    let plain = say(&alice, &room, text("plain")).await;
    let opening = say(&alice, &room, text("opening")).await;
    let initial = async |count: usize| {
        let (none, limited) = synced(&bob, &room, &plain, &limit(count)).await;
        assert!(limited && none.is_null(), "{none}");
        synced(&bob, &room, &opening, &limit(count)).await.0
    };
    assert_eq!(initial(2).await, Value::Null);
    let first = say(&bob, &room, relating("m.thread", &opening)).await;
    let thread = |found: &Value| {
        let thread = &found["m.thread"];
        let latest = thread["latest_event"]["event_id"].as_str().unwrap();
        (thread["count"].clone(), latest.to_owned())
    };
    assert_eq!(thread(&initial(3).await), (json!(1), first.clone()));
    let edited = say(&alice, &room, edit(&opening, "edited")).await;
    let found = initial(4).await;
    assert_eq!(found["m.replace"]["event_id"], *edited);
    assert_eq!(
        found["m.replace"].get("room_id"),
        None,
        "as the event itself"
    );
    for _ in 0..2 {
        server.restart().await;
        // The first answer asks the database, the next need not.
        for _ in 0..2 {
            let found = initial(4).await;
            assert_eq!(thread(&found), (json!(1), first.clone()));
            assert_eq!(found["m.replace"]["event_id"], *edited);
        }
    }
    // What is related to anew is told, also where nothing was before.
    let reference = say(&bob, &room, relating("m.reference", &plain)).await;
    let (found, _) = synced(&bob, &room, &plain, &limit(5)).await;
    assert_eq!(found["m.reference"]["chunk"][0]["event_id"], *reference);
    redact(&bob, &room, &reference).await;
    redact(&bob, &room, &first).await;
    redact(&alice, &room, &edited).await;
    for event_id in [&plain, &opening] {
        let (found, limited) = synced(&bob, &room, event_id, &limit(8)).await;
        assert!(limited && found.is_null(), "{found}");
    }
    // "When the relevant section has a `limited` value of `true`."
    say(&bob, &room, relating("m.thread", &opening)).await;
    let query = format!("{}&since={}", limit(50), encode(&since));
    let (found, limited) = synced(&bob, &room, &opening, &query).await;
    assert!(!limited && found.is_null(), "{found}");
    let query = format!("{}&since={}", limit(8), encode(&since));
    let (found, limited) = synced(&bob, &room, &opening, &query).await;
    assert!(limited && found["m.thread"]["count"] == 1, "{found}");
}

#[tokio::test]
async fn each_reader_of_a_timeline_gets_what_they_may_see() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let opening = say(&alice, &room, text("opening")).await;
    say(&bob, &room, relating("m.thread", &opening)).await;
    let own = say(&alice, &room, relating("m.thread", &opening)).await;
    let found = |reader: &Client| {
        let (reader, room, opening) = (reader.clone(), room.clone(), opening.clone());
        async move { synced(&reader, &room, &opening, &limit(3)).await.0["m.thread"].clone() }
    };
    ignore(&alice, &[&bob]).await;
    // She is first to read the room into memory, and what she leaves out stays there for him.
    let of_alice = found(&alice).await;
    assert_eq!(
        (&of_alice["count"], &of_alice["latest_event"]["event_id"]),
        (&json!(1), &json!(own))
    );
    assert_eq!(found(&bob).await["count"], 2);
    redact(&alice, &room, &own).await;
    let (none, _) = synced(&alice, &room, &opening, &limit(3)).await;
    assert_eq!(none, Value::Null);
    let (some, _) = synced(&bob, &room, &opening, &limit(4)).await;
    assert_eq!(some["m.thread"]["count"], 1);
}
