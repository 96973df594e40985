//! What one was notified of.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{in_thread, mention, read, rule, two_in_a_room};

/// Every page from the newest on, with so many notifications each.
async fn all(client: &Client, limit: u64, only: &str) -> Vec<Value> {
    let (mut found, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("notifications?limit={limit}{only}{from}");
        let page = client.get(&path).await.expect_ok();
        let notifications = page["notifications"].as_array().unwrap();
        assert!(notifications.len() as u64 <= limit, "{page}");
        found.extend(notifications.iter().cloned());
        match page["next_token"].as_str() {
            Some(token) => from = format!("&from={}", encode(token)),
            None => return found,
        }
    }
}

fn ids(notifications: &[Value]) -> Vec<String> {
    let ids = notifications.iter().map(|it| &it["event"]["event_id"]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn notifications_of_all_rooms_come_newest_first_page_by_page() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(two_in_a_room(&alice, &bob).await);
    }
    let mut sent = Vec::new();
    for n in 0..12_usize {
        let (room, txn) = (&rooms[n * n % 3], n.to_string());
        sent.push(match n % 4 {
            0 => mention(&bob, room, &txn, &alice).await,
            _ => bob.send_text(room, &txn, "x").await,
        });
        let notice = json!({"msgtype": "m.notice", "body": "quiet"});
        bob.send(room, "m.room.message", &format!("quiet{n}"), notice)
            .await;
        alice.send_text(&rooms[0], &txn, "mine").await;
    }
    sent.reverse();
    for limit in [1, 5, 100] {
        assert_eq!(ids(&all(&alice, limit, "").await), sent, "{limit}");
    }
    let highlights: Vec<String> = [3, 7, 11].map(|n| sent[n].clone()).to_vec();
    let only = all(&alice, 2, "&only=highlight").await;
    assert_eq!(ids(&only), highlights);
    let first = &only[0];
    assert_eq!(first["room_id"], rooms[8 * 8 % 3]);
    assert_eq!(first["ts"], first["event"]["origin_server_ts"]);
    assert!(first["event"]["room_id"].is_null() && first["profile_tag"].is_null());
    let actions =
        json!(["notify", {"set_tweak": "sound", "value": "default"}, {"set_tweak": "highlight"}]);
    assert_eq!(first["actions"], actions);
    let of_bob = all(&bob, 5, "").await;
    assert_eq!(of_bob.len(), 12);
    let by_alice = |it: &Value| it["event"]["sender"] == alice.user_id;
    assert!(
        of_bob.iter().all(by_alice),
        "not of what one has said oneself"
    );
}

#[tokio::test]
async fn a_notification_is_read_as_the_receipts_say() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let thread = bob.send_text(&room, "1", "x").await;
    in_thread(&bob, &room, "2", &thread).await;
    let third = bob.send_text(&room, "3", "x").await;
    bob.send_text(&room, "4", "x").await;
    let flags = async || {
        let found = all(&alice, 10, "").await;
        let flags = found.iter().rev().map(|it| it["read"].as_bool().unwrap());
        flags.collect::<Vec<_>>()
    };
    assert_eq!(flags().await, [false; 4]);
    read(&alice, &room, "m.read", &third, json!("main")).await;
    assert_eq!(flags().await, [true, false, true, false]);
    read(&alice, &room, "m.read.private", &third, Value::Null).await;
    assert_eq!(flags().await, [true, true, true, false]);
}

