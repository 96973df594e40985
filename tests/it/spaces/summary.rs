//! `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`

use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{FOR_STRANGERS, rooms_of_every_kind};
use crate::rooms::in_room;

async fn ask(reader: &Client, room: &str) -> Answer {
    let path = format!("room_summary/{}?via=localhost", encode(room));
    reader.over("v1").get(&path).await
}

#[tokio::test]
async fn a_summary_has_what_the_schema_names() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let name = format!("cheese-{}", alice.localpart());
    let guild = alice.create_public_room().await;
    let room = alice
        .create_room(json!({
            "preset": "public_chat",
            "room_version": "11",
            "room_alias_name": name,
            "name": "Cheese",
            "topic": "Tasty",
            "creation_content": {"type": "m.space"},
            "initial_state": [
                {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
                {"type": "m.room.avatar", "content": {"url": "mxc://localhost/cheddar"}},
                {"type": "m.room.guest_access", "content": {"guest_access": "forbidden"}},
                {"type": "m.room.join_rules", "content": {"join_rule": "knock_restricted",
                    "allow": [{"type": "m.room_membership", "room_id": guild},
                        {"type": "m.other", "room_id": "!x:y"}, 5]}},
            ],
        }))
        .await;
    let alias = format!("#{name}:{}", server.server_name());
    let mut expected = json!({
        "room_id": room,
        "canonical_alias": alias,
        "name": "Cheese",
        "topic": "Tasty",
        "avatar_url": "mxc://localhost/cheddar",
        "num_joined_members": 1,
        "world_readable": false,
        "guest_can_join": false,
        "join_rule": "knock_restricted",
        "allowed_room_ids": [guild],
        "room_type": "m.space",
        "room_version": "11",
        "encryption": "m.megolm.v1.aes-sha2",
    });
    // "Absent if the API was called unauthenticated."
    let anonymous = server.anonymous();
    assert_eq!(ask(&anonymous, &room).await.expect_ok(), expected);
    expected["membership"] = "leave".into();
    assert_eq!(ask(&bob, &alias).await.expect_ok(), expected);
    expected["membership"] = "join".into();
    assert_eq!(ask(&alice, &room).await.expect_ok(), expected);
    alice.invite(&room, &bob).await;
    expected["membership"] = "invite".into();
    assert_eq!(ask(&bob, &room).await.expect_ok(), expected);
    // Where clients look that do not know the stable path.
    for path in [
        format!("im.nheko.summary/rooms/{}/summary", encode(&alias)),
        format!("im.nheko.summary/summary/{}", encode(&room)),
    ] {
        let answer = bob.over("unstable").get(&path).await;
        assert_eq!(answer.expect_ok(), expected, "{path}");
    }
    let versions = anonymous.get("/_matrix/client/versions").await.expect_ok();
    assert_eq!(versions["unstable_features"]["org.matrix.msc3266"], true);
}

#[tokio::test]
async fn a30_strangers_are_shown_what_anybody_may_enter_or_read() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let guild = alice.create_public_room().await;
    let anonymous = server.anonymous();
    let missing = ask(&anonymous, "!nowhere")
        .await
        .expect_error(404, "M_NOT_FOUND");
    for (kind, room) in rooms_of_every_kind(&alice, &guild).await {
        for reader in [&anonymous, &bob] {
            let answer = ask(reader, &room).await;
            if FOR_STRANGERS.contains(&kind) {
                assert_eq!(answer.expect_ok()["name"], kind);
            } else {
                assert_eq!(answer.expect_error(404, "M_NOT_FOUND"), missing, "{kind}");
            }
        }
        if kind == "restricted" {
            bob.join(&guild).await;
            let shown = ask(&bob, &room).await.expect_ok();
            assert_eq!(shown["allowed_room_ids"], json!([guild]));
        }
        alice
            .post(&in_room(&room, "ban"), json!({"user_id": bob.user_id}))
            .await
            .expect_ok();
        let answer = ask(&bob, &room).await;
        if kind == "readable" {
            assert_eq!(answer.expect_ok()["membership"], "ban");
        } else {
            answer.expect_error(404, "M_NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_summary_that_is_not_there_is_not_found_in_the_same_words() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let name = format!("hidden-{}", alice.localpart());
    let hidden = alice
        .create_room(json!({"room_alias_name": name, "name": "secret"}))
        .await;
    let alias = format!("#{name}:{}", server.server_name());
    let mut answers = Vec::new();
    for room in [
        &*hidden,
        &alias,
        "!nowhere",
        "!nowhere:elsewhere.example",
        "#nowhere:localhost",
        "#nowhere:elsewhere.example",
    ] {
        for reader in [&bob, &server.anonymous()] {
            let answer = ask(reader, room).await;
            answers.push(answer.expect_error(404, "M_NOT_FOUND"));
        }
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    for odd in ["nowhere", "@a:localhost", "#", "!"] {
        let answer = ask(&bob, odd).await;
        assert!([400, 404].contains(&answer.status), "{}", answer.describe());
    }
}

#[tokio::test]
async fn who_names_a_bad_token_is_no_stranger() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let mut forger = server.anonymous();
    forger.token = Some("gr_nonsense".to_owned());
    ask(&forger, &room)
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn strangers_are_slowed_down() {
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .env("GREENROOM_RATE_LIMITS_LOOKUPS_ADDRESS_BURST", "3")
        .env("GREENROOM_RATE_LIMITS_LOOKUPS_ADDRESS_PER_SECOND", "0.001")
        .start()
        .await;
    let anonymous = server.anonymous();
    for _ in 0..3 {
        ask(&anonymous, "!nowhere").await.expect_status(404);
    }
    let refused = ask(&anonymous, "!nowhere").await;
    let body: Value = refused.expect_error(429, "M_LIMIT_EXCEEDED");
    assert!(body["retry_after_ms"].is_u64());
}
