//! What is true for the moment: typing, presence, and how far everyone has read.

use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

/// Two users in a room.
struct Pair {
    alice: Client,
    bob: Client,
    room: String,
}

async fn pair(server: &TestServer, name: &str) -> Pair {
    let alice = server.register(&format!("{name}_alice")).await;
    let bob = server.register(&format!("{name}_bob")).await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    Pair { alice, bob, room }
}

async fn types(user: &Client, room: &str, body: Value) -> Answer {
    let path = format!("rooms/{}/typing/{}", encode(room), encode(&user.user_id));
    user.put(&path, body).await
}

fn events_of<'a>(joined: &'a Value, event_type: &'a str) -> impl Iterator<Item = &'a Value> {
    let events = joined["ephemeral"]["events"].as_array();
    let events = events.into_iter().flatten();
    events
        .filter(move |event| event["type"] == event_type)
        .map(|event| &event["content"])
}

/// Syncs on until the room's typing users are these; gives the token after.
async fn sees_typing(user: &Client, since: &str, room: &str, typing: &[&Client]) -> String {
    let expected: Vec<&str> = typing.iter().map(|user| user.user_id.as_str()).collect();
    let seen = |joined: &Value| {
        events_of(joined, "m.typing").any(|content| content["user_ids"] == json!(expected))
    };
    let body = user.sync_until_since(since, room, seen).await;
    body["next_batch"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn others_see_who_types_and_when_they_stop() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "typing").await;
    let since = bob.now().await;
    types(&alice, &room, json!({"typing": true, "timeout": 30_000}))
        .await
        .expect_ok();
    let since = sees_typing(&bob, &since, &room, &[&alice]).await;
    types(&bob.over("r0"), &room, json!({"typing": true}))
        .await
        .expect_ok();
    let since = sees_typing(&bob, &since, &room, &[&alice, &bob]).await;
    types(&alice, &room, json!({"typing": false}))
        .await
        .expect_ok();
    let since = sees_typing(&bob, &since, &room, &[&bob]).await;
    // A waiting sync is woken by the timeout.
    types(&bob, &room, json!({"typing": true, "timeout": 200}))
        .await
        .expect_ok();
    sees_typing(&bob, &since, &room, &[]).await;
}

#[tokio::test]
async fn who_leaves_stops_typing() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "typing_leaver").await;
    let since = bob.now().await;
    types(&alice, &room, json!({"typing": true, "timeout": 60_000}))
        .await
        .expect_ok();
    let since = sees_typing(&bob, &since, &room, &[&alice]).await;
    alice
        .post(&format!("rooms/{}/leave", encode(&room)), json!({}))
        .await
        .expect_ok();
    sees_typing(&bob, &since, &room, &[]).await;
}

#[tokio::test]
async fn only_members_type_and_only_for_themselves() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "typing_rules").await;
    let stranger = server.register("typing_stranger").await;
    let typing = json!({"typing": true, "timeout": 1_000});
    types(&stranger, &room, typing.clone())
        .await
        .expect_error(403, "M_FORBIDDEN");
    let path = format!("rooms/{}/typing/{}", encode(&room), encode(&alice.user_id));
    bob.put(&path, typing)
        .await
        .expect_error(403, "M_FORBIDDEN");
    for body in [
        json!({}),
        json!({"typing": "yes"}),
        json!({"typing": true, "timeout": -1}),
        json!({"typing": true, "timeout": "long"}),
    ] {
        types(&alice, &room, body)
            .await
            .expect_error(400, "M_BAD_JSON");
    }
    // An absurd timeout is cut, not refused.
    types(
        &alice,
        &room,
        json!({"typing": true, "timeout": 9_007_199_254_740_991_u64}),
    )
    .await
    .expect_ok();
    types(&alice, &room, json!({"typing": false}))
        .await
        .expect_ok();
}

fn status_of(user: &Client) -> String {
    format!("presence/{}/status", encode(&user.user_id))
}

