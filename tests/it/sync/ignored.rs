//! Ignoring users: what they say does not reach whom ignores them, what they change does.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{bodies, contents, does, events, joined, next, says, since, topic};

/// Alice's room with Bob and Mallory in it.
struct Three {
    alice: Client,
    bob: Client,
    mallory: Client,
    room: String,
}

async fn three(server: &TestServer) -> Three {
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let mallory = server.register("mallory").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    mallory.join(&room).await;
    Three {
        alice,
        bob,
        mallory,
        room,
    }
}

async fn set_list(user: &Client, content: Value) {
    let user_id = encode(&user.user_id);
    let path = format!("user/{user_id}/account_data/m.ignored_user_list");
    user.put(&path, content).await.expect_ok();
}

async fn ignores(user: &Client, ignored: &[&Client]) {
    let ignored: serde_json::Map<String, Value> = ignored
        .iter()
        .map(|ignored| (ignored.user_id.clone(), json!({})))
        .collect();
    set_list(user, json!({ "ignored_users": ignored })).await;
}

/// "Following an update of the `m.ignored_user_list`, the sync API for all clients should
/// immediately start ignoring (or un-ignoring) the user."
#[tokio::test]
async fn the_sync_of_all_devices_ignores_at_once_and_unignores_at_once() {
    let server = shared_server().await;
    let Three {
        alice,
        bob,
        mallory,
        room,
    } = three(&server).await;
    let phone = server.login(bob.localpart()).await;
    let mut tokens = vec![bob.now().await, phone.now().await];
    for round in 0..3 {
        ignores(&bob, &[&mallory]).await;
        says(&mallory, &room, &[&format!("unwanted {round}")]).await;
        says(&alice, &room, &[&format!("wanted {round}")]).await;
        for (device, token) in [&bob, &phone].into_iter().zip(&mut tokens) {
            let answer = device.sync(&since(token)).await;
            let timeline = &joined(&answer, &room)["timeline"];
            assert_eq!(bodies(timeline), [format!("wanted {round}")], "{answer}");
            *token = next(&answer);
        }
        ignores(&bob, &[]).await;
        says(&mallory, &room, &[&format!("again {round}")]).await;
        for (device, token) in [&bob, &phone].into_iter().zip(&mut tokens) {
            let answer = device.sync(&since(token)).await;
            let timeline = &joined(&answer, &room)["timeline"];
            // "It should not send events that were missed while the user was ignored."
            assert_eq!(bodies(timeline), [format!("again {round}")], "{answer}");
            *token = next(&answer);
        }
    }
    // "To receive the events that were sent while the user was ignored the client should perform
    // a fresh sync."
    let fresh = bob.sync("").await;
    let timeline = &joined(&fresh, &room)["timeline"];
    assert!(bodies(timeline).contains(&"unwanted 2"), "{fresh}");
    ignores(&bob, &[&mallory]).await;
    let fresh = bob.sync("").await;
    let timeline = &joined(&fresh, &room)["timeline"];
    assert!(bodies(timeline).contains(&"wanted 0"), "{fresh}");
    assert!(!bodies(timeline).contains(&"unwanted 2"), "{fresh}");
}

#[tokio::test]
async fn a_waiting_sync_sleeps_through_what_an_ignored_user_says() {
    let server = shared_server().await;
    let Three {
        alice,
        bob,
        mallory,
        room,
    } = three(&server).await;
    ignores(&bob, &[&mallory]).await;
    let token = bob.now().await;
    let talk = async {
        says(&mallory, &room, &["unwanted"]).await;
        says(&alice, &room, &["wanted"]).await;
    };
    let (answer, ()) = tokio::join!(bob.sync_since(&token), talk);
    let timeline = &joined(&answer, &room)["timeline"];
    assert_eq!(bodies(timeline), ["wanted"], "{answer}");
}

#[tokio::test]
async fn what_an_ignored_user_says_leaves_no_gap() {
    let server = shared_server().await;
    let Three {
        alice,
        bob,
        mallory,
        room,
    } = three(&server).await;
    ignores(&bob, &[&mallory]).await;
    let token = bob.now().await;
    says(&alice, &room, &["before"]).await;
    for n in 0..15 {
        mallory.send_text(&room, &format!("t{n}"), "flood").await;
    }
    says(&alice, &room, &["after"]).await;
    let answer = bob.sync(&since(&token)).await;
    let timeline = &joined(&answer, &room)["timeline"];
    assert_eq!(bodies(timeline), ["before", "after"], "{answer}");
    assert_eq!(timeline["limited"], false, "{answer}");
}

