//! Extensions: what is new beside rooms.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{ask, pos, slide};

/// All rooms, with an extension.
fn with(extension: &str, scope: Value) -> Value {
    let mut scope = scope;
    scope["enabled"] = json!(true);
    json!({
        "lists": {"all": {"timeline_limit": 1, "ranges": [[0, 9]]}},
        "extensions": {extension: scope},
    })
}

async fn set(client: &Client, path: &str, content: Value) {
    let path = format!("user/{}/{path}", encode(&client.user_id));
    client.put(&path, content).await.expect_ok();
}

async fn read(client: &Client, room: &str, receipt: &str, event: &str) {
    let path = format!("rooms/{}/receipt/{receipt}/{}", encode(room), encode(event));
    client.post(&path, json!({})).await.expect_ok();
}

fn types(events: &Value) -> Vec<&str> {
    let events = events.as_array().map_or(&[][..], Vec::as_slice);
    let mut types: Vec<_> = events.iter().filter_map(|it| it["type"].as_str()).collect();
    types.sort_unstable();
    types
}

#[tokio::test]
async fn account_data_comes_whole_and_then_what_changed() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let other = alice.create_public_room().await;
    set(&alice, "account_data/x.global", json!({"n": 1})).await;
    let in_room = |room: &str| format!("rooms/{}/account_data/x.room", encode(room));
    set(&alice, &in_room(&room), json!({"n": 1})).await;
    let data = || with("account_data", json!({}));
    let first = slide(&alice, None, data()).await;
    let told = &first["extensions"]["account_data"];
    assert_eq!(types(&told["global"]), ["m.push_rules", "x.global"]);
    assert_eq!(types(&told["rooms"][&room]), ["x.room"]);
    assert_eq!(told["rooms"][&other], Value::Null);
    let second = slide(&alice, Some(pos(&first)), data()).await;
    assert_eq!(second["extensions"]["account_data"], Value::Null);
    set(&alice, &in_room(&other), json!({"n": 1})).await;
    let third = slide(&alice, Some(pos(&second)), data()).await;
    let told = &third["extensions"]["account_data"];
    assert_eq!(
        (types(&told["rooms"][&other]), &told["global"]),
        (vec!["x.room"], &Value::Null)
    );
    // What changes while its room is not wanted comes when it is.
    set(&alice, &in_room(&room), json!({"n": 2})).await;
    let without = with("account_data", json!({"lists": []}));
    let fourth = slide(&alice, Some(pos(&third)), without).await;
    assert_eq!(fourth["extensions"]["account_data"], Value::Null);
    let fifth = slide(&alice, Some(pos(&fourth)), data()).await;
    let told = &fifth["extensions"]["account_data"]["rooms"][&room];
    assert_eq!(told[0]["content"]["n"], 2, "{fifth}");
    // A change wakes who waits.
    let waiting = ask(&alice, Some(pos(&fifth)), 30_000, data());
    let (answer, ()) = tokio::join!(waiting, set(&alice, "account_data/x.more", json!({})));
    let answer = answer.expect_ok();
    assert_eq!(
        types(&answer["extensions"]["account_data"]["global"]),
        ["x.more"]
    );
}

#[tokio::test]
async fn receipts_are_for_the_timeline_and_ones_own_and_then_all_that_are_new() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_public_room().await;
    for other in [&bob, &carol] {
        other.join(&room).await;
    }
    let old = alice.send_text(&room, "t1", "old").await;
    let new = alice.send_text(&room, "t2", "new").await;
    read(&alice, &room, "m.read", &old).await;
    read(&bob, &room, "m.read", &old).await;
    read(&carol, &room, "m.read", &new).await;
    read(&bob, &room, "m.read.private", &new).await;
    let receipts = || with("receipts", json!({}));
    let first = slide(&alice, None, receipts()).await;
    let told = &first["extensions"]["receipts"]["rooms"][&room];
    assert_eq!(told["type"], "m.receipt");
    let readers = |told: &Value, event: &str| -> Vec<String> {
        let readers = told["content"][event]["m.read"].as_object();
        readers
            .into_iter()
            .flatten()
            .map(|(user, _)| user.clone())
            .collect()
    };
    assert_eq!(readers(told, &old), [&*alice.user_id], "{told}");
    assert_eq!(readers(told, &new), [&*carol.user_id], "{told}");
    assert!(!told.to_string().contains("private"), "{told}");
    let second = slide(&alice, Some(pos(&first)), receipts()).await;
    assert_eq!(second["extensions"]["receipts"], Value::Null);
    let waiting = ask(&alice, Some(pos(&second)), 30_000, receipts());
    let (answer, ()) = tokio::join!(waiting, read(&bob, &room, "m.read", &new));
    let answer = answer.expect_ok();
    assert!(answer["rooms"].as_object().unwrap().is_empty(), "{answer}");
    let told = &answer["extensions"]["receipts"]["rooms"][&room];
    assert_eq!(readers(told, &new), [&*bob.user_id]);
}