/// Syncs on until the presence of another user is this.
async fn sees_presence(user: &Client, since: &str, other: &Client, expected: &Value) -> String {
    let matches = |content: &Value| {
        expected
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, value)| content[key] == *value)
    };
    let seen = |body: &Value| {
        let events = body["presence"]["events"].as_array();
        events.into_iter().flatten().any(|event| {
            event["type"] == "m.presence"
                && event["sender"] == other.user_id.as_str()
                && matches(&event["content"])
        })
    };
    let body = user.sync_matching(Some(since.to_owned()), seen).await;
    body["next_batch"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn presence_reaches_who_shares_a_room() {
    let server = shared_server().await;
    let Pair { alice, bob, .. } = pair(&server, "presence").await;
    let since = bob.now().await;
    let lunch = json!({"presence": "unavailable", "status_msg": "lunch"});
    alice
        .put(&status_of(&alice), lunch.clone())
        .await
        .expect_ok();
    let since = sees_presence(&bob, &since, &alice, &lunch).await;
    let read = bob.get(&status_of(&alice)).await.expect_ok();
    assert_eq!(
        (&read["presence"], &read["status_msg"]),
        (&json!("unavailable"), &json!("lunch"))
    );
    assert!(read["last_active_ago"].is_u64(), "{read}");
    let online = json!({"presence": "online"});
    alice
        .over("r0")
        .put(&status_of(&alice), online)
        .await
        .expect_ok();
    let online = json!({"presence": "online", "currently_active": true});
    let since = sees_presence(&bob, &since, &alice, &online).await;
    let read = bob.over("r0").get(&status_of(&alice)).await.expect_ok();
    assert_eq!(
        (&read["presence"], &read["status_msg"]),
        (&json!("online"), &Value::Null)
    );
    alice
        .put(&status_of(&alice), json!({"presence": "offline"}))
        .await
        .expect_ok();
    // Whether somebody is active is said of who is online.
    let offline = json!({"presence": "offline", "currently_active": null});
    sees_presence(&bob, &since, &alice, &offline).await;
}

#[tokio::test]
async fn a32_who_was_removed_hears_of_no_presence_from_then_on_not_even_of_what_was_due() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "parted").await;
    let since = bob.now().await;
    let set = async |presence: &str, message: &str| {
        let status = json!({"presence": presence, "status_msg": message});
        alice.put(&status_of(&alice), status).await.expect_ok();
    };
    set("unavailable", "lunch").await;
    sees_presence(&bob, &since, &alice, &json!({"status_msg": "lunch"})).await;
    let path = format!("rooms/{}/kick", encode(&room));
    let kicked = json!({"user_id": bob.user_id});
    alice.post(&path, kicked).await.expect_ok();
    set("online", "a secret").await;
    let of_alice = |body: &Value| {
        let events = body["presence"]["events"].as_array().cloned();
        let events = events.unwrap_or_default();
        events
            .iter()
            .any(|it| it["sender"] == alice.user_id.as_str())
    };
    // The same token again: what was due before the two parted is not told any more.
    let path = format!("sync?since={since}");
    let body = bob.get(&path).await.expect_ok();
    assert!(body["rooms"]["leave"][&room].is_object(), "{body}");
    assert!(!of_alice(&body), "{body}");
    // And back again.
    bob.join(&room).await;
    let path = format!("sync?since={}", body["next_batch"].as_str().unwrap());
    let body = bob.get(&path).await.expect_ok();
    assert!(of_alice(&body), "{body}");
}

