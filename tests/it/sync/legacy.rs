//! The older ways to ask the same: `/events`, `/initialSync`, `rooms/{roomId}/initialSync`.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{does, says, topic};

async fn follow(reader: &Client, query: &str) -> Value {
    reader.get(&format!("events?{query}")).await.expect_ok()
}

fn end(answer: &Value) -> String {
    answer["end"].as_str().unwrap().to_owned()
}

fn of_type<'a>(answer: &'a Value, event_type: &str) -> Vec<&'a Value> {
    let chunk = answer["chunk"].as_array().unwrap().iter();
    chunk.filter(|event| event["type"] == event_type).collect()
}

#[tokio::test]
async fn the_event_stream_begins_now_and_waits_for_what_comes() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    for over in ["r0", "v3"] {
        let reader = bob.over(over);
        let start = follow(&reader, "from=END").await;
        assert_eq!(start["chunk"], json!([]), "{start}");
        assert_eq!(follow(&reader, "").await["chunk"], json!([]));
        let query = format!("from={}&timeout=30000", encode(&end(&start)));
        let (answer, sent) = tokio::join!(
            follow(&reader, &query),
            alice.send_text(&room, over, "live")
        );
        let messages = of_type(&answer, "m.room.message");
        assert_eq!(messages[0]["event_id"], sent.as_str(), "{answer}");
        assert_eq!(messages[0]["room_id"], room.as_str(), "{answer}");
        assert_eq!(messages[0]["user_id"], alice.user_id.as_str(), "{answer}");
        assert!(messages[0]["age"].is_i64(), "{answer}");
        let nothing = follow(&reader, &format!("from={}", encode(&end(&answer)))).await;
        assert!(of_type(&nothing, "m.room.message").is_empty(), "{nothing}");
        // A token of one is a token of the other.
        reader.sync(&super::since(&end(&answer))).await;
    }
}

#[tokio::test]
async fn the_event_stream_has_no_hole_however_much_there_is() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let mut from = end(&follow(&alice, "").await);
    let mut expected = Vec::new();
    for n in 0..130 {
        expected.push(alice.send_text(&room, &format!("t{n}"), "x").await);
    }
    let mut found = Vec::new();
    while found.len() < expected.len() {
        let answer = follow(&alice, &format!("from={}", encode(&from))).await;
        let messages = of_type(&answer, "m.room.message");
        assert!(!messages.is_empty(), "after {} events", found.len());
        found.extend(
            messages
                .iter()
                .map(|event| event["event_id"].as_str().unwrap().to_owned()),
        );
        from = end(&answer);
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_event_stream_tells_of_invites_and_of_being_removed() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({"topic": "secret"})).await;
    let from = end(&follow(&bob, "").await);
    let query = format!("from={}&timeout=30000", encode(&from));
    let (answer, ()) = tokio::join!(follow(&bob, &query), alice.invite(&room, &bob));
    let member = of_type(&answer, "m.room.member")[0];
    assert_eq!(member["content"]["membership"], "invite", "{answer}");
    assert!(of_type(&answer, "m.room.topic").is_empty(), "{answer}");
    bob.join(&room).await;
    let from = end(&follow(&bob, "").await);
    super::does_to(&alice, &room, "kick", &bob).await;
    topic(&alice, &room, "later").await;
    let answer = follow(&bob, &format!("from={}", encode(&from))).await;
    let member = of_type(&answer, "m.room.member")[0];
    assert_eq!(member["content"]["membership"], "leave", "{answer}");
    assert!(of_type(&answer, "m.room.topic").is_empty(), "{answer}");
}