#[tokio::test]
async fn receipts_are_told_when_a_room_comes_into_scope() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let (one, other) = (
        alice.create_public_room().await,
        alice.create_public_room().await,
    );
    let subscribed = |room: &str| {
        let rooms = json!({room: {"timeline_limit": 1}});
        json!({"room_subscriptions": rooms, "extensions": {"receipts": {"enabled": true}}})
    };
    let mut sent = Vec::new();
    for room in [&one, &other] {
        bob.join(room).await;
        sent.push(alice.send_text(room, "t1", "hey").await);
    }
    let first = slide(&alice, None, subscribed(&one)).await;
    // In a room that the client has and does not look at, and in one that it has not got.
    read(&bob, &one, "m.read", &sent[0]).await;
    read(&bob, &other, "m.read", &sent[1]).await;
    let second = slide(&alice, Some(pos(&first)), subscribed(&other)).await;
    let readers = |answer: &Value, room: &str, event: &str| {
        let told = &answer["extensions"]["receipts"]["rooms"][room]["content"];
        told[event]["m.read"][&*bob.user_id].is_object()
    };
    assert!(readers(&second, &other, &sent[1]), "{second}");
    assert!(!readers(&second, &one, &sent[0]), "{second}");
    let third = slide(&alice, Some(pos(&second)), subscribed(&one)).await;
    assert!(readers(&third, &one, &sent[0]), "{third}");
    assert_eq!(third["rooms"], json!({}), "{third}");
    let fourth = slide(&alice, Some(pos(&third)), subscribed(&one)).await;
    assert_eq!(fourth["extensions"]["receipts"], Value::Null, "{fourth}");
}

#[tokio::test]
async fn typing_comes_and_goes_in_the_rooms_where_it_is_wanted() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let typing = || with("typing", json!({}));
    let first = slide(&alice, None, typing()).await;
    assert_eq!(first["extensions"]["typing"], Value::Null);
    let path = format!("rooms/{}/typing/{}", encode(&room), encode(&bob.user_id));
    let set_typing = async |is: bool| {
        let body = match is {
            true => json!({"typing": true, "timeout": 30_000}),
            false => json!({"typing": false}),
        };
        bob.put(&path, body).await.expect_ok();
    };
    let typers = |answer: &Value| {
        answer["extensions"]["typing"]["rooms"][&room]["content"]["user_ids"].clone()
    };
    let (second, ()) = tokio::join!(
        ask(&alice, Some(pos(&first)), 30_000, typing()),
        set_typing(true)
    );
    let second = second.expect_ok();
    assert_eq!(typers(&second), json!([bob.user_id]));
    let third = slide(&alice, Some(pos(&second)), typing()).await;
    assert_eq!(third["extensions"]["typing"], Value::Null);
    let afresh = slide(&alice, None, typing()).await;
    assert_eq!(typers(&afresh), json!([bob.user_id]));
    let elsewhere = slide(&alice, None, with("typing", json!({"lists": ["none"]}))).await;
    assert_eq!(elsewhere["extensions"]["typing"], Value::Null);
    set_typing(false).await;
    let fourth = slide(&alice, Some(pos(&third)), typing()).await;
    assert_eq!(typers(&fourth), json!([]));
}

#[tokio::test]
async fn who_types_is_told_when_a_room_comes_back_into_scope() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let subscribed = |is: bool| {
        let rooms = match is {
            true => json!({&room: {"timeline_limit": 1}}),
            false => json!({}),
        };
        json!({"room_subscriptions": rooms, "extensions": {"typing": {"enabled": true}}})
    };
    let typers = |answer: &Value| {
        answer["extensions"]["typing"]["rooms"][&room]["content"]["user_ids"].clone()
    };
    let path = format!("rooms/{}/typing/{}", encode(&room), encode(&bob.user_id));
    let first = slide(&alice, None, subscribed(true)).await;
    let mut at = pos(&first).to_owned();
    let typing = json!({"typing": true, "timeout": 30_000});
    for (body, expected) in [
        (typing, json!([bob.user_id])),
        (json!({"typing": false}), json!([])),
    ] {
        let away = slide(&alice, Some(&at), subscribed(false)).await;
        bob.put(&path, body).await.expect_ok();
        // It has heard of the change, and that was none of its business.
        let away = slide(&alice, Some(pos(&away)), subscribed(false)).await;
        assert_eq!(typers(&away), Value::Null, "{away}");
        let back = slide(&alice, Some(pos(&away)), subscribed(true)).await;
        assert_eq!(back["rooms"], json!({}), "{back}");
        assert_eq!(typers(&back), expected, "{back}");
        at = pos(&back).to_owned();
    }
}

