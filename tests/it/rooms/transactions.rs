//! A retry is the same act: case B56.

use greenroom_tests::{Client, PASSWORD, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{in_room, shared_room, text, texts, timeline};

#[tokio::test]
async fn b56_a_retry_is_answered_like_the_first_try() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let first = alice.send_text(&room, "t1", "hello").await;
    assert_eq!(alice.send_text(&room, "t1", "hello").await, first);
    assert_eq!(alice.send_text(&room, "t1", "something else").await, first);
    let path = in_room(&room, "send/m.room.message/t1");
    let old = alice.over("r0").put(&path, text("hello")).await.expect_ok();
    assert_eq!(old["event_id"], first.as_str());
    assert_ne!(alice.send_text(&room, "t2", "hello").await, first);
    assert_eq!(texts(&timeline(&alice, &room).await), ["hello", "hello"]);
}

#[tokio::test]
async fn b56_two_identical_requests_at_once_make_one_event() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    for n in 0..20 {
        let txn = format!("t{n}");
        let tries = (0..4).map(|_| alice.send_text(&room, &txn, "once"));
        let ids = futures_util::future::join_all(tries).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    assert_eq!(texts(&timeline(&alice, &room).await).len(), 20);
}

#[tokio::test]
async fn b56_a_transaction_id_belongs_to_its_path() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other_room = alice.create_room(json!({})).await;
    let first = alice.send_text(&room, "t1", "hello").await;
    let elsewhere = alice.send_text(&other_room, "t1", "hello").await;
    let other_type = alice.send(&room, "org.example", "t1", text("hello")).await;
    let by_bob = bob.send_text(&room, "t1", "hello").await;
    let redact = in_room(&room, &format!("redact/{}/t1", encode(&first)));
    let redaction = alice.put(&redact, json!({})).await.expect_ok();
    let again = alice.put(&redact, json!({})).await.expect_ok();
    assert_eq!(redaction, again);
    let redaction = redaction["event_id"].as_str().unwrap().to_owned();
    let mut all = vec![first, elsewhere, other_type, by_bob, redaction];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5);
    assert_eq!(texts(&timeline(&alice, &other_room).await), ["hello"]);
}

#[tokio::test]
async fn b56_another_device_means_another_act() {
    let server = shared_server().await;
    let (phone, _, room) = shared_room(&server, json!({})).await;
    let laptop = server.login(phone.localpart()).await;
    let one = phone.send_text(&room, "t1", "hello").await;
    let other = laptop.send_text(&room, "t1", "hello").await;
    assert_ne!(one, other);
    // Each device learns its own transaction IDs and no others.
    let path = in_room(&room, &format!("event/{}", encode(&one)));
    let seen = phone.get(&path).await.expect_ok();
    assert_eq!(seen["unsigned"]["transaction_id"], "t1");
    let seen = laptop.get(&path).await.expect_ok();
    assert_eq!(seen["unsigned"].get("transaction_id"), None);
}

#[tokio::test]
async fn b56_a_retry_with_a_refreshed_token_is_the_same_act() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let login = json!({
        "type": "m.login.password", "user": alice.user_id, "password": PASSWORD, "refresh_token": true,
    });
    let anyone = server.anonymous();
    let session = anyone.post("login", login).await.expect_ok();
    let mut phone = anyone.clone().with_session(&session);
    let first = phone.send_text(&room, "t1", "hello").await;
    let refresh = json!({"refresh_token": session["refresh_token"]});
    let fresh = anyone.post("refresh", refresh).await.expect_ok();
    phone.token = fresh["access_token"].as_str().map(str::to_owned);
    assert_eq!(phone.send_text(&room, "t1", "hello").await, first);
    assert_eq!(texts(&timeline(&alice, &room).await), ["hello"]);
}

#[tokio::test]
async fn b56_a_retry_after_a_restart_is_the_same_act() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let first = alice.send_text(&room, "t1", "hello").await;
    let by_bob = bob.send_text(&room, "t1", "bye").await;
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    let created = alice.put("createRoom/t1", json!({})).await.expect_ok();
    server.kill9().await;
    server.restart().await;
    assert_eq!(alice.send_text(&room, "t1", "hello").await, first);
    // The room would not let him speak any more, but he has not spoken now.
    assert_eq!(bob.send_text(&room, "t1", "bye").await, by_bob);
    let again = alice.put("createRoom/t1", json!({})).await.expect_ok();
    assert_eq!(again["room_id"], created["room_id"]);
    assert_eq!(texts(&timeline(&alice, &room).await), ["hello", "bye"]);
}

#[tokio::test]
async fn b56_a_refused_request_may_be_repeated_under_its_id() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let levels = json!({"events_default": 50, "users_default": 0});
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    let path = in_room(&room, "send/m.room.message/t1");
    bob.put(&path, text("hello"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let levels = json!({"events_default": 0, "users_default": 0});
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    bob.put(&path, text("hello")).await.expect_ok();
    assert_eq!(texts(&timeline(&alice, &room).await), ["hello"]);
}

#[tokio::test]
async fn b56_a_membership_put_under_a_transaction_id_is_changed_once() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({"preset": "public_chat"})).await;
    let on_bob = json!({"user_id": bob.user_id});
    let put = async |client: &Client, path: &str, body: &Value| {
        let path = in_room(&room, path);
        client.put(&path, body.clone()).await.expect_ok()
    };
    let membership = async || {
        let member = alice.state(&room, "m.room.member", &bob.user_id).await;
        member.expect_ok()["membership"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // A retry comes late: what it is about has gone on meanwhile.
    put(&alice, "kick/t1", &on_bob).await;
    bob.join(&room).await;
    put(&alice, "kick/t1", &on_bob).await;
    assert_eq!(membership().await, "join");

    put(&bob, "leave/t1", &json!({})).await;
    bob.join(&room).await;
    put(&bob, "leave/t1", &json!({})).await;
    assert_eq!(membership().await, "join");

    put(&alice, "ban/t1", &on_bob).await;
    put(&alice, "unban/t1", &on_bob).await;
    put(&alice, "ban/t1", &on_bob).await;
    assert_eq!(membership().await, "leave");
    put(&alice, "unban/t1", &on_bob).await;

    put(&alice, "invite/t1", &on_bob).await;
    put(&bob, "join/t1", &json!({})).await;
    put(&alice, "invite/t1", &on_bob).await;
    assert_eq!(membership().await, "join");
    put(&bob, "leave/t2", &json!({})).await;
    put(&bob, "join/t1", &json!({})).await;
    assert_eq!(membership().await, "leave");

    // Another ID is another act.
    put(&bob, "join/t2", &json!({})).await;
    put(&alice, "kick/t2", &on_bob).await;
    assert_eq!(membership().await, "leave");
}
