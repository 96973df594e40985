//! What a gateway is told, and of what.

use greenroom_tests::{PushGateway, TestServer, encode};
use serde_json::{Value, json};

use super::{Pair, pusher, pushers, set};

#[tokio::test]
async fn a_message_reaches_the_gateway_with_everything_about_it() {
    let mut pair = Pair::new().await;
    let mut again = pusher(&pair.gateway.url(), "alice");
    again["data"]["custom"] = json!({"a": 1});
    set(&pair.alice, again).await;
    let room = &pair.room;
    pair.bob
        .send_state(room, "m.room.name", "", json!({"name": "Tea"}))
        .await;
    // Nobody is told of what they have done themselves.
    pair.alice.send_text(room, "own", "mine").await;
    let event_id = pair.say("hello").await;
    let mut told = pair.told_of(&event_id).await;
    let since = told["devices"][0]["pushkey_ts"].take();
    assert!(
        since
            .as_u64()
            .is_some_and(|seconds| seconds > 1_600_000_000),
        "{since}"
    );
    let expected = json!({
        "event_id": event_id,
        "room_id": pair.room,
        "type": "m.room.message",
        "sender": pair.bob.user_id,
        "sender_display_name": pair.bob.localpart(),
        "room_name": "Tea",
        "content": {"msgtype": "m.text", "body": "hello"},
        "counts": {"unread": 1},
        "devices": [{
            "app_id": "org.example.app",
            "pushkey": "alice",
            "pushkey_ts": null,
            "data": {"custom": {"a": 1}},
            "tweaks": {"sound": "default"},
        }],
    });
    assert_eq!(told, expected);
    let next = pair.say("again").await;
    assert_eq!(pair.told_of(&next).await["counts"], json!({"unread": 2}));
}

#[tokio::test]
async fn b81_by_its_id_only_an_event_is_told_without_any_content() {
    let mut pair = Pair::new().await;
    let mut by_id = pusher(&pair.gateway.url(), "alice");
    by_id["data"]["format"] = json!("event_id_only");
    set(&pair.alice, by_id).await;
    let event_id = pair.say("secret").await;
    let told = pair.told_of(&event_id).await;
    let mut keys: Vec<_> = told.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["counts", "devices", "event_id", "room_id"]);
    assert_eq!(told["room_id"], json!(pair.room));
    assert_eq!(told["counts"], json!({"unread": 1}));
    assert_eq!(
        told["devices"][0]["data"],
        json!({"format": "event_id_only"})
    );
}

#[tokio::test]
async fn who_reads_has_their_badge_cleared() {
    let mut pair = Pair::new().await;
    pair.say("1").await;
    let last = pair.say("2").await;
    pair.gateway.told().await;
    assert_eq!(pair.told_of(&last).await["counts"], json!({"unread": 2}));
    let read = format!(
        "rooms/{}/receipt/m.read/{}",
        encode(&pair.room),
        encode(&last)
    );
    pair.alice.post(&read, json!({})).await.expect_ok();
    let told = pair.gateway.told().await;
    assert_eq!(told["counts"], json!({"unread": 0}));
    assert_eq!(told["event_id"], Value::Null);
    assert_eq!(told["devices"][0]["pushkey"], "alice");
    // Where nothing has changed, nothing is told.
    pair.alice.post(&read, json!({})).await.expect_ok();
    let next = pair.say("3").await;
    assert_eq!(pair.told_of(&next).await["counts"], json!({"unread": 1}));
}

