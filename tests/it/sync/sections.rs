//! The smaller sections, and what of an event is for whom.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{contents, events, joined, next, says, since};

async fn pair(server: &TestServer) -> (Client, Client, String) {
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    (alice, bob, room)
}

#[tokio::test]
async fn the_transaction_id_is_for_the_device_that_sent() {
    let server = shared_server().await;
    let (alice, bob, room) = pair(&server).await;
    let other = server.login(&alice.user_id).await;
    let token = alice.now().await;
    let his = bob.now().await;
    let sent = alice.send_text(&room, "txn-1", "hello").await;
    for (reader, token, expected) in [
        (&alice, &token, json!("txn-1")),
        (&other, &token, Value::Null),
        (&bob, &his, Value::Null),
    ] {
        for query in [since(token), String::new()] {
            let answer = reader.sync(&query).await;
            let event = events(&joined(&answer, &room)["timeline"])
                .iter()
                .find(|event| event["event_id"] == sent.as_str())
                .unwrap();
            assert_eq!(event["unsigned"]["transaction_id"], expected, "{event}");
        }
    }
}

/// The ID belongs to the device, not to its access token, and is there wherever the event is read.
#[tokio::test]
async fn the_transaction_id_stays_with_the_device_whatever_its_token() {
    let server = shared_server().await;
    let (alice, bob, room) = pair(&server).await;
    let request = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": alice.localpart()},
        "password": greenroom_tests::PASSWORD,
        "refresh_token": true,
    });
    let login = server.anonymous().post("login", request).await.expect_ok();
    let phone = server.anonymous().with_session(&login);
    let sent = phone.send_text(&room, "txn-1", "hello").await;
    let refresh = json!({"refresh_token": login["refresh_token"]});
    let refreshed = server
        .anonymous()
        .post("refresh", refresh)
        .await
        .expect_ok();
    let mut renewed = phone.clone();
    renewed.token = refreshed["access_token"].as_str().map(str::to_owned);
    let path = |rest: &str| format!("rooms/{}/{rest}", encode(&room));
    for (reader, expected) in [
        (&renewed, json!("txn-1")),
        (&alice, Value::Null),
        (&bob, Value::Null),
    ] {
        let event = path(&format!("event/{}", encode(&sent)));
        let context = path(&format!("context/{}", encode(&sent)));
        let page = reader.messages(&room, "dir=b&limit=1").await;
        let around = reader.get(&context).await.expect_ok();
        let synced = reader.sync("").await;
        let timeline = events(&joined(&synced, &room)["timeline"]);
        for event in [
            &reader.get(&event).await.expect_ok(),
            &page["chunk"][0],
            &around["event"],
            timeline.last().unwrap(),
        ] {
            assert_eq!(event["event_id"], sent.as_str(), "{event}");
            assert_eq!(event["unsigned"]["transaction_id"], expected, "{event}");
        }
    }
}

#[tokio::test]
async fn what_was_redacted_has_lost_its_content_wherever_it_is_read_from() {
    let server = shared_server().await;
    let (alice, bob, room) = pair(&server).await;
    let token = bob.now().await;
    let sent = says(&alice, &room, &["regret", "x1"]).await;
    // Once from memory as it was, so that memory has it.
    bob.sync(&since(&token)).await;
    let path = format!("rooms/{}/redact/{}/r", encode(&room), encode(&sent[0]));
    alice
        .put(&path, json!({"reason": "oops"}))
        .await
        .expect_ok();
    let redacted = async |reader: &Client| {
        let answer = reader.sync(&since(&token)).await;
        let all = events(&joined(&answer, &room)["timeline"]).to_vec();
        assert!(!answer.to_string().contains("regret"), "{answer}");
        let found = all.iter().find(|event| event["event_id"] == sent[0]);
        found.cloned()
    };
    let event = redacted(&bob).await.expect("in the timeline");
    assert_eq!(event["content"], json!({}));
    assert_eq!(
        event["unsigned"]["redacted_because"]["content"]["reason"], "oops",
        "{event}"
    );
    // And once from the database, when memory has gone on.
    for n in 0..45 {
        alice.send_text(&room, &format!("more{n}"), "more").await;
    }
    assert!(redacted(&bob).await.is_none(), "far back by now");
    let filter = json!({"room": {"timeline": {"limit": 100}}});
    let answer = super::filtered(&bob, &filter, &since(&token)).await;
    let timeline = events(&joined(&answer, &room)["timeline"]);
    assert_eq!(timeline[0]["event_id"], sent[0]);
    assert_eq!(timeline[0]["content"], json!({}));
    assert!(timeline[0]["unsigned"]["redacted_because"].is_object());
}

