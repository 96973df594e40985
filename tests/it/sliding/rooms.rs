//! What is said of a room: the first time, and of what changes.

use greenroom_tests::shared_server;
use serde_json::{Value, json};

use super::{all, ids, list, places, pos, rooms, slide};

fn required(required: Value, limit: u64) -> Value {
    list(json!({"timeline_limit": limit, "required_state": required}))
}

fn subscribed(room: &str, required: Value, limit: u64) -> Value {
    json!({"room_subscriptions": {room: {"timeline_limit": limit, "required_state": required}}})
}

#[tokio::test]
async fn a_room_is_whole_the_first_time_and_then_only_what_changed() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = json!({"name": "Tea", "preset": "public_chat", "invite": [bob.user_id]});
    let room = alice.create_room(room).await;
    let avatar = json!({"url": "mxc://localhost/x"});
    alice.send_state(&room, "m.room.avatar", "", avatar).await;
    let event = alice.send_text(&room, "t1", "one").await;
    let first = slide(&alice, None, all(1)).await;
    let whole = &first["rooms"][&room];
    for (field, value) in [
        ("name", json!("Tea")),
        ("avatar", json!("mxc://localhost/x")),
        ("initial", json!(true)),
        ("membership", json!("join")),
        ("limited", json!(true)),
        ("num_live", json!(0)),
        ("joined_count", json!(1)),
        ("invited_count", json!(1)),
        ("notification_count", json!(0)),
        ("highlight_count", json!(0)),
        ("heroes", Value::Null),
        ("is_dm", Value::Null),
        ("required_state", Value::Null),
        ("invite_state", Value::Null),
    ] {
        assert_eq!(whole[field], value, "{field}");
    }
    assert_eq!(ids(&whole["timeline"]), [&event]);
    let stamp = whole["bump_stamp"].as_i64().unwrap();
    bob.join(&room).await;
    alice.send_state(&room, "m.room.name", "", json!({})).await;
    let second = slide(&alice, Some(pos(&first)), all(2)).await;
    let changed = &second["rooms"][&room];
    assert_eq!(
        changed["timeline"].as_array().unwrap().len(),
        2,
        "{changed}"
    );
    for (field, value) in [
        ("initial", Value::Null),
        ("limited", Value::Null),
        ("num_live", json!(2)),
        ("avatar", Value::Null),
        ("joined_count", json!(2)),
        ("invited_count", json!(0)),
        ("bump_stamp", Value::Null),
    ] {
        assert_eq!(changed[field], value, "{field}");
    }
    assert!(
        changed.as_object().unwrap().contains_key("name"),
        "{changed}"
    );
    assert_eq!(changed["name"], Value::Null, "it has lost it");
    assert_eq!(changed["heroes"][0]["user_id"], bob.user_id);
    let text = alice.send_text(&room, "t2", "two").await;
    let third = slide(&alice, Some(pos(&second)), all(2)).await;
    let changed = &third["rooms"][&room];
    assert_eq!(ids(&changed["timeline"]), [&text]);
    assert!(changed["bump_stamp"].as_i64().unwrap() > stamp);
    assert_eq!(changed["heroes"], Value::Null);
}

#[tokio::test]
async fn a_gap_is_limited_and_state_in_it_is_not_lost() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let topics = || required(json!([["m.room.topic", ""]]), 2);
    let first = slide(&alice, None, topics()).await;
    let topic = json!({"topic": "x"});
    let topic = alice.send_state(&room, "m.room.topic", "", topic).await;
    let mut sent = Vec::new();
    for n in 0..3 {
        sent.push(alice.send_text(&room, &n.to_string(), "x").await);
    }
    let second = slide(&alice, Some(pos(&first)), topics()).await;
    let gap = &second["rooms"][&room];
    assert_eq!(gap["limited"], true);
    assert_eq!(ids(&gap["timeline"]), sent[1..]);
    assert_eq!(ids(&gap["required_state"]), [&topic]);
    let from = gap["prev_batch"].as_str().unwrap();
    let query = format!("dir=b&limit=2&from={}", greenroom_tests::encode(from));
    let page = alice.messages(&room, &query).await;
    assert_eq!(ids(&page["chunk"]), [&sent[0], &topic]);
}

#[tokio::test]
async fn more_events_are_sent_when_more_are_wanted_and_not_twice() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let mut sent = Vec::new();
    for n in 0..6 {
        sent.push(alice.send_text(&room, &n.to_string(), "x").await);
    }
    let first = slide(&alice, None, all(1)).await;
    let wider = slide(&alice, Some(pos(&first)), subscribed(&room, json!([]), 4)).await;
    let expanded = &wider["rooms"][&room];
    assert_eq!(ids(&expanded["timeline"]), sent[2..]);
    assert_eq!(expanded["unstable_expanded_timeline"], true);
    assert_eq!(expanded["initial"], Value::Null);
    assert_eq!(expanded["limited"], true);
    assert_eq!(expanded["num_live"], 0);
    let narrow = slide(&alice, Some(pos(&wider)), all(1)).await;
    assert!(rooms(&narrow).is_empty(), "{narrow}");
    let again = slide(&alice, Some(pos(&narrow)), subscribed(&room, json!([]), 4)).await;
    assert!(rooms(&again).is_empty(), "they were sent: {again}");
    sent.push(alice.send_text(&room, "new", "x").await);
    let one = slide(&alice, Some(pos(&again)), subscribed(&room, json!([]), 5)).await;
    let one = &one["rooms"][&room];
    assert_eq!(ids(&one["timeline"]), sent[6..], "four and one are five");
    assert_eq!(one["unstable_expanded_timeline"], Value::Null);
}

