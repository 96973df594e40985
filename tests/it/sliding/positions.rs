//! Positions: what is lost comes again, what is not known is said to be so.

use greenroom_tests::{TestServer, shared_server};
use serde_json::{Value, json};

use super::{all, ask, ids, pos, rooms, slide};

/// An answer without the time.
fn timeless(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for room in answer["rooms"].as_object_mut().unwrap().values_mut() {
        for section in ["timeline", "required_state"] {
            let events = room[section].as_array_mut();
            for event in events.into_iter().flatten() {
                event["unsigned"]["age"].take();
            }
        }
    }
    answer
}

#[tokio::test]
async fn the_same_position_again_has_the_same_answer() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let first = slide(&alice, None, all(5)).await;
    let again = slide(&alice, None, all(5)).await;
    assert_eq!(timeless(&first), timeless(&again));
    let event = alice.send_text(&room, "t1", "hello").await;
    let lost = slide(&alice, Some(pos(&first)), all(5)).await;
    let again = slide(&alice, Some(pos(&first)), all(5)).await;
    assert_eq!(ids(&lost["rooms"][&room]["timeline"]), [&event]);
    assert_eq!(timeless(&lost), timeless(&again));
    let next = alice.send_text(&room, "t2", "and").await;
    let more = slide(&alice, Some(pos(&first)), all(5)).await;
    assert_eq!(ids(&more["rooms"][&room]["timeline"]), [&event, &next]);
    let rest = slide(&alice, Some(pos(&lost)), all(5)).await;
    assert_eq!(ids(&rest["rooms"][&room]["timeline"]), [&next]);
}

#[tokio::test]
async fn an_answer_counts_when_the_client_comes_with_its_position() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let first = slide(&alice, None, all(5)).await;
    alice.send_text(&room, "t1", "hello").await;
    let second = slide(&alice, Some(pos(&first)), all(5)).await;
    let third = slide(&alice, Some(pos(&second)), all(5)).await;
    assert!(rooms(&third).is_empty(), "{third}");
    let again = slide(&alice, Some(pos(&second)), all(5)).await;
    assert!(rooms(&again).is_empty(), "{again}");
    ask(&alice, Some(pos(&first)), 0, all(5))
        .await
        .expect_error(400, "M_UNKNOWN_POS");
    slide(&alice, Some(pos(&third)), all(5)).await;
}

#[tokio::test]
async fn b40_positions_of_others_and_made_up_ones_are_unknown() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    alice.create_public_room().await;
    let first = slide(&alice, None, all(5)).await;
    let since = alice.now().await;
    for (client, pos, body) in [
        (&alice, "s58_224_0_13", all(5)),
        (&alice, "-1", all(5)),
        (&alice, since.as_str(), all(5)),
        (&bob, pos(&first), all(5)),
        (&alice, pos(&first), json!({"conn_id": "other"})),
    ] {
        ask(client, Some(pos), 0, body)
            .await
            .expect_error(400, "M_UNKNOWN_POS");
    }
    slide(&alice, Some(pos(&first)), all(5)).await;
}

#[tokio::test]
async fn connections_of_a_device_stand_apart() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let named = |name: &str| {
        let mut body = all(5);
        body["conn_id"] = name.into();
        body
    };
    let one = slide(&alice, None, named("one")).await;
    let other = slide(&alice, None, named("other")).await;
    let event = alice.send_text(&room, "t1", "hello").await;
    for (first, name) in [(&one, "one"), (&other, "other")] {
        let next = slide(&alice, Some(pos(first)), named(name)).await;
        assert_eq!(ids(&next["rooms"][&room]["timeline"]), [&event], "{name}");
    }
}

#[tokio::test]
async fn a_client_waits_for_what_comes_and_is_told_at_once() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let first = slide(&alice, None, all(5)).await;
    let waiting = ask(&alice, Some(pos(&first)), 30_000, all(5));
    let (answer, event) = tokio::join!(waiting, alice.send_text(&room, "t1", "hello"));
    let answer = answer.expect_ok();
    assert_eq!(ids(&answer["rooms"][&room]["timeline"]), [&event]);
    // Who starts afresh does not wait, whatever they say.
    let nobody = server.register("nobody").await;
    ask(&nobody, None, 30_000, all(5)).await.expect_ok();
}

#[tokio::test]
async fn after_a_restart_or_a_logout_a_client_starts_afresh() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let first = slide(&alice, None, all(5)).await;
    server.restart().await;
    ask(&alice, Some(pos(&first)), 0, all(5))
        .await
        .expect_error(400, "M_UNKNOWN_POS");
    let afresh = slide(&alice, None, all(5)).await;
    assert_eq!(rooms(&afresh), [&room]);
    let page = alice
        .get(&format!(
            "rooms/{}/messages?dir=b&from={}",
            greenroom_tests::encode(&room),
            greenroom_tests::encode(pos(&afresh))
        ))
        .await;
    assert!(!page.expect_ok()["chunk"].as_array().unwrap().is_empty());
}