#[tokio::test]
async fn presence_carries_the_name_and_the_avatar_and_tells_of_new_ones() {
    let server = shared_server().await;
    let Pair { alice, bob, .. } = pair(&server, "presence_name").await;
    let profile = format!("profile/{}", encode(&alice.user_id));
    let since = bob.now().await;
    alice.sync("").await;
    let first = json!({"presence": "online", "displayname": alice.localpart(), "avatar_url": null});
    let mut since = sees_presence(&bob, &since, &alice, &first).await;
    for (key, value) in [
        ("displayname", "Alice"),
        ("avatar_url", "mxc://localhost/a"),
    ] {
        alice
            .put(&format!("{profile}/{key}"), json!({key: value}))
            .await
            .expect_ok();
        since = sees_presence(&bob, &since, &alice, &json!({key: value})).await;
    }
    let both = json!({"displayname": "Alice", "avatar_url": "mxc://localhost/a"});
    let initial = bob.sync("").await;
    let events = initial["presence"]["events"].as_array().unwrap();
    let hers = events
        .iter()
        .find(|event| event["sender"] == alice.user_id.as_str())
        .unwrap();
    for key in ["displayname", "avatar_url"] {
        assert_eq!(hers["content"][key], both[key], "{hers}");
    }
    let removed = json!({"presence": "online", "displayname": null});
    alice
        .delete(&format!("{profile}/displayname"))
        .await
        .expect_ok();
    sees_presence(&bob, &since, &alice, &removed).await;
}

#[tokio::test]
async fn a_sync_brings_its_user_online_unless_it_asks_not_to() {
    let server = shared_server().await;
    let Pair { alice, bob, .. } = pair(&server, "presence_sync").await;
    let since = bob.now().await;
    alice.sync("set_presence=offline").await;
    let read = bob.get(&status_of(&alice)).await.expect_ok();
    assert_eq!(read["presence"], "offline");
    alice.sync("set_presence=unavailable").await;
    let since = sees_presence(&bob, &since, &alice, &json!({"presence": "unavailable"})).await;
    alice.sync("").await;
    sees_presence(&bob, &since, &alice, &json!({"presence": "online"})).await;
}

#[tokio::test]
async fn presence_is_not_for_strangers_and_not_for_others_to_set() {
    let server = shared_server().await;
    let alice = server.register("presence_hermit").await;
    let bob = server.register("presence_stranger").await;
    let path = status_of(&alice);
    bob.get(&path).await.expect_error(403, "M_FORBIDDEN");
    let online = json!({"presence": "online"});
    bob.put(&path, online)
        .await
        .expect_error(403, "M_FORBIDDEN");
    let busy = json!({"presence": "busy"});
    alice
        .put(&path, busy)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    alice
        .put(&path, json!({}))
        .await
        .expect_error(400, "M_BAD_JSON");
    let long = json!({"presence": "online", "status_msg": "x".repeat(5_000)});
    alice
        .put(&path, long)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    let read = alice.get(&path).await.expect_ok();
    assert_eq!(read["presence"], "offline");
}

fn receipt_path(room: &str, receipt_type: &str, event_id: &str) -> String {
    format!(
        "rooms/{}/receipt/{receipt_type}/{}",
        encode(room),
        encode(event_id)
    )
}

async fn reads(
    user: &Client,
    room: &str,
    receipt_type: &str,
    event_id: &str,
    body: Value,
) -> Answer {
    user.post(&receipt_path(room, receipt_type, event_id), body)
        .await
}

/// A user's receipt for an event among those that came with a joined room.
fn receipt_in<'a>(
    joined: &'a Value,
    receipt_type: &'a str,
    event_id: &'a str,
    user: &'a Client,
) -> Option<&'a Value> {
    events_of(joined, "m.receipt")
        .find_map(|content| content[event_id][receipt_type].get(user.user_id.as_str()))
}

#[tokio::test]
async fn a_receipt_tells_others_and_a_private_one_does_not() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "receipts").await;
    let first = alice.send_text(&room, "1", "one").await;
    let second = alice.send_text(&room, "2", "two").await;
    let (since_alice, since_bob) = (alice.now().await, bob.now().await);
    reads(&bob, &room, "m.read.private", &second, json!({}))
        .await
        .expect_ok();
    reads(&bob.over("r0"), &room, "m.read", &first, json!({}))
        .await
        .expect_ok();
    let public = |joined: &Value| {
        assert_eq!(
            receipt_in(joined, "m.read.private", &second, &bob),
            None,
            "{joined}"
        );
        receipt_in(joined, "m.read", &first, &bob).is_some_and(|receipt| receipt["ts"].is_u64())
    };
    alice.sync_until_since(&since_alice, &room, public).await;
    let private = |joined: &Value| receipt_in(joined, "m.read.private", &second, &bob).is_some();
    bob.sync_until_since(&since_bob, &room, private).await;
    alice.sync_until(&room, public).await;
    bob.sync_until(&room, private).await;
}