#[tokio::test]
async fn required_state_is_what_was_asked_for_and_what_is_asked_for_later() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice
        .create_room(json!({"name": "x", "preset": "public_chat"}))
        .await;
    bob.join(&room).await;
    alice.send_state(&room, "x.y", "1", json!({"n": 1})).await;
    alice.send_state(&room, "x.y", "2", json!({"n": 1})).await;
    let member = |client: &greenroom_tests::Client| format!("m.room.member/{}", client.user_id);
    let (me, him) = (member(&alice), member(&bob));
    for (asked, expected) in [
        (json!([]), vec![]),
        (
            json!([["m.room.name", ""], ["none", ""]]),
            vec!["m.room.name/"],
        ),
        (json!([["x.y", "*"]]), vec!["x.y/1", "x.y/2"]),
        (json!([["*", "2"]]), vec!["x.y/2"]),
        (json!([["m.room.member", "$ME"]]), vec![&me]),
        (json!([["m.room.member", "$LAZY"]]), vec![&him]),
        (json!([["m.room.member", "*"]]), vec![&me, &him]),
    ] {
        // The last event is Bob's.
        bob.send_text(&room, &asked.to_string(), "x").await;
        let answer = slide(&alice, None, required(asked.clone(), 1)).await;
        let mut expected = expected.clone();
        expected.sort_unstable();
        assert_eq!(
            places(&answer["rooms"][&room]["required_state"]),
            expected,
            "{asked}"
        );
    }
    let everything = json!([["*", "*"], ["m.room.member", "$ME"], ["x.y", "1"]]);
    let answer = slide(&alice, None, required(everything, 1)).await;
    let found = places(&answer["rooms"][&room]["required_state"]);
    assert!(found.contains(&"m.room.create/".to_owned()), "{found:?}");
    assert!(found.contains(&me) && !found.contains(&him), "{found:?}");
    assert!(found.contains(&"x.y/1".to_owned()) && !found.contains(&"x.y/2".to_owned()));

    let first = slide(&alice, None, required(json!([["m.room.name", ""]]), 1)).await;
    let more = json!([["m.room.name", ""], ["x.y", "*"]]);
    let second = slide(&alice, Some(pos(&first)), required(more, 1)).await;
    let state = &second["rooms"][&room]["required_state"];
    assert_eq!(places(state), ["x.y/1", "x.y/2"], "only what is new");
    assert_eq!(second["rooms"][&room]["timeline"], Value::Null);
    let less = slide(&alice, Some(pos(&second)), required(json!([]), 1)).await;
    assert!(rooms(&less).is_empty(), "{less}");
    alice.send_state(&room, "x.y", "1", json!({"n": 2})).await;
    let less = slide(&alice, Some(pos(&less)), required(json!([]), 1)).await;
    assert_eq!(less["rooms"][&room]["required_state"], Value::Null);
    let back = slide(&alice, Some(pos(&less)), required(json!([["x.y", "1"]]), 1)).await;
    assert_eq!(places(&back["rooms"][&room]["required_state"]), ["x.y/1"]);
}

#[tokio::test]
async fn lazy_members_come_once_and_again_after_a_gap() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let lazy = || required(json!([["m.room.member", "$LAZY"]]), 2);
    let first = slide(&alice, None, lazy()).await;
    bob.join(&room).await;
    let second = slide(&alice, Some(pos(&first)), lazy()).await;
    let him = format!("m.room.member/{}", bob.user_id);
    assert_eq!(places(&second["rooms"][&room]["required_state"]), [&*him]);
    bob.send_text(&room, "t1", "x").await;
    let third = slide(&alice, Some(pos(&second)), lazy()).await;
    assert_eq!(third["rooms"][&room]["required_state"], Value::Null);
    for n in 0..4 {
        bob.send_text(&room, &n.to_string(), "x").await;
    }
    let fourth = slide(&alice, Some(pos(&third)), lazy()).await;
    assert_eq!(fourth["rooms"][&room]["limited"], true);
    assert_eq!(places(&fourth["rooms"][&room]["required_state"]), [&*him]);
    // A change of a member who does not speak is told as well.
    let name = json!({"displayname": "Robert"});
    let path = format!(
        "profile/{}/displayname",
        greenroom_tests::encode(&bob.user_id)
    );
    bob.put(&path, name).await.expect_ok();
    let fifth = super::ask(&alice, Some(pos(&fourth)), 30_000, lazy()).await;
    let fifth = fifth.expect_ok();
    assert_eq!(places(&fifth["rooms"][&room]["required_state"]), [&*him]);
}

#[tokio::test]
async fn rooms_that_are_not_the_users_are_not_told_of() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let readable = json!([{"type": "m.room.history_visibility", "state_key": "",
        "content": {"history_visibility": "world_readable"}}]);
    let room = alice.create_room(json!({"preset": "public_chat", "initial_state": readable}));
    let room = room.await;
    for room in [&*room, "!none:localhost"] {
        let answer = slide(&bob, None, subscribed(room, json!([["*", "*"]]), 5)).await;
        assert!(rooms(&answer).is_empty(), "{answer}");
    }
}