#[tokio::test]
async fn receipts_are_everyones_and_private_ones_ones_own() {
    let server = shared_server().await;
    let (alice, bob, room) = pair(&server).await;
    let sent = says(&alice, &room, &["1", "2"]).await;
    let (hers, his) = (alice.now().await, bob.now().await);
    let read = async |kind: &str, event: &str, body: Value| {
        let path = format!("rooms/{}/receipt/{kind}/{}", encode(&room), encode(event));
        bob.post(&path, body).await.expect_ok();
    };
    read("m.read.private", &sent[1], json!({})).await;
    let answer = alice.sync(&since(&hers)).await;
    assert!(joined(&answer, &room).is_null(), "{answer}");
    let answer = bob.sync(&since(&his)).await;
    let seen = contents(&joined(&answer, &room)["ephemeral"], "m.receipt");
    assert!(
        seen[0][&sent[1]]["m.read.private"][&bob.user_id].is_object(),
        "{answer}"
    );
    read("m.read", &sent[0], json!({"thread_id": "main"})).await;
    for query in [since(&hers), String::new()] {
        let answer = alice.sync(&query).await;
        let seen = contents(&joined(&answer, &room)["ephemeral"], "m.receipt");
        let receipt = &seen[0][&sent[0]]["m.read"][&bob.user_id];
        assert_eq!(receipt["thread_id"], "main", "{answer}");
        assert!(!answer.to_string().contains("m.read.private"), "{answer}");
    }
}

#[tokio::test]
async fn presence_is_of_those_one_shares_a_room_with() {
    let server = shared_server().await;
    let (alice, bob, room) = pair(&server).await;
    let stranger = server.register("stranger").await;
    let invited = server.register("invited").await;
    for user in [&stranger, &invited, &bob] {
        user.now().await;
    }
    let of = |answer: &Value| -> Vec<String> {
        let presence = events(&answer["presence"]).iter();
        let mut users: Vec<String> = presence
            .map(|event| event["sender"].as_str().unwrap().to_owned())
            .collect();
        users.sort();
        users
    };
    let initial = alice.sync("").await;
    let mut expected = [alice.user_id.clone(), bob.user_id.clone()];
    expected.sort();
    assert_eq!(of(&initial), expected);
    let set = async |user: &Client, message: &str| {
        let path = format!("presence/{}/status", encode(&user.user_id));
        let body = json!({"presence": "online", "status_msg": message});
        user.put(&path, body).await.expect_ok();
    };
    set(&stranger, "s").await;
    let second = alice.create_room(json!({})).await;
    alice.invite(&second, &invited).await;
    set(&invited, "i").await;
    let answer = alice.sync(&since(&next(&initial))).await;
    assert!(joined(&answer, &second).is_object());
    assert_eq!(of(&answer), Vec::<String>::new(), "{answer}");
    // By joining they become visible, and only that once.
    invited.join(&second).await;
    let answer = alice.sync(&since(&next(&answer))).await;
    assert_eq!(of(&answer), [invited.user_id.as_str()], "{answer}");
    let nothing = alice.sync(&since(&next(&answer))).await;
    assert_eq!(nothing.as_object().unwrap().len(), 1, "{nothing}");
    super::does(&bob, &room, "leave").await;
    set(&bob, "gone").await;
    let answer = alice.sync(&since(&next(&nothing))).await;
    // What the others set before may be told late, as one with what follows.
    assert!(!of(&answer).contains(&bob.user_id), "{answer}");
}

#[tokio::test]
async fn account_data_comes_once_and_to_its_owner_alone() {
    let server = shared_server().await;
    let (alice, bob, room) = pair(&server).await;
    let (hers, his) = (alice.now().await, bob.now().await);
    let user = format!("user/{}", encode(&alice.user_id));
    let global = format!("{user}/account_data/org.example.a");
    alice.put(&global, json!({"n": 1})).await.expect_ok();
    alice.put(&global, json!({"n": 2})).await.expect_ok();
    let path = format!("{user}/rooms/{}/account_data/org.example.b", encode(&room));
    alice.put(&path, json!({"n": 3})).await.expect_ok();
    let answer = alice.sync(&since(&hers)).await;
    assert_eq!(events(&answer["account_data"]).len(), 1, "{answer}");
    let global = contents(&answer["account_data"], "org.example.a");
    assert_eq!(global, [&json!({"n": 2})]);
    let section = joined(&answer, &room);
    let of_room = contents(&section["account_data"], "org.example.b");
    assert_eq!(of_room, [&json!({"n": 3})]);
    assert!(events(&section["timeline"]).is_empty(), "{section}");
    let nothing = alice.sync(&since(&next(&answer))).await;
    assert_eq!(nothing.as_object().unwrap().len(), 1, "{nothing}");
    let nothing = bob.sync(&since(&his)).await;
    assert_eq!(nothing.as_object().unwrap().len(), 1, "{nothing}");
}
