//! `GET /_matrix/client/v1/mutual_rooms`

use greenroom_tests::{Answer, Client, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::in_room;

async fn ask(client: &Client, query: &str) -> Answer {
    client
        .over("v1")
        .get(&format!("mutual_rooms?{query}"))
        .await
}

async fn shared(client: &Client, other: &str) -> Value {
    let query = format!("user_id={}", encode(other));
    ask(client, &query).await.expect_ok()
}

#[tokio::test]
async fn rooms_that_both_are_joined_to_are_shared() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    assert_eq!(
        shared(&alice, &bob.user_id).await,
        json!({"joined": [], "count": 0})
    );
    let mut both = Vec::new();
    for _ in 0..3 {
        let room = alice.create_public_room().await;
        bob.join(&room).await;
        both.push(room);
    }
    both.sort();
    // His alone, one that he is only invited to, and one that he has left.
    bob.create_public_room().await;
    alice
        .invite(&alice.create_room(json!({})).await, &bob)
        .await;
    let left = alice.create_public_room().await;
    bob.join(&left).await;
    bob.post(&in_room(&left, "leave"), json!({}))
        .await
        .expect_ok();
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let found = shared(one, &other.user_id).await;
        assert_eq!(found, json!({"joined": both, "count": 3}));
    }
    let path = "uk.half-shot.msc2666/user/mutual_rooms";
    let query = format!("{path}?user_id={}", encode(&bob.user_id));
    let found = alice.over("unstable").get(&query).await.expect_ok();
    assert_eq!(found["joined"], json!(both));
}

/// "If the provided `user_id` is not a valid user, the server MUST return an empty list of rooms."
#[tokio::test]
async fn nobody_shares_no_rooms() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for nobody in ["@nobody:localhost", "@nobody:elsewhere.example"] {
        assert_eq!(
            shared(&alice, nobody).await,
            json!({"joined": [], "count": 0})
        );
    }
}

#[tokio::test]
async fn ones_own_id_no_id_and_no_token_of_ours_are_refused() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let invalid = [
        "nobody",
        "!a:localhost",
        "@:localhost",
        "@Upper:localhost",
        "@a",
    ];
    for bad in [&*alice.user_id].into_iter().chain(invalid) {
        let query = format!("user_id={}", encode(bad));
        ask(&alice, &query)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    ask(&alice, "").await.expect_error(400, "M_MISSING_PARAM");
    for token in ["", "x", "m1_AAAA", "s1_AAAA"] {
        let query = format!("user_id={}&from={token}", encode(&bob.user_id));
        ask(&alice, &query)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    ask(&server.anonymous(), "user_id=@a:localhost")
        .await
        .expect_error(401, "M_MISSING_TOKEN");
}