#[tokio::test]
async fn a_receipt_only_moves_forward() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "receipts_order").await;
    let first = alice.send_text(&room, "1", "one").await;
    let second = alice.send_text(&room, "2", "two").await;
    reads(&bob, &room, "m.read", &second, json!({}))
        .await
        .expect_ok();
    reads(&bob, &room, "m.read", &first, json!({}))
        .await
        .expect_ok();
    let body = alice.sync("").await;
    let joined = &body["rooms"]["join"][&room];
    assert!(
        receipt_in(joined, "m.read", &second, &bob).is_some(),
        "{joined}"
    );
    assert!(
        receipt_in(joined, "m.read", &first, &bob).is_none(),
        "{joined}"
    );
}

#[tokio::test]
async fn receipts_of_threads_stand_beside_each_other() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "threads").await;
    let root = alice.send_text(&room, "1", "root").await;
    let reply = json!({
        "msgtype": "m.text",
        "body": "reply",
        "m.relates_to": {"rel_type": "m.thread", "event_id": root},
    });
    let reply = alice.send(&room, "m.room.message", "2", reply).await;
    let since = alice.now().await;
    reads(&bob, &room, "m.read", &root, json!({"thread_id": "main"}))
        .await
        .expect_ok();
    reads(&bob, &room, "m.read", &reply, json!({"thread_id": root}))
        .await
        .expect_ok();
    let mut found = [false, false];
    let both = |joined: &Value| {
        let thread_of = |event_id: &str| {
            receipt_in(joined, "m.read", event_id, &bob).map(|receipt| receipt["thread_id"].clone())
        };
        found[0] |= thread_of(&root) == Some(json!("main"));
        found[1] |= thread_of(&reply) == Some(json!(root));
        found == [true, true]
    };
    alice.sync_until_since(&since, &room, both).await;
    for thread_id in [
        json!("main"),
        json!(""),
        json!(7),
        Value::Null,
        json!("$other"),
        json!("nonsense"),
    ] {
        let answer = reads(
            &bob,
            &room,
            "m.read",
            &reply,
            json!({ "thread_id": thread_id }),
        )
        .await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    let answer = reads(
        &bob,
        &room,
        "m.fully_read",
        &root,
        json!({"thread_id": "main"}),
    )
    .await;
    answer.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn receipts_of_the_room_and_of_a_thread_may_be_for_the_same_event() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "both").await;
    let event_id = alice.send_text(&room, "1", "one").await;
    let since = alice.now().await;
    for body in [json!({"thread_id": "main"}), json!({})] {
        reads(&bob, &room, "m.read", &event_id, body)
            .await
            .expect_ok();
    }
    for query in [String::new(), format!("since={}", encode(&since))] {
        let answer = alice.sync(&query).await;
        let joined = &answer["rooms"]["join"][&room];
        let mut threads: Vec<&Value> = events_of(joined, "m.receipt")
            .map(|content| &content[&event_id]["m.read"][&bob.user_id]["thread_id"])
            .collect();
        threads.sort_by_key(|thread_id| thread_id.is_string());
        assert_eq!(threads, [&Value::Null, &json!("main")], "{joined}");
    }
    let answer = alice.over("r0").get("initialSync").await.expect_ok();
    assert_eq!(answer["receipts"].as_array().unwrap().len(), 2, "{answer}");
}

