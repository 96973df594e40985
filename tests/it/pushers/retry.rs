//! Gateways that fail, and servers that die.

use greenroom_tests::encode;
use serde_json::json;

use super::{Pair, pusher, set};

#[tokio::test]
async fn what_a_gateway_has_not_taken_is_told_again_in_its_order() {
    let mut pair = Pair::new().await;
    pair.gateway.answer(500, "");
    pair.gateway.answer(404, r#"{"rejected": ["alice"]}"#);
    let first = pair.say("1").await;
    pair.told_of(&first).await;
    let second = pair.say("2").await;
    let third = pair.say("3").await;
    for event_id in [&first, &first, &second, &third] {
        pair.told_of(event_id).await;
    }
    pair.server
        .logged(&["WARN", "does not take notifications", "500"])
        .await;
    pair.server.logged(&["takes notifications again"]).await;
}

#[tokio::test]
async fn what_was_not_told_before_a_crash_is_told_after_it() {
    let mut pair = Pair::new().await;
    pair.gateway.answer(503, "");
    let first = pair.say("1").await;
    pair.told_of(&first).await;
    let second = pair.say("2").await;
    pair.server.kill9().await;
    pair.server.restart().await;
    pair.told_of(&first).await;
    pair.told_of(&second).await;
    // What was told and noted is not told again.
    let third = pair.say("3").await;
    pair.told_of(&third).await;
    pair.server.restart().await;
    let fourth = pair.say("4").await;
    pair.told_of(&fourth).await;
}

#[tokio::test]
async fn what_was_said_before_a_pusher_was_set_is_not_told() {
    let mut pair = Pair::new().await;
    let carol = pair.server.register("carol").await;
    carol.join(&pair.room).await;
    let first = pair.say("1").await;
    pair.told_of(&first).await;
    set(&carol, pusher(&pair.gateway.url(), "carol")).await;
    pair.server.restart().await;
    let second = pair.say("2").await;
    for _ in 0..2 {
        pair.told_of(&second).await;
    }
}

#[tokio::test]
async fn what_is_read_or_redacted_while_the_gateway_is_away_is_not_told() {
    let mut pair = Pair::new().await;
    let other = pair.bob.create_public_room().await;
    pair.alice.join(&other).await;
    pair.gateway.answer(500, "");
    let read = pair.say("read").await;
    pair.told_of(&read).await;
    let redacted = pair.bob.send_text(&other, "1", "redacted").await;
    let kept = pair.bob.send_text(&other, "2", "kept").await;
    let path = format!(
        "rooms/{}/receipt/m.read/{}",
        encode(&pair.room),
        encode(&read)
    );
    pair.alice.post(&path, json!({})).await.expect_ok();
    let path = format!("rooms/{}/redact/{}/t", encode(&other), encode(&redacted));
    pair.bob.put(&path, json!({})).await.expect_ok();
    // The gateway may have come back before.
    while pair.gateway.told_already().is_some() {}
    let last = pair.bob.send_text(&other, "3", "last").await;
    loop {
        let told = pair.gateway.told().await;
        let event_id = told["event_id"].as_str().unwrap_or_default();
        assert!(event_id != read && event_id != redacted, "{told}");
        if event_id == last {
            break;
        }
        assert!(event_id.is_empty() || event_id == kept, "{told}");
    }
}

#[tokio::test]
async fn a_gateway_that_fails_holds_nobody_else_up() {
    let mut pair = Pair::new().await;
    let nobody = "https://127.0.0.1:9/_matrix/push/v1/notify";
    set(&pair.alice, pusher(nobody, "nobody")).await;
    for text in ["1", "2", "3"] {
        let event_id = pair.say(text).await;
        pair.told_of(&event_id).await;
    }
    pair.server
        .logged(&["WARN", "push gateway", "could not connect"])
        .await;
}

#[tokio::test]
async fn what_is_read_is_not_told_though_more_is_unread_in_its_room() {
    let mut pair = Pair::new().await;
    pair.gateway.answer(500, "");
    let read = pair.say("read").await;
    pair.told_of(&read).await;
    let kept = pair.say("kept").await;
    let path = format!(
        "rooms/{}/receipt/m.read/{}",
        encode(&pair.room),
        encode(&read)
    );
    pair.alice.post(&path, json!({})).await.expect_ok();
    // The gateway may have come back before.
    while pair.gateway.told_already().is_some() {}
    let last = pair.say("last").await;
    loop {
        let told = pair.gateway.told().await;
        let event_id = told["event_id"].as_str().unwrap_or_default();
        assert_ne!(event_id, read, "{told}");
        if event_id == last {
            break;
        }
        assert!(event_id.is_empty() || event_id == kept, "{told}");
    }
}

#[tokio::test]
async fn after_a_long_absence_only_the_unread_of_each_room_is_told_in_order() {
    let mut pair = Pair::new().await;
    let other = pair.bob.create_public_room().await;
    pair.alice.join(&other).await;
    pair.gateway.answer(500, "");
    let first = pair.say("0").await;
    pair.told_of(&first).await;
    // More than memory keeps, in two rooms, and more than a page in each.
    let mut sent = vec![first];
    for n in 1..=130 {
        let room = if n % 2 == 0 { &pair.room } else { &other };
        let notice = json!({"msgtype": "m.notice", "body": "quiet"});
        let txn = format!("notice{n}");
        pair.bob.send(room, "m.room.message", &txn, notice).await;
        let text = n.to_string();
        sent.push(pair.bob.send_text(room, &format!("said{n}"), &text).await);
    }
    let mut expected = sent.iter();
    let mut next = expected.next();
    while let Some(event_id) = next {
        let told = pair.gateway.told().await;
        assert_eq!(told["event_id"], **event_id, "{told}");
        next = expected.next();
    }
}
