//! What a redaction takes away and what it leaves.

use greenroom_tests::{Client, PASSWORD, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{in_room, shared_room, text, timeline};

async fn redact(client: &Client, room: &str, target: &str, content: Value) -> String {
    let path = in_room(room, &format!("redact/{}", encode(target)));
    let sent = client.post(&path, content).await.expect_ok();
    sent["event_id"].as_str().unwrap().to_owned()
}

async fn event(client: &Client, room: &str, id: &str) -> Value {
    let path = in_room(room, &format!("event/{}", encode(id)));
    client.get(&path).await.expect_ok()
}

#[tokio::test]
async fn b33_a_redacted_message_is_empty_everywhere() {
    let server = shared_server().await;
    for version in ["1", "10", "11", "12"] {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let secret = format!("secret of {}", alice.user_id);
        let message = alice.send_text(&room, "t1", &secret).await;
        let after = alice.send_text(&room, "t2", "after").await;
        let redaction = redact(&alice, &room, &message, json!({"reason": "oops"})).await;
        let context = in_room(&room, &format!("context/{}", encode(&after)));
        let old = format!("events/{}", encode(&message));
        let answers = [
            event(&bob, &room, &message).await,
            bob.get(&context).await.expect_ok(),
            bob.messages(&room, "dir=b&limit=100").await,
            bob.over("r0").messages(&room, "dir=f&limit=100").await,
            bob.get(&old).await.expect_ok(),
            bob.sync("").await,
            alice.sync("full_state=true").await,
        ];
        for answer in &answers {
            assert!(!answer.to_string().contains(&secret), "{answer}");
            assert!(answer.to_string().contains(&message), "{answer}");
        }
        let seen = &answers[0];
        assert_eq!(seen["content"], json!({}));
        let because = &seen["unsigned"]["redacted_because"];
        assert_eq!(because["event_id"], redaction.as_str());
        assert_eq!(because["content"]["reason"], "oops");
        // Old clients look at the top, new ones into the content.
        let seen = event(&bob, &room, &redaction).await;
        assert_eq!(seen["redacts"], message.as_str(), "version {version}");
        assert_eq!(
            seen["content"]["redacts"],
            message.as_str(),
            "version {version}"
        );
        assert_eq!(seen["content"]["reason"], "oops");
    }
}

#[tokio::test]
async fn b32_a_redaction_can_be_sent_like_any_event() {
    let server = shared_server().await;
    for version in ["1", "9", "11", "12"] {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let message = alice.send_text(&room, "t1", "secret").await;
        let content = json!({"redacts": message, "reason": "oops"});
        let redaction = alice.send(&room, "m.room.redaction", "t2", content).await;
        assert_eq!(event(&bob, &room, &message).await["content"], json!({}));
        let seen = event(&bob, &room, &redaction).await;
        assert_eq!(seen["redacts"], message.as_str(), "version {version}");
        let send = in_room(&room, "send/m.room.redaction");
        let nothing = alice.post(&send, json!({"reason": "x"})).await;
        assert_eq!(nothing.status, 400, "{}", nothing.describe());
        let before = timeline(&bob, &room).await.len();
        for unknown in ["$unknown", "$unknown:localhost"] {
            let answer = alice.post(&send, json!({"redacts": unknown})).await;
            answer.expect_error(404, "M_NOT_FOUND");
            let path = in_room(&room, &format!("redact/{}/t", encode(unknown)));
            alice
                .put(&path, json!({}))
                .await
                .expect_error(404, "M_NOT_FOUND");
        }
        assert_eq!(timeline(&bob, &room).await.len(), before);
    }
}

#[tokio::test]
async fn an_event_of_another_room_cannot_be_redacted_here() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let other_room = alice.create_room(json!({})).await;
    let message = alice.send_text(&other_room, "t1", "stays").await;
    let path = in_room(&room, &format!("redact/{}/t1", encode(&message)));
    alice
        .put(&path, json!({}))
        .await
        .expect_error(404, "M_NOT_FOUND");
    assert_eq!(
        event(&alice, &other_room, &message).await["content"],
        text("stays")
    );
}

