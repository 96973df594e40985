//! Invites: who wants none, and one that is made again.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, timeline};

async fn set(client: &Client, data_type: &str, content: Value) {
    let path = format!("user/{}/account_data/{data_type}", encode(&client.user_id));
    client.put(&path, content).await.expect_ok();
}

/// "The user's homeserver MUST respond to the following endpoints with an HTTP 403 status code, with
/// the Matrix error code `M_INVITE_BLOCKED`, if the user is invited."
#[tokio::test]
async fn b80_who_blocks_invites_is_not_invited() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let room = alice.create_room(json!({})).await;
    let path = format!("state/m.room.member/{}", encode(&bob.user_id));
    let attempts = async || {
        let body = json!({"user_id": bob.user_id});
        let [invite, kept] = ["invite", "invite/t1"].map(|it| in_room(&room, it));
        let member = json!({"membership": "invite"});
        let initial = json!([
            {"type": "m.room.member", "state_key": bob.user_id, "content": member},
        ]);
        [
            alice.post(&invite, body.clone()).await,
            alice.over("r0").put(&kept, body).await,
            alice.put(&in_room(&room, &path), member).await,
            alice
                .post("createRoom", json!({"invite": [bob.user_id]}))
                .await,
            alice
                .post("createRoom", json!({"initial_state": initial}))
                .await,
        ]
    };
    set(
        &bob,
        "m.invite_permission_config",
        json!({"default_action": "block"}),
    )
    .await;
    let rooms = alice.get("joined_rooms").await.expect_ok();
    for refused in attempts().await {
        refused.expect_error(403, "M_INVITE_BLOCKED");
    }
    assert_eq!(alice.get("joined_rooms").await.expect_ok(), rooms);
    // What else is done to their membership is not an invite.
    for verb in ["ban", "unban"] {
        let path = in_room(&room, verb);
        let done = alice.post(&path, json!({"user_id": bob.user_id})).await;
        done.expect_ok();
    }
    // "A missing, invalid or unsupported value means that the user wants to receive invites."
    for config in [
        json!({}),
        json!({"default_action": "allow"}),
        json!({"default_action": 1}),
    ] {
        set(&bob, "m.invite_permission_config", config).await;
        for done in attempts().await {
            done.expect_ok();
        }
    }
}

/// "Invite events for this user already in the database [...] MUST NOT be served over client
/// synchronisation endpoints." What else of them there is, is "not affected".
#[tokio::test]
async fn b80_who_blocks_invites_sees_none_in_a_sync() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let since = encode(&bob.now().await);
    let room = alice.create_room(json!({})).await;
    alice.invite(&room, &bob).await;
    let shown = async || {
        let initial = bob.sync("").await;
        let later = bob.sync(&format!("since={since}")).await;
        let old = bob.get("initialSync").await.expect_ok();
        let stream = format!("events?timeout=0&from={since}");
        let stream = bob.get(&stream).await.expect_ok();
        [
            initial["rooms"]["invite"].get(&room).is_some(),
            later["rooms"]["invite"].get(&room).is_some(),
            old["rooms"].to_string().contains(&room),
            stream["chunk"].to_string().contains(&room),
        ]
    };
    assert_eq!(shown().await, [true; 4]);
    let config = json!({"default_action": "block"});
    set(&bob, "m.invite_permission_config", config).await;
    assert_eq!(shown().await, [false; 4]);
    let state = alice.state(&room, "m.room.member", &bob.user_id).await;
    assert_eq!(state.expect_ok()["membership"], "invite");
    // The invite stands: they may go there all the same, and it comes back with their mind.
    set(&bob, "m.invite_permission_config", json!({})).await;
    assert_eq!(shown().await, [true; 4]);
    set(
        &bob,
        "m.invite_permission_config",
        json!({"default_action": "block"}),
    )
    .await;
    bob.join(&room).await;
    let joined = bob.sync("").await;
    assert!(joined["rooms"]["join"].get(&room).is_some(), "{joined}");
}

/// "The user has been invited to join the room, or was already invited to the room."
#[tokio::test]
async fn who_is_invited_again_stays_invited_as_they_were() {
    let server = shared_server().await;
    let [alice, bob, carol] = [
        server.register("alice").await,
        server.register("bob").await,
        server.register("carol").await,
    ];
    let request = json!({"is_direct": true, "invite": [bob.user_id, carol.user_id],
        "power_level_content_override": {"invite": 0}});
    let room = alice.create_room(request).await;
    carol.join(&room).await;
    let before = timeline(&alice, &room).await.len();
    let invite = in_room(&room, "invite");
    let again = async |by: &Client, reason: Option<&str>| {
        let mut body = json!({"user_id": bob.user_id});
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        by.post(&invite, body).await.expect_ok();
        let content = by.state(&room, "m.room.member", &bob.user_id).await;
        (
            content.expect_ok(),
            timeline(&alice, &room).await.len() - before,
        )
    };
    for _ in 0..2 {
        let (content, events) = again(&alice, None).await;
        assert_eq!((&content["is_direct"], events), (&json!(true), 0));
    }
    // A reason is news; it is given once.
    for _ in 0..2 {
        let (content, events) = again(&alice, Some("tea")).await;
        assert_eq!((&content["is_direct"], events), (&json!(true), 1));
        assert_eq!(content["reason"], "tea");
    }
    let (content, events) = again(&alice, None).await;
    assert_eq!((&content["reason"], events), (&json!("tea"), 1));
    // So is somebody else who invites, and means nothing of what the first one meant.
    let (content, events) = again(&carol, None).await;
    assert_eq!((content.get("is_direct"), events), (None, 2));
    let (content, events) = again(&alice, None).await;
    assert_eq!((content.get("is_direct"), events), (None, 3));
    bob.join(&room).await;
    let joined = alice.post(&invite, json!({"user_id": bob.user_id})).await;
    joined.expect_error(403, "M_FORBIDDEN");
}
