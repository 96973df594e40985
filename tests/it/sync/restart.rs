//! Tokens outlive the server that gave them.

use greenroom_tests::{TestServer, encode};
use serde_json::json;

use super::{bodies, contents, does, events, ids, joined, next, says, since, topic};

#[tokio::test]
async fn after_a_restart_old_tokens_go_on_and_nothing_is_lost_or_said_twice() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let quiet = alice.create_public_room().await;
    let left = alice.create_public_room().await;
    for which in [&room, &quiet, &left] {
        bob.join(which).await;
    }
    let caught_up = alice.now().await;
    let behind = bob.now().await;
    let mut sent = says(&alice, &room, &["1", "2"]).await;
    sent.push(topic(&alice, &room, "news").await);
    let receipt = format!("rooms/{}/receipt/m.read/{}", encode(&room), sent[1]);
    alice.post(&receipt, json!({})).await.expect_ok();
    does(&bob, &left, "leave").await;
    let now = alice.now().await;
    assert_ne!(now, caught_up);

    for kill in [false, true] {
        if kill {
            server.kill9().await;
        }
        server.restart().await;
        // The first to come asks from before, while nothing is in memory.
        for _ in 0..2 {
            let answer = bob.sync(&since(&behind)).await;
            let section = joined(&answer, &room);
            assert_eq!(ids(&section["timeline"]), sent, "{section}");
            assert_eq!(section["timeline"]["limited"], false, "{section}");
            assert!(events(&section["state"]).is_empty(), "{section}");
            assert_eq!(contents(&section["ephemeral"], "m.receipt").len(), 1);
            assert!(joined(&answer, &quiet).is_null(), "{answer}");
            assert!(answer["rooms"]["leave"][&left].is_object(), "{answer}");
            let nothing = bob.sync(&since(&next(&answer))).await;
            assert!(nothing["rooms"].is_null(), "{nothing}");
        }
        let nothing = alice.sync(&since(&now)).await;
        assert!(nothing["rooms"].is_null(), "{nothing}");
        assert!(events(&nothing["account_data"]).is_empty(), "{nothing}");
        let waited = alice
            .sync(&format!("{}&timeout=100", since(&next(&nothing))))
            .await;
        assert!(waited["rooms"].is_null(), "{waited}");
    }
    // What comes after the restart is pushed to who waits with a token from before.
    let token = next(&bob.sync(&since(&behind)).await);
    let (answer, _) = tokio::join!(
        bob.sync_until_since(&token, &room, |section| {
            bodies(&section["timeline"]).contains(&"after")
        }),
        alice.send_text(&room, "after", "after")
    );
    assert_eq!(bodies(&joined(&answer, &room)["timeline"]), ["after"]);
}

#[tokio::test]
async fn who_came_online_after_a_restart_is_seen_with_an_old_token() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let token = bob.now().await;
    server.restart().await;
    let path = format!("presence/{}/status", encode(&alice.user_id));
    let body = json!({"presence": "online", "status_msg": "back"});
    alice.put(&path, body).await.expect_ok();
    alice.now().await;
    let seen = |answer: &serde_json::Value| {
        events(&answer["presence"])
            .iter()
            .any(|event| event["sender"] == alice.user_id.as_str())
    };
    bob.sync_matching(Some(token), seen).await;
}

#[tokio::test]
async fn who_typed_before_a_restart_is_said_to_have_stopped_once() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_public_room().await;
    let quiet = carol.create_public_room().await;
    bob.join(&room).await;
    let before = bob.now().await;
    let types = async |on: bool| {
        let path = format!("rooms/{}/typing/{}", encode(&room), encode(&alice.user_id));
        let body = json!({"typing": on, "timeout": 100_000});
        alice.put(&path, body).await.expect_ok();
    };
    let who = |answer: &serde_json::Value, room: &str| {
        let typing = contents(&joined(answer, room)["ephemeral"], "m.typing");
        typing.first().map(|content| content["user_ids"].clone())
    };
    types(true).await;
    let answer = bob.sync(&since(&before)).await;
    assert_eq!(who(&answer, &room), Some(json!([alice.user_id])));
    let hers = carol.now().await;
    let mut told = next(&answer);
    // Also who was told of other things only since then.
    says(&alice, &room, &["1"]).await;
    let later = next(&bob.sync(&since(&told)).await);
    for kill in [true, false] {
        match kill {
            true => server.kill9().await,
            false => server.stop().await,
        };
        server.restart().await;
        for token in [&told, &later] {
            let answer = bob.sync(&since(token)).await;
            assert_eq!(who(&answer, &room), Some(json!([])), "{answer}");
            let nothing = bob.sync(&since(&next(&answer))).await;
            assert!(nothing["rooms"].is_null(), "{nothing}");
        }
        let nothing = carol.sync(&since(&hers)).await;
        assert!(joined(&nothing, &quiet).is_null(), "{nothing}");
        // The old event stream says so as well.
        let events = bob.get(&format!("events?from={}", encode(&told))).await;
        let events = events.expect_ok();
        let typing = json!({"type": "m.typing", "room_id": room, "content": {"user_ids": []}});
        assert!(
            events["chunk"].as_array().unwrap().contains(&typing),
            "{events}"
        );
        // Once more, in this process; and who typed on is still seen.
        let token = bob.now().await;
        types(true).await;
        let answer = bob.sync(&since(&token)).await;
        assert_eq!(who(&answer, &room), Some(json!([alice.user_id])));
        told = next(&answer);
    }
    server.restart().await;
    types(true).await;
    let answer = bob.sync(&since(&told)).await;
    assert_eq!(who(&answer, &room), Some(json!([alice.user_id])));
    types(false).await;
    let answer = bob.sync(&since(&next(&answer))).await;
    assert_eq!(who(&answer, &room), Some(json!([])));
    let silent = next(&answer);
    server.restart().await;
    let nothing = bob.sync(&since(&silent)).await;
    assert!(nothing["rooms"].is_null(), "{nothing}");
}