#[tokio::test]
async fn a15_a_receipt_is_for_an_event_of_the_room_by_a_member_of_it() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "a15").await;
    let elsewhere = alice.create_public_room().await;
    let other = alice.send_text(&elsewhere, "1", "elsewhere").await;
    let event_id = alice.send_text(&room, "2", "here").await;
    let since = alice.now().await;
    for receipt_type in ["m.read", "m.read.private", "m.fully_read"] {
        for unknown in [other.as_str(), "$nonexistent"] {
            let answer = reads(&bob, &room, receipt_type, unknown, json!({})).await;
            answer.expect_error(404, "M_NOT_FOUND");
        }
        let answer = reads(&bob, &elsewhere, receipt_type, &other, json!({})).await;
        answer.expect_error(403, "M_FORBIDDEN");
    }
    let answer = reads(&bob, &room, "m.seen", &event_id, json!({})).await;
    answer.expect_error(400, "M_INVALID_PARAM");
    let markers = format!("rooms/{}/read_markers", encode(&room));
    let answer = bob
        .post(&markers, json!({"m.fully_read": event_id, "m.read": other}))
        .await;
    answer.expect_error(404, "M_NOT_FOUND");
    // Nothing of all this was half done, and nobody was told.
    let marker = format!(
        "user/{}/rooms/{}/account_data/m.fully_read",
        encode(&bob.user_id),
        encode(&room)
    );
    bob.get(&marker).await.expect_error(404, "M_NOT_FOUND");
    let body = alice.sync(&format!("since={}", encode(&since))).await;
    assert!(!body.to_string().contains("m.receipt"), "{body}");
}

#[tokio::test]
async fn read_markers_set_receipts_and_the_fully_read_marker_at_once() {
    let server = shared_server().await;
    let Pair { alice, bob, room } = pair(&server, "markers").await;
    let first = alice.send_text(&room, "1", "one").await;
    let second = alice.send_text(&room, "2", "two").await;
    let (since_alice, since) = (alice.now().await, bob.now().await);
    let path = format!("rooms/{}/read_markers", encode(&room));
    bob.post(&path, json!({})).await.expect_ok();
    let markers = json!({"m.fully_read": first, "m.read": second, "m.read.private": second});
    bob.post(&path, markers).await.expect_ok();
    let public = |joined: &Value| receipt_in(joined, "m.read", &second, &bob).is_some();
    alice.sync_until_since(&since_alice, &room, public).await;
    let marked = |joined: &Value| {
        let events = joined["account_data"]["events"].as_array();
        events.into_iter().flatten().any(|event| {
            event["type"] == "m.fully_read" && event["content"] == json!({"event_id": first})
        })
    };
    let body = bob.sync_until_since(&since, &room, marked).await;
    let since = body["next_batch"].as_str().unwrap();
    // The receipt endpoint knows the marker as well.
    reads(&bob, &room, "m.fully_read", &second, json!({}))
        .await
        .expect_ok();
    let moved = |joined: &Value| joined["account_data"].to_string().contains(&second);
    bob.sync_until_since(since, &room, moved).await;
    bob.post(&path, json!({"m.fully_read": 7}))
        .await
        .expect_error(400, "M_BAD_JSON");
}

#[tokio::test]
async fn with_presence_off_nobody_is_told_anything_and_everybody_is_offline() {
    let server = TestServer::builder()
        .flag("--presence", "off")
        .start()
        .await;
    let Pair { alice, bob, .. } = pair(&server, "off").await;
    let since = bob.now().await;
    let status = json!({"presence": "online", "status_msg": "here"});
    alice.put(&status_of(&alice), status).await.expect_ok();
    alice.sync("set_presence=online").await;
    for query in [String::new(), format!("since={}", encode(&since))] {
        let answer = bob.sync(&query).await;
        assert_eq!(answer.get("presence"), None, "{answer}");
    }
    let read = bob.get(&status_of(&alice)).await.expect_ok();
    assert_eq!(read, json!({"presence": "offline"}));
    // What cannot be is refused all the same.
    let busy = json!({"presence": "busy"});
    let answer = alice.put(&status_of(&alice), busy).await;
    answer.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn local_presence_is_for_users_of_this_server() {
    let server = TestServer::builder()
        .flag("--presence", "local")
        .start()
        .await;
    let Pair { alice, bob, .. } = pair(&server, "local").await;
    let since = bob.now().await;
    alice.sync("").await;
    sees_presence(&bob, &since, &alice, &json!({"presence": "online"})).await;
}
