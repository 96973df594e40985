//! Who may do what.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{in_room, shared_room, text};

async fn levels(client: &Client, room: &str) -> Value {
    client
        .state(room, "m.room.power_levels", "")
        .await
        .expect_ok()
}

async fn try_levels(client: &Client, room: &str, content: Value) -> greenroom_tests::Answer {
    client
        .put(&in_room(room, "state/m.room.power_levels"), content)
        .await
}

/// Alice, Bob at this level, and their room.
async fn with_bob_at(
    server: &greenroom_tests::TestServer,
    level: i64,
    version: &str,
) -> (Client, Client, String) {
    let (alice, bob, room) = shared_room(server, json!({"room_version": version})).await;
    let mut content = levels(&alice, &room).await;
    content["users"][&bob.user_id] = json!(level);
    try_levels(&alice, &room, content).await.expect_ok();
    (alice, bob, room)
}

#[tokio::test]
async fn a04_the_default_level_of_events_is_read() {
    let server = shared_server().await;
    for version in ["6", "11", "12"] {
        let (alice, bob, room) = with_bob_at(&server, 0, version).await;
        bob.send_text(&room, "t1", "before").await;
        let mut content = levels(&alice, &room).await;
        content["events_default"] = json!(50);
        try_levels(&alice, &room, content.clone()).await.expect_ok();
        let path = in_room(&room, "send/m.room.message/t2");
        bob.put(&path, text("after"))
            .await
            .expect_error(403, "M_FORBIDDEN");
        alice.put(&path, text("after")).await.expect_ok();
        content["events"]["org.example"] = json!(0);
        try_levels(&alice, &room, content).await.expect_ok();
        bob.send(&room, "org.example", "t3", json!({})).await;
    }
}

/// A room always has power levels here; empty ones leave everything to the defaults too.
#[tokio::test]
async fn a19_without_levels_the_defaults_hold() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    try_levels(&alice, &room, json!({})).await.expect_ok();
    bob.send_text(&room, "t1", "anyone may speak").await;
    for (path, content) in [
        ("state/m.room.name", json!({"name": "mine"})),
        (
            "state/m.room.power_levels",
            json!({"users": {&bob.user_id: 100}}),
        ),
        ("state/org.example", json!({})),
    ] {
        let answer = bob.put(&in_room(&room, path), content).await;
        answer.expect_error(403, "M_FORBIDDEN");
    }
    alice
        .send_state(&room, "m.room.name", "", json!({"name": "Tea"}))
        .await;
}