#[tokio::test]
async fn who_answers_has_their_badge_cleared_and_what_is_redacted_is_not_on_it() {
    let mut pair = Pair::new().await;
    let first = pair.say("1").await;
    assert_eq!(pair.told_of(&first).await["counts"], json!({"unread": 1}));
    pair.alice.send_text(&pair.room, "answer", "2").await;
    let told = pair.gateway.told().await;
    assert_eq!(
        (&told["counts"], &told["event_id"]),
        (&json!({"unread": 0}), &Value::Null)
    );
    let (third, fourth) = (pair.say("3").await, pair.say("4").await);
    pair.told_of(&third).await;
    assert_eq!(pair.told_of(&fourth).await["counts"], json!({"unread": 2}));
    let redact = format!("rooms/{}/redact/{}/r", encode(&pair.room), encode(&third));
    pair.bob.put(&redact, json!({})).await.expect_ok();
    let told = pair.gateway.told().await;
    assert_eq!(
        (&told["counts"], &told["event_id"]),
        (&json!({"unread": 1}), &Value::Null)
    );
}

#[tokio::test]
async fn what_does_not_notify_is_not_told() {
    let mut pair = Pair::new().await;
    let notice = json!({"msgtype": "m.notice", "body": "x"});
    pair.bob
        .send(&pair.room, "m.room.message", "n", notice)
        .await;
    pair.bob
        .send_state(&pair.room, "m.room.topic", "", json!({"topic": "x"}))
        .await;
    let muted = pair.bob.create_public_room().await;
    pair.alice.join(&muted).await;
    let rule = format!("pushrules/global/room/{}", encode(&muted));
    pair.alice
        .put(&rule, json!({"actions": []}))
        .await
        .expect_ok();
    pair.bob.send_text(&muted, "1", "in the muted room").await;
    let event_id = pair.say("loud").await;
    pair.told_of(&event_id).await;
}

#[tokio::test]
async fn ignored_users_do_not_ring() {
    let mut pair = Pair::new().await;
    let mallory = pair.server.register("mallory").await;
    mallory.join(&pair.room).await;
    let ignore = json!({"ignored_users": {&mallory.user_id: {}}});
    let path = format!(
        "user/{}/account_data/m.ignored_user_list",
        encode(&pair.alice.user_id)
    );
    pair.alice.put(&path, ignore).await.expect_ok();
    mallory.send_text(&pair.room, "1", "psst").await;
    let invited = mallory.create_room(json!({})).await;
    mallory.invite(&invited, &pair.alice).await;
    let event_id = pair.say("hello").await;
    pair.told_of(&event_id).await;
}

#[tokio::test]
async fn an_invite_is_told_to_whom_it_invites() {
    let mut pair = Pair::new().await;
    let room = pair.bob.create_room(json!({"name": "Cake"})).await;
    pair.bob.send_text(&room, "1", "not for guests").await;
    pair.bob.invite(&room, &pair.alice).await;
    let told = pair.gateway.told().await;
    assert_eq!(told["room_id"], json!(room));
    assert_eq!(
        (&told["type"], &told["room_name"]),
        (&json!("m.room.member"), &json!("Cake"))
    );
    assert_eq!(told["user_is_target"], true);
    assert_eq!(told["content"]["membership"], "invite");
    // In the room there is no way to what was said before.
    pair.alice.join(&room).await;
    let event_id = pair.bob.send_text(&room, "2", "welcome").await;
    pair.told_of(&event_id).await;
    // And none after.
    let leave = format!("rooms/{}/leave", encode(&room));
    pair.alice.post(&leave, json!({})).await.expect_ok();
    let told = pair.gateway.told().await;
    assert_eq!(
        (&told["counts"], &told["event_id"]),
        (&json!({"unread": 0}), &Value::Null),
        "what was unread there is not any more"
    );
    pair.bob.send_text(&room, "3", "gone").await;
    let event_id = pair.say("hello").await;
    pair.told_of(&event_id).await;
}

#[tokio::test]
async fn what_needs_no_haste_is_of_low_priority() {
    let mut pair = Pair::new().await;
    // With a third member it is no conversation of two.
    let carol = pair.server.register("carol").await;
    carol.join(&pair.room).await;
    let event_id = pair.say("hello").await;
    assert_eq!(pair.told_of(&event_id).await["prio"], "low");
    let mention = json!({
        "msgtype": "m.text", "body": "x", "m.mentions": {"user_ids": [pair.alice.user_id]},
    });
    let event_id = pair
        .bob
        .send(&pair.room, "m.room.message", "m", mention)
        .await;
    let told = pair.told_of(&event_id).await;
    assert_eq!(told["prio"], Value::Null, "high is what it is without");
    assert_eq!(told["devices"][0]["tweaks"]["highlight"], true);
    let encrypted = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"});
    let event_id = pair
        .bob
        .send(&pair.room, "m.room.encrypted", "e", encrypted)
        .await;
    assert_eq!(pair.told_of(&event_id).await["prio"], Value::Null);
}