#[tokio::test]
async fn b33_what_was_redacted_has_no_content_and_what_one_may_not_see_is_not_there() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = bob.create_public_room().await;
    bob.send_text(&room, "0", "before they came").await;
    alice.join(&room).await;
    let event = mention(&bob, &room, "1", &alice).await;
    let path = format!("rooms/{}/redact/{}/2", encode(&room), encode(&event));
    bob.put(&path, json!({})).await.expect_ok();
    let after = mention(&bob, &room, "3", &alice).await;
    let found = all(&alice, 10, "").await;
    assert_eq!(ids(&found), [after.clone(), event.clone()]);
    assert_eq!(found[1]["event"]["content"], json!({}));
    assert_eq!(found[1]["read"], true, "it no longer counts");
    let leave = format!("rooms/{}/leave", encode(&room));
    alice.post(&leave, json!({})).await.expect_ok();
    mention(&bob, &room, "4", &alice).await;
    assert!(
        all(&alice, 10, "").await.is_empty(),
        "of rooms that they are in"
    );
    alice.join(&room).await;
    assert_eq!(ids(&all(&alice, 10, "").await), [after, event]);
    let list = format!(
        "user/{}/account_data/m.ignored_user_list",
        encode(&alice.user_id)
    );
    let ignored = json!({"ignored_users": {&bob.user_id: {}}});
    alice.put(&list, ignored).await.expect_ok();
    assert!(all(&alice, 10, "").await.is_empty());
}

#[tokio::test]
async fn notifications_follow_the_rules_and_their_tokens_survive_a_restart() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = two_in_a_room(&alice, &bob).await;
    let events = [
        bob.send_text(&room, "1", "cake").await,
        bob.send_text(&room, "2", "bread").await,
    ];
    let page = alice.get("notifications?limit=1").await.expect_ok();
    assert_eq!(
        ids(page["notifications"].as_array().unwrap()),
        [events[1].clone()]
    );
    let token = page["next_token"].as_str().unwrap().to_owned();
    server.restart().await;
    let path = format!("notifications?from={}", encode(&token));
    let page = alice.get(&path).await.expect_ok();
    assert_eq!(
        ids(page["notifications"].as_array().unwrap()),
        [events[0].clone()]
    );
    assert!(page["next_token"].is_null(), "{page}");
    bob.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    for token in ["x", "n1_", "n1_AAAA", "s1_AAAA"] {
        let path = format!("notifications?from={token}");
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    let muted = json!({"actions": [], "pattern": "cake"});
    alice.put(&rule("content/cake"), muted).await.expect_ok();
    assert_eq!(ids(&all(&alice, 10, "").await), [events[1].clone()]);
    alice.get("notifications?limit=x").await.expect_status(400);
    server
        .anonymous()
        .get("notifications")
        .await
        .expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_room_that_was_loud_does_not_bring_old_notifications_before_newer_ones() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let loud = two_in_a_room(&alice, &bob).await;
    let quiet = two_in_a_room(&alice, &bob).await;
    let mut sent = vec![bob.send_text(&loud, "first", "x").await];
    for n in 0..3 {
        sent.push(bob.send_text(&quiet, &n.to_string(), "x").await);
    }
    // As many as are read of a room at once.
    for n in 0..50 {
        sent.push(bob.send_text(&loud, &n.to_string(), "x").await);
    }
    sent.reverse();
    for limit in [7, 51, 100] {
        assert_eq!(ids(&all(&alice, limit, "").await), sent, "{limit}");
    }
}

#[tokio::test]
async fn an_invite_and_what_came_after_each_join_are_found_whatever_was_said_between() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = bob.create_public_room().await;
    for n in 0..60 {
        bob.send_text(&room, &format!("before{n}"), "x").await;
    }
    bob.invite(&room, &alice).await;
    bob.send_text(&room, "between", "x").await;
    alice.join(&room).await;
    let first = bob.send_text(&room, "1", "x").await;
    let leave = format!("rooms/{}/leave", encode(&room));
    alice.post(&leave, json!({})).await.expect_ok();
    for n in 0..60 {
        bob.send_text(&room, &format!("away{n}"), "x").await;
    }
    alice.join(&room).await;
    let second = bob.send_text(&room, "2", "x").await;
    for limit in [1, 100] {
        let found = all(&alice, limit, "").await;
        assert_eq!(ids(&found)[..2], [second.clone(), first.clone()]);
        assert_eq!(found[2]["event"]["content"]["membership"], "invite");
        assert_eq!(found.len(), 3);
    }
}