#[tokio::test]
async fn subscriptions_without_lists_are_for_rooms_of_every_kind() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(alice.create_public_room().await);
    }
    let post = async |room: &str, action: &str| {
        let path = format!("rooms/{}/{action}", encode(room));
        let body = json!({"user_id": bob.user_id});
        alice.post(&path, body).await.expect_ok();
    };
    bob.join(&rooms[0]).await;
    post(&rooms[1], "invite").await;
    bob.join(&rooms[2]).await;
    post(&rooms[2], "kick").await;
    let all: serde_json::Map<_, _> = rooms
        .iter()
        .map(|room| (room.clone(), json!({"timeline_limit": 1})))
        .collect();
    let answer = slide(&bob, None, json!({"room_subscriptions": all})).await;
    let told = rooms
        .iter()
        .map(|room| answer["rooms"][room]["membership"].as_str());
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [Some("join"), Some("invite"), Some("leave"), None],
        "{answer}"
    );
}

#[tokio::test]
async fn what_encryption_needs_is_told_truly() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let body = json!({"conn_id": "encryption", "extensions": {
        "to_device": {"enabled": true, "limit": 100},
        "e2ee": {"enabled": true},
    }});
    let first = slide(&alice, None, body.clone()).await;
    let to_device = &first["extensions"]["to_device"];
    assert!(to_device["next_batch"].is_string());
    assert_eq!(to_device["events"], Value::Null);
    let e2ee = &first["extensions"]["e2ee"];
    assert_eq!(e2ee, &json!({"device_one_time_keys_count": {}}));
    let mut next = body;
    next["extensions"]["to_device"]["since"] = to_device["next_batch"].clone();
    slide(&alice, Some(pos(&first)), next).await;
    let without = slide(&alice, None, json!({})).await;
    assert_eq!(without["extensions"], json!({}));
}

#[tokio::test]
async fn what_is_unread_comes_with_the_event_and_goes_with_the_receipt() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let count = |answer: &Value| answer["rooms"][&room]["notification_count"].clone();
    let first = slide(&alice, None, super::all(5)).await;
    assert_eq!(count(&first), 0);
    let event = bob.send_text(&room, "t1", "hey").await;
    let second = slide(&alice, Some(pos(&first)), super::all(5)).await;
    assert_eq!(count(&second), 1);
    // Clients take a room that comes without counts for one that is read.
    let relation = json!({"rel_type": "m.annotation", "event_id": event, "key": "🎉"});
    bob.send(&room, "m.reaction", "t2", json!({"m.relates_to": relation}))
        .await;
    let second = slide(&alice, Some(pos(&second)), super::all(5)).await;
    assert_eq!(count(&second), 1);
    let waiting = ask(&alice, Some(pos(&second)), 30_000, super::all(5));
    let (third, ()) = tokio::join!(waiting, read(&alice, &room, "m.read", &event));
    let third = third.expect_ok();
    assert_eq!(count(&third), 0);
    assert_eq!(third["rooms"][&room]["timeline"], Value::Null);
}

#[tokio::test]
async fn a_limited_timeline_is_summed_up() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let parent = alice.send_text(&room, "root", "who brings what?").await;
    let relation = json!({"rel_type": "m.thread", "event_id": parent});
    let reply = json!({"msgtype": "m.text", "body": "bread", "m.relates_to": relation});
    alice.send(&room, "m.room.message", "reply", reply).await;
    let edit = json!({
        "msgtype": "m.text", "body": "* who?", "m.new_content": {"msgtype": "m.text", "body": "who?"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": parent},
    });
    alice.send(&room, "m.room.message", "edit", edit).await;
    let first = slide(&alice, None, super::all(3)).await;
    assert_eq!(first["rooms"][&room]["limited"], true);
    let event = &first["rooms"][&room]["timeline"][0];
    assert_eq!(event["event_id"], parent);
    let summed = &event["unsigned"]["m.relations"];
    assert_eq!(summed["m.thread"]["count"], 1);
    let edited = &summed["m.replace"]["content"]["m.new_content"]["body"];
    assert_eq!(edited, "who?");
}

#[tokio::test]
async fn ignored_users_are_ignored_here_too() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let mallory = server.register("mallory").await;
    let room = alice.create_public_room().await;
    mallory.join(&room).await;
    let first = slide(&alice, None, super::all(5)).await;
    let ignored = json!({"ignored_users": {mallory.user_id.clone(): {}}});
    set(&alice, "account_data/m.ignored_user_list", ignored).await;
    mallory.send_text(&room, "t1", "hey").await;
    mallory
        .create_room(json!({"invite": [alice.user_id]}))
        .await;
    let second = slide(&alice, Some(pos(&first)), super::all(5)).await;
    assert!(super::rooms(&second).is_empty(), "{second}");
    assert_eq!(second["lists"]["all"]["count"], 1);
}