#[tokio::test]
async fn b32_redacted_state_keeps_what_the_room_needs() {
    let server = shared_server().await;
    for version in ["1", "6", "9", "11", "12"] {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let name = alice
            .send_state(&room, "m.room.name", "", json!({"name": "Secret"}))
            .await;
        let newer = alice
            .send_state(&room, "m.room.name", "", json!({"name": "Tea"}))
            .await;
        redact(&alice, &room, &name, json!({})).await;
        let seen = event(&bob, &room, &newer).await;
        assert!(!seen.to_string().contains("Secret"), "{seen}");
        redact(&alice, &room, &newer, json!({})).await;
        let now = bob.state(&room, "m.room.name", "").await.expect_ok();
        assert_eq!(now, json!({}), "version {version}");

        let content = json!({"history_visibility": "joined", "extra": 1});
        let event_type = "m.room.history_visibility";
        let rule = alice.send_state(&room, event_type, "", content).await;
        redact(&alice, &room, &rule, json!({})).await;
        let now = bob.state(&room, event_type, "").await.expect_ok();
        assert_eq!(now, json!({"history_visibility": "joined"}));

        let path = in_room(
            &room,
            &format!("state/m.room.member/{}", encode(&bob.user_id)),
        );
        let member = bob.get(&format!("{path}?format=event")).await.expect_ok();
        redact(&bob, &room, member["event_id"].as_str().unwrap(), json!({})).await;
        let now = bob.get(&path).await.expect_ok();
        assert_eq!(now, json!({"membership": "join"}));
        bob.send_text(&room, "t", "still in").await;
        bob.get(&in_room(&room, "joined_members")).await.expect_ok();
    }
}

#[tokio::test]
async fn a_second_redaction_changes_nothing() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let message = alice.send_text(&room, "t1", "secret").await;
    let first = redact(&alice, &room, &message, json!({})).await;
    let second = redact(&alice, &room, &message, json!({})).await;
    assert_ne!(first, second);
    let seen = event(&bob, &room, &message).await;
    assert_eq!(seen["content"], json!({}));
    assert_eq!(
        seen["unsigned"]["redacted_because"]["event_id"],
        first.as_str()
    );
}

#[tokio::test]
async fn b33_after_a_stop_no_file_holds_what_was_redacted() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let mut secrets = Vec::new();
    for length in [10, 2_000, 50_000] {
        let secret = format!("secret-{length}-{}", "x".repeat(length));
        let txn = format!("txn{length}");
        secrets.push(alice.send_text(&room, &txn, &secret).await);
        alice
            .send_text(&room, &format!("kept{length}"), "kept")
            .await;
    }
    let name = json!({"name": "secret-name"});
    secrets.push(alice.send_state(&room, "m.room.name", "", name).await);
    // And a state that no longer holds when it is redacted.
    let topic = json!({"topic": "secret-topic"});
    secrets.push(alice.send_state(&room, "m.room.topic", "", topic).await);
    alice
        .send_state(&room, "m.room.topic", "", json!({"topic": "kept"}))
        .await;
    // Whoever was invited has seen the name without its event.
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    bob.sync("").await;
    for secret in &secrets {
        redact(&alice, &room, secret, json!({})).await;
    }
    let invited = carol.sync("").await.to_string();
    assert!(!invited.contains("secret-"), "{invited}");

    let status = server.stop().await;
    assert!(status.success(), "{status}");
    let stored = server.stored();
    let holds = |text: &str| stored.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(holds("kept"), "this test cannot read what is stored");
    assert!(!holds("secret-"));
    for line in server.log() {
        assert!(!line.contains("secret-"), "{line}");
    }
}

/// "Server administrators may redact events sent by users on their server."
#[tokio::test]
async fn a71_the_server_s_administration_redacts_what_its_users_sent() {
    let server = TestServer::start().await;
    let input = format!("{PASSWORD}\n");
    let made = server.run(
        &["user", "create", "admin", "--admin", "--password-stdin"],
        &input,
    );
    assert!(made.status.success(), "{made:?}");
    let admin = server.login("admin").await;
    let alice = server.register("alice").await;
    for version in ["1", "12"] {
        let room = alice.create_room(json!({"room_version": version})).await;
        let message = alice.send_text(&room, "t1", "unlawful").await;
        let path = in_room(&room, &format!("redact/{}/t1", encode(&message)));
        // Into a room that they are not in they send nothing.
        admin
            .put(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        alice.invite(&room, &admin).await;
        admin.join(&room).await;
        redact(&admin, &room, &message, json!({"reason": "court"})).await;
        let seen = event(&alice, &room, &message).await;
        assert_eq!(seen["content"], json!({}), "version {version}");
    }
}