#[tokio::test]
async fn the_event_stream_tells_of_ones_own_data_and_tags() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let elsewhere = alice.create_public_room().await;
    let start = end(&follow(&alice, "").await);
    let user = format!("user/{}", encode(&alice.user_id));
    let waiting = format!("from={}&timeout=30000", encode(&start));
    let set = async {
        let path = format!("{user}/account_data/org.example.a");
        alice.put(&path, json!({"n": 1})).await.expect_ok();
    };
    let (answer, ()) = tokio::join!(follow(&alice, &waiting), set);
    assert_eq!(
        of_type(&answer, "org.example.a"),
        [&json!({"type": "org.example.a", "content": {"n": 1}})],
        "{answer}"
    );
    for which in [&room, &elsewhere] {
        let path = format!("{user}/rooms/{}/tags/u.work", encode(which));
        alice.put(&path, json!({"order": 0.5})).await.expect_ok();
    }
    let content = json!({"tags": {"u.work": {"order": 0.5}}});
    let tag = |room: &str| json!({"type": "m.tag", "content": content, "room_id": room});
    let answer = follow(&alice, &format!("from={}", encode(&end(&answer)))).await;
    assert_eq!(
        of_type(&answer, "m.tag"),
        [&tag(&room), &tag(&elsewhere)],
        "{answer}"
    );
    let one_room = format!("from={}&room_id={}", encode(&start), encode(&room));
    let answer = follow(&alice, &one_room).await;
    assert_eq!(answer["chunk"], json!([tag(&room)]), "{answer}");
    let nothing = follow(&alice, &format!("from={}", encode(&alice.now().await))).await;
    assert_eq!(nothing["chunk"], json!([]), "{nothing}");
}

#[tokio::test]
async fn the_first_clients_are_not_told_of_knocks() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let rules = json!([{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]);
    let room = alice.create_room(json!({"initial_state": rules})).await;
    bob.post(&format!("knock/{}", encode(&room)), json!({}))
        .await
        .expect_ok();
    let all = bob.get("initialSync").await.expect_ok();
    assert_eq!(all["rooms"], json!([]), "{all}");
    alice.invite(&room, &bob).await;
    let all = bob.get("initialSync").await.expect_ok();
    assert_eq!(all["rooms"][0]["membership"], "invite", "{all}");
}

#[tokio::test]
async fn a_room_that_all_may_read_is_followed_from_outside() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let eve = server.register("eve").await;
    let open = json!([{
        "type": "m.room.history_visibility",
        "content": {"history_visibility": "world_readable"},
    }]);
    let room = alice
        .create_room(json!({"preset": "public_chat", "initial_state": open}))
        .await;
    let closed = alice.create_room(json!({})).await;
    for path in [
        format!("events?room_id={}", encode(&closed)),
        format!("events?room_id={}", encode("!nowhere:localhost")),
        format!("rooms/{}/initialSync", encode(&closed)),
    ] {
        eve.get(&path).await.expect_error(403, "M_FORBIDDEN");
    }
    says(&alice, &room, &["1", "2"]).await;
    let path = format!("rooms/{}/initialSync?limit=1", encode(&room));
    let seen = eve.get(&path).await.expect_ok();
    assert_eq!(seen["room_id"], room.as_str());
    assert!(seen["membership"].is_null(), "{seen}");
    let chunk = seen["messages"]["chunk"].as_array().unwrap();
    assert_eq!(chunk.len(), 1, "{seen}");
    assert_eq!(chunk[0]["content"]["body"], "2", "{seen}");
    assert!(seen["state"].as_array().unwrap().len() > 4, "{seen}");
    assert_eq!(seen["presence"], json!([]), "not for strangers: {seen}");
    let back = format!(
        "dir=b&limit=1&from={}",
        encode(seen["messages"]["start"].as_str().unwrap())
    );
    let page = eve.messages(&room, &back).await;
    assert_eq!(page["chunk"][0]["content"]["body"], "1", "{page}");

    let from = end(&follow(&eve, "").await);
    let query = format!(
        "room_id={}&from={}&timeout=30000",
        encode(&room),
        encode(&from)
    );
    let (answer, sent) = tokio::join!(follow(&eve, &query), alice.send_text(&room, "live", "live"));
    let message = of_type(&answer, "m.room.message")[0];
    assert_eq!(message["event_id"], sent.as_str());
    // To peek is not to be there.
    let answer = alice.sync("").await;
    assert!(!answer.to_string().contains(&eve.user_id), "{answer}");
    alice
        .send_state(
            &room,
            "m.room.history_visibility",
            "",
            json!({"history_visibility": "shared"}),
        )
        .await;
    eve.get(&format!("events?room_id={}", encode(&room)))
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn the_first_clients_begin_with_everything() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice
        .create_room(json!({"preset": "public_chat", "visibility": "public"}))
        .await;
    let sent = says(&alice, &room, &["1", "2", "3"]).await;
    let invited = bob.create_room(json!({"name": "Invited"})).await;
    bob.invite(&invited, &alice).await;
    bob.join(&room).await;
    let receipt = format!("rooms/{}/receipt/m.read/{}", encode(&room), sent[2]);
    bob.post(&receipt, json!({})).await.expect_ok();
    for over in ["r0", "v3"] {
        let all = alice
            .over(over)
            .get("initialSync?limit=2")
            .await
            .expect_ok();
        let rooms = all["rooms"].as_array().unwrap();
        let found = |id: &str| rooms.iter().find(|room| room["room_id"] == id).unwrap();
        let joined = found(&room);
        assert_eq!(joined["membership"], "join");
        assert_eq!(joined["visibility"], "public");
        let chunk = joined["messages"]["chunk"].as_array().unwrap();
        assert_eq!(chunk.len(), 2, "{joined}");
        let message = chunk.iter().find(|event| event["type"] == "m.room.message");
        let message = message.expect("the last of them");
        assert_eq!(message["content"]["body"], "3", "{joined}");
        assert_eq!(message["user_id"], message["sender"], "{joined}");
        let back = format!(
            "dir=b&limit=1&from={}",
            encode(joined["messages"]["start"].as_str().unwrap())
        );
        let page = alice.messages(&room, &back).await;
        let before = &page["chunk"][0]["event_id"];
        assert!(before.is_string(), "{page}");
        assert!(chunk.iter().all(|event| event["event_id"] != *before));
        let outside = found(&invited);
        assert_eq!(outside["membership"], "invite");
        assert!(outside["messages"].is_null(), "{outside}");
        let invite = &outside["invite"];
        assert_eq!(invite["content"]["membership"], "invite", "{outside}");
        assert_eq!(invite["sender"], bob.user_id.as_str(), "{outside}");
        assert!(
            all["receipts"][0]["content"][&sent[2]]["m.read"][&bob.user_id].is_object(),
            "{all}"
        );
        let presence = all["presence"].as_array().unwrap();
        assert!(
            presence
                .iter()
                .any(|event| event["sender"] == alice.user_id.as_str()),
            "{all}"
        );
        // It leads on to the stream.
        let query = format!("from={}&timeout=30000", encode(&end(&all)));
        let (answer, live) = tokio::join!(follow(&alice, &query), bob.send_text(&room, over, "3"));
        let message = of_type(&answer, "m.room.message")[0];
        assert_eq!(message["event_id"], live.as_str(), "{answer}");
        super::does_to(&alice, &room, "kick", &bob).await;
        bob.join(&room).await;
        bob.send_text(&room, &format!("{over}-again"), "3").await;
    }
}