/// "Servers must still send state events sent by ignored users to clients."
#[tokio::test]
async fn servers_must_still_send_state_events_of_ignored_users() {
    let server = shared_server().await;
    let Three {
        alice,
        bob,
        mallory,
        room,
    } = three(&server).await;
    ignores(&alice, &[&bob, &mallory]).await;
    let room_of_bob = bob.create_public_room().await;
    alice.join(&room_of_bob).await;
    let token = alice.now().await;
    topic(&bob, &room_of_bob, "what bob calls it").await;
    says(&bob, &room_of_bob, &["unwanted"]).await;
    does(&mallory, &room, "leave").await;
    let answer = alice.sync(&since(&token)).await;
    let timeline = &joined(&answer, &room_of_bob)["timeline"];
    let topics = contents(timeline, "m.room.topic");
    assert_eq!(topics, [&json!({"topic": "what bob calls it"})], "{answer}");
    assert_eq!(bodies(timeline), [""; 0], "{answer}");
    let timeline = &joined(&answer, &room)["timeline"];
    let left = contents(timeline, "m.room.member");
    assert_eq!(left, [&json!({"membership": "leave"})], "{answer}");
    let fresh = alice.sync("full_state=true").await;
    let section = joined(&fresh, &room_of_bob);
    let known = [&section["state"], &section["timeline"]]
        .map(events)
        .concat();
    let is_topic = |event: &Value| event["type"] == "m.room.topic";
    assert!(known.iter().any(is_topic), "{fresh}");
    let members = alice
        .get(&format!("rooms/{}/members", encode(&room_of_bob)))
        .await
        .expect_ok();
    assert_eq!(members["chunk"].as_array().unwrap().len(), 2, "{members}");
}

/// "Servers must not send room invites from ignored users to clients."
#[tokio::test]
async fn servers_must_not_send_room_invites_from_ignored_users() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let mallory = server.register("mallory").await;
    let bob = server.register("bob").await;
    ignores(&bob, &[&mallory]).await;
    let token = bob.now().await;
    let (trap, party) = (
        mallory.create_room(json!({})).await,
        alice.create_room(json!({})).await,
    );
    mallory.invite(&trap, &bob).await;
    alice.invite(&party, &bob).await;
    for query in [since(&token), String::new(), "full_state=true".to_owned()] {
        let answer = bob.sync(&query).await;
        let invites = answer["rooms"]["invite"].as_object().unwrap();
        assert_eq!(invites.keys().collect::<Vec<_>>(), [&party], "{answer}");
    }
    for path in [
        format!("events?from={}", encode(&token)),
        "initialSync".to_owned(),
    ] {
        let answer = bob.over("r0").get(&path).await.expect_ok().to_string();
        assert!(answer.contains(&party), "{answer}");
        assert!(!answer.contains(&trap), "{answer}");
    }
    // Once it is wanted, the invite is there for a fresh sync.
    ignores(&bob, &[]).await;
    let fresh = bob.sync("").await;
    assert!(fresh["rooms"]["invite"][&trap].is_object(), "{fresh}");
    bob.join(&trap).await;
}

#[tokio::test]
async fn history_has_nothing_that_an_ignored_user_has_said() {
    let server = shared_server().await;
    let Three {
        alice,
        bob,
        mallory,
        room,
    } = three(&server).await;
    let first = says(&alice, &room, &["one"]).await.remove(0);
    let unwanted = says(&mallory, &room, &["unwanted"]).await.remove(0);
    says(&alice, &room, &["two"]).await;
    let path = |rest: &str| format!("rooms/{}/{rest}", encode(&room));
    let event = path(&format!("event/{}", encode(&unwanted)));
    let around = path(&format!("context/{}", encode(&unwanted)));
    bob.get(&event).await.expect_ok();
    ignores(&bob, &[&mallory]).await;
    bob.get(&event).await.expect_error(404, "M_NOT_FOUND");
    bob.get(&around).await.expect_error(404, "M_NOT_FOUND");
    mallory.get(&event).await.expect_ok();
    let newest = bob.messages(&room, "dir=b&limit=2").await;
    let newest: Vec<_> = newest["chunk"].as_array().unwrap().clone();
    let said: Vec<_> = newest.iter().map(|e| &e["content"]["body"]).collect();
    assert_eq!(said, ["two", "one"]);
    let all = bob.messages(&room, "dir=f&limit=1000").await;
    let by_mallory = |event: &&Value| event["sender"] == mallory.user_id.as_str();
    let chunk = all["chunk"].as_array().unwrap();
    let types: Vec<_> = chunk
        .iter()
        .filter(by_mallory)
        .map(|e| &e["type"])
        .collect();
    assert_eq!(types, ["m.room.member"], "{all}");
    let around = bob.get(&path(&format!("context/{}", encode(&first)))).await;
    let around = around.expect_ok();
    let after: Vec<_> = around["events_after"].as_array().unwrap().clone();
    assert_eq!(after.len(), 1, "{around}");
    assert_eq!(after[0]["content"]["body"], "two", "{around}");
    for old in ["initialSync".to_owned(), path("initialSync")] {
        let answer = bob.over("r0").get(&old).await.expect_ok().to_string();
        assert!(answer.contains("two"), "{answer}");
        assert!(!answer.contains("unwanted"), "{answer}");
    }
}