#[tokio::test]
async fn a12_the_create_event_cannot_be_redacted() {
    let server = shared_server().await;
    for version in ["1", "10", "11", "12"] {
        let alice = server.register("alice").await;
        let room = alice.create_room(json!({"room_version": version})).await;
        let path = in_room(&room, "state/m.room.create?format=event");
        let create = alice.get(&path).await.expect_ok();
        let id = encode(create["event_id"].as_str().unwrap());
        let path = in_room(&room, &format!("redact/{id}/t1"));
        alice
            .put(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        let path = in_room(&room, "send/m.room.redaction");
        let content = json!({"redacts": create["event_id"]});
        alice
            .post(&path, content)
            .await
            .expect_error(403, "M_FORBIDDEN");
        let now = alice.state(&room, "m.room.create", "").await.expect_ok();
        assert_eq!(now["room_version"], version);
        alice.send_text(&room, "t2", "still here").await;
    }
}

#[tokio::test]
async fn a71_only_who_may_redacts_what_others_sent() {
    let server = shared_server().await;
    let (alice, bob, room) = with_bob_at(&server, 0, "12").await;
    let message = alice.send_text(&room, "t1", "hers").await;
    let path = in_room(&room, &format!("redact/{}/t1", encode(&message)));
    bob.put(&path, json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let content = json!({"redacts": message});
    let send = in_room(&room, "send/m.room.redaction/t2");
    bob.put(&send, content)
        .await
        .expect_error(403, "M_FORBIDDEN");
    let event = in_room(&room, &format!("event/{}", encode(&message)));
    let seen = bob.get(&event).await.expect_ok();
    assert_eq!(seen["content"], text("hers"));
    let mut content = levels(&alice, &room).await;
    content["users"][&bob.user_id] = json!(50);
    try_levels(&alice, &room, content).await.expect_ok();
    bob.put(&path, json!({})).await.expect_ok();
    let seen = bob.get(&event).await.expect_ok();
    assert_eq!(seen["content"], json!({}));
}

#[tokio::test]
async fn b20_nobody_raises_above_their_own_level() {
    let server = shared_server().await;
    for version in ["9", "11", "12"] {
        let (alice, bob, room) = with_bob_at(&server, 100, version).await;
        let carol = server.register("carol").await;
        let now = levels(&alice, &room).await;
        let change = |pointer: &str, value: Value| {
            let mut content = now.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            content.pointer_mut(parent).unwrap()[key] = value;
            content
        };
        let bobs = format!("/users/{}", bob.user_id);
        let carols = format!("/users/{}", carol.user_id);
        for content in [
            change(&bobs, json!(101)),
            change(&carols, json!(101)),
            change("/events/org.example", json!(101)),
            change("/ban", json!(101)),
        ] {
            try_levels(&bob, &room, content)
                .await
                .expect_error(403, "M_FORBIDDEN");
        }
        for content in [
            change("/ban", json!(1.5)),
            change("/ban", json!(9_007_199_254_740_992_u64)),
            change("/users_default", json!({})),
            change("/users", json!({"not a user": 1})),
            change("/events", json!([])),
        ] {
            try_levels(&bob, &room, content)
                .await
                .expect_error(400, "M_BAD_JSON");
        }
        assert_eq!(levels(&alice, &room).await, now);
        try_levels(&bob, &room, change(&carols, json!(100)))
            .await
            .expect_ok();
        // Their equal, once raised, is out of reach.
        try_levels(&bob, &room, now.clone())
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn b20_levels_are_numbers_since_version_10() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for (version, accepted) in [("9", true), ("10", false), ("12", false)] {
        let room = alice.create_room(json!({"room_version": version})).await;
        let mut content = levels(&alice, &room).await;
        content["kick"] = json!("50");
        let answer = try_levels(&alice, &room, content).await;
        if accepted {
            answer.expect_ok();
        } else {
            answer.expect_error(400, "M_BAD_JSON");
        }
    }
}

#[tokio::test]
async fn b21_the_creator_of_a_version_12_room_needs_no_level() {
    let server = shared_server().await;
    let (alice, bob, room) = with_bob_at(&server, 100, "12").await;
    let mut content = levels(&alice, &room).await;
    content["users"][&alice.user_id] = json!(100);
    for client in [&alice, &bob] {
        let answer = try_levels(client, &room, content.clone()).await;
        assert!(matches!(answer.status, 400 | 403), "{}", answer.describe());
    }
    let mut content = levels(&alice, &room).await;
    content["state_default"] = json!(101);
    content["events"]["m.room.power_levels"] = json!(9_007_199_254_740_991_u64);
    try_levels(&alice, &room, content).await.expect_ok();
    alice.send_state(&room, "org.example", "", json!({})).await;
    let path = in_room(&room, "state/org.example");
    bob.put(&path, json!({"his": 1}))
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn b21_the_last_admin_may_step_down() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({"room_version": "11"})).await;
    let mut content = levels(&alice, &room).await;
    content["users"][&alice.user_id] = json!(0);
    try_levels(&alice, &room, content.clone()).await.expect_ok();
    content["users"][&alice.user_id] = json!(100);
    try_levels(&alice, &room, content)
        .await
        .expect_error(403, "M_FORBIDDEN");
    let path = in_room(&room, "state/m.room.name");
    alice
        .put(&path, json!({"name": "x"}))
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn b22_a_state_key_that_is_a_user_is_that_user_s() {
    let server = shared_server().await;
    for version in ["1", "11", "12"] {
        let (alice, bob, room) = with_bob_at(&server, 100, version).await;
        for key in [alice.user_id.as_str(), "@other:elsewhere.example"] {
            let path = in_room(&room, &format!("state/org.example/{}", encode(key)));
            bob.put(&path, json!({}))
                .await
                .expect_error(403, "M_FORBIDDEN");
        }
        bob.send_state(&room, "org.example", &bob.user_id, json!({"n": 1}))
            .await;
        let path = in_room(&room, "state/m.room.create");
        for client in [&alice, &bob] {
            let answer = client.put(&path, json!({"room_version": version})).await;
            answer.expect_error(403, "M_FORBIDDEN");
        }
        let path = in_room(&room, "send/m.room.create");
        alice
            .post(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
}