#[tokio::test]
async fn who_left_a_room_is_shown_it_as_it_was() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let sent = says(&alice, &room, &["mine"]).await;
    does(&bob, &room, "leave").await;
    topic(&alice, &room, "later").await;
    let receipt = format!("rooms/{}/receipt/m.read/{}", encode(&room), sent[0]);
    alice.post(&receipt, json!({})).await.expect_ok();
    let path = format!("rooms/{}/initialSync", encode(&room));
    let seen = bob.get(&path).await.expect_ok();
    assert_eq!(seen["membership"], "leave", "{seen}");
    assert!(!seen.to_string().contains("later"), "{seen}");
    assert!(seen.to_string().contains("mine"), "{seen}");
    assert_eq!(seen["receipts"], json!([]), "{seen}");
    let all = bob.get("initialSync").await.expect_ok();
    assert_eq!(all["rooms"], json!([]), "{all}");
    let all = bob.get("initialSync?archived=true").await.expect_ok();
    assert_eq!(all["rooms"][0]["room_id"], room.as_str(), "{all}");
    assert_eq!(all["rooms"][0]["membership"], "leave", "{all}");
    assert!(!all.to_string().contains("later"), "{all}");
    // An invite that is declined does not show more.
    alice.invite(&room, &bob).await;
    let seen = bob.get(&path).await.expect_ok();
    assert!(!seen.to_string().contains("later"), "{seen}");
    does(&bob, &room, "leave").await;
    let seen = bob.get(&path).await.expect_ok();
    assert!(!seen.to_string().contains("later"), "{seen}");
    does(&bob, &room, "forget").await;
    bob.get(&path).await.expect_error(403, "M_FORBIDDEN");
}