#[tokio::test]
async fn what_an_ignored_user_does_for_the_moment_is_not_seen() {
    let server = shared_server().await;
    let Three {
        alice,
        bob,
        mallory,
        room,
    } = three(&server).await;
    ignores(&bob, &[&mallory]).await;
    let read = says(&alice, &room, &["read me"]).await.remove(0);
    let token = bob.now().await;
    for user in [&mallory, &alice] {
        let user_id = encode(&user.user_id);
        let path = |rest: &str| format!("rooms/{}/{rest}", encode(&room));
        let typing = json!({"typing": true, "timeout": 60_000});
        user.put(&path(&format!("typing/{user_id}")), typing)
            .await
            .expect_ok();
        let receipt = path(&format!("receipt/m.read/{}", encode(&read)));
        user.post(&receipt, json!({})).await.expect_ok();
        let presence = json!({"presence": "online", "status_msg": "here"});
        let path = format!("presence/{user_id}/status");
        user.put(&path, presence).await.expect_ok();
    }
    let mut seen = Value::Array(Vec::new());
    let see = |answer: &Value| {
        let section = joined(answer, &room);
        let ephemeral = events(&section["ephemeral"]).to_vec();
        let all = seen.as_array_mut().unwrap();
        all.extend(ephemeral);
        all.extend(events(&answer["presence"]).to_vec());
        let text = seen.to_string();
        ["m.typing", "m.receipt", "m.presence"]
            .iter()
            .all(|word| text.contains(word))
    };
    bob.sync_matching(Some(token), see).await;
    let text = seen.to_string();
    assert!(text.contains(&alice.user_id), "{text}");
    assert!(!text.contains(&mallory.user_id), "{text}");
    for query in ["", "full_state=true"] {
        let fresh = bob.sync(query).await;
        let section = joined(&fresh, &room);
        let moment = format!("{}{}", section["ephemeral"], fresh["presence"]);
        assert!(moment.contains(&alice.user_id), "{moment}");
        assert!(!moment.contains(&mallory.user_id), "{moment}");
    }
}

#[tokio::test]
async fn malformed_lists_are_harmless() {
    let server = shared_server().await;
    let Three {
        bob, mallory, room, ..
    } = three(&server).await;
    let mut token = bob.now().await;
    let me = bob.user_id.clone();
    for (round, content) in [
        json!({}),
        json!({"ignored_users": null}),
        json!({"ignored_users": [mallory.user_id]}),
        json!({"ignored_users": mallory.user_id}),
        json!({"ignored_users": {"": {}, "mallory": {}, "@": {}, "@:": {}, "!room:x": 1}}),
        json!({"ignored_users": {me: {}}}),
        json!({"ignored_users": 1, "more": [[[]]]}),
    ]
    .into_iter()
    .enumerate()
    {
        set_list(&bob, content.clone()).await;
        let text = format!("round {round}");
        says(&mallory, &room, &[&text]).await;
        says(&bob, &room, &[&text]).await;
        let answer = bob.sync(&since(&token)).await;
        let timeline = &joined(&answer, &room)["timeline"];
        assert_eq!(bodies(timeline), [&text, &text], "{content}");
        token = next(&answer);
    }
    // What else stands beside a user's ID does not matter.
    for value in [json!(null), json!({"until": 1}), json!([])] {
        set_list(
            &bob,
            json!({"ignored_users": {mallory.user_id.clone(): value, "x": {}}}),
        )
        .await;
        let text = format!("unwanted {value}");
        says(&mallory, &room, &[&text]).await;
        let answer = bob.sync(&since(&token)).await;
        assert_eq!(bodies(&joined(&answer, &room)["timeline"]), [""; 0]);
        token = next(&answer);
    }
}

#[tokio::test]
async fn who_is_ignored_stays_so_after_a_restart() {
    let server = TestServer::start().await;
    let Three {
        bob, mallory, room, ..
    } = three(&server).await;
    ignores(&bob, &[&mallory]).await;
    let token = bob.now().await;
    server.restart().await;
    says(&mallory, &room, &["unwanted"]).await;
    let answer = bob.sync(&since(&token)).await;
    assert_eq!(bodies(&joined(&answer, &room)["timeline"]), [""; 0]);
}