#[tokio::test]
async fn a_rejected_pushkey_loses_its_pusher() {
    let mut pair = Pair::new().await;
    pair.gateway.answer(200, r#"{"rejected": ["alice"]}"#);
    let event_id = pair.say("1").await;
    pair.told_of(&event_id).await;
    pair.server
        .logged(&["rejected a pushkey", "org.example.app"])
        .await;
    assert!(pushers(&pair.alice).await.is_empty());
    // Somebody else's key is not hers.
    set(&pair.alice, pusher(&pair.gateway.url(), "new")).await;
    pair.gateway.answer(200, r#"{"rejected": ["alice"]}"#);
    for text in ["2", "3"] {
        let event_id = pair.say(text).await;
        let told = pair.told_of(&event_id).await;
        assert_eq!(told["devices"][0]["pushkey"], "new");
    }
}

#[tokio::test]
async fn who_logs_out_is_told_nothing_more() {
    let mut pair = Pair::new().await;
    let phone = pair.server.login(pair.alice.localpart()).await;
    set(&phone, pusher(&pair.gateway.url(), "phone")).await;
    pair.alice.post("logout", json!({})).await.expect_ok();
    for text in ["1", "2"] {
        let event_id = pair.say(text).await;
        let told = pair.told_of(&event_id).await;
        assert_eq!(told["devices"][0]["pushkey"], "phone");
    }
}

#[tokio::test]
async fn who_takes_over_a_pushkey_is_told_alone() {
    let mut pair = Pair::new().await;
    let carol = pair.server.register("carol").await;
    carol.join(&pair.room).await;
    set(&carol, pusher(&pair.gateway.url(), "alice")).await;
    assert!(pushers(&pair.alice).await.is_empty());
    for text in ["1", "2"] {
        let event_id = pair.say(text).await;
        pair.told_of(&event_id).await;
    }
    assert_eq!(pair.gateway.told_already(), None);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_taken_for_what_their_status_says() {
    let mut pair = Pair::new().await;
    for body in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"rejected": "alice"}"#,
        r#"{"rejected": [5]}"#,
    ] {
        pair.gateway.answer(200, body);
        let event_id = pair.say(&format!("said {body}")).await;
        pair.told_of(&event_id).await;
    }
    let long = format!(r#"{{"rejected": ["{}"]}}"#, "x".repeat(1_000_000));
    pair.gateway.answer(200, &long);
    let event_id = pair.say("long").await;
    pair.told_of(&event_id).await;
    // Who answers with so much has not been heard to the end.
    pair.told_of(&event_id).await;
    assert_eq!(pushers(&pair.alice).await.len(), 1);
}

#[tokio::test]
async fn a65_a_gateway_on_a_private_address_is_not_reached() {
    let mut gateway = PushGateway::start().await;
    let server = TestServer::builder().trust(&gateway).start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = bob.create_public_room().await;
    alice.join(&room).await;
    set(&alice, pusher(&gateway.url(), "s3cret-by-address")).await;
    set(&alice, pusher(&gateway.url_by_name(), "s3cret-by-name")).await;
    bob.send_text(&room, "1", "hello").await;
    for host in ["\"gateway\":\"127.0.0.1\"", "\"gateway\":\"localhost\""] {
        server
            .logged(&["WARN", "push gateway", host, "outbound.allow"])
            .await;
    }
    assert_eq!(gateway.told_already(), None);
    assert!(!server.log().join("\n").contains("s3cret"));
}
