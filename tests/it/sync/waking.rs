//! Waiting for something to happen: each thing that can happen ends the waiting.

use greenroom_tests::{Client, SharedServer, TestServer, WireStream, encode, shared_server};
use serde_json::{Value, json};

use super::{bodies, contents, does, does_to, events, ids, joined, next, since};

struct Pair {
    server: SharedServer,
    alice: Client,
    bob: Client,
    room: String,
}

async fn pair() -> Pair {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    // Both are there before anything is waited for.
    alice.now().await;
    bob.now().await;
    Pair {
        server,
        alice,
        bob,
        room,
    }
}

/// What Bob's waiting sync answers when this happens meanwhile.
async fn wakes(bob: &Client, act: impl Future<Output = ()>) -> Value {
    let token = bob.now().await;
    let (answer, ()) = tokio::join!(bob.sync_since(&token), act);
    assert!(
        answer.as_object().unwrap().len() > 1,
        "woken for nothing: {answer}"
    );
    answer
}

#[tokio::test]
async fn a_message_a_topic_and_a_redaction_wake() {
    let Pair {
        alice, bob, room, ..
    } = pair().await;
    let answer = wakes(&bob, async {
        alice.send_text(&room, "t", "hello").await;
    })
    .await;
    assert_eq!(bodies(&joined(&answer, &room)["timeline"]), ["hello"]);
    let sent = ids(&joined(&answer, &room)["timeline"])[0].to_owned();
    wakes(&bob, async {
        super::topic(&alice, &room, "news").await;
    })
    .await;
    let path = format!("rooms/{}/redact/{}/r", encode(&room), encode(&sent));
    let answer = wakes(&bob, async {
        alice.put(&path, json!({})).await.expect_ok();
    })
    .await;
    let event = &events(&joined(&answer, &room)["timeline"])[0];
    assert_eq!(event["type"], "m.room.redaction", "{answer}");
}

#[tokio::test]
async fn an_invite_wakes_and_so_does_taking_it_back() {
    let Pair {
        server, alice, bob, ..
    } = pair().await;
    let carol = server.register("carol").await;
    let secret = alice.create_room(json!({"name": "Secret"})).await;
    for guest in [&bob, &carol] {
        let answer = wakes(guest, alice.invite(&secret, guest)).await;
        let invite = &answer["rooms"]["invite"][&secret]["invite_state"];
        let member = super::in_place(invite, "m.room.member", &guest.user_id).unwrap();
        assert_eq!(member["content"]["membership"], "invite", "{answer}");
        let name = super::in_place(invite, "m.room.name", "").unwrap();
        assert_eq!(name["content"]["name"], "Secret");
    }
    let answer = wakes(&bob, does_to(&alice, &secret, "kick", &bob)).await;
    assert!(answer["rooms"]["leave"][&secret].is_object(), "{answer}");
}

#[tokio::test]
async fn ones_own_join_from_another_device_wakes() {
    let Pair {
        server, alice, bob, ..
    } = pair().await;
    let other = server.login(&bob.user_id).await;
    let second = alice.create_public_room().await;
    let answer = wakes(&bob, other.join(&second)).await;
    assert!(joined(&answer, &second).is_object(), "{answer}");
    let answer = wakes(&bob, does(&other, &second, "leave")).await;
    assert!(answer["rooms"]["leave"][&second].is_object(), "{answer}");
}

#[tokio::test]
async fn memberships_of_others_wake() {
    let Pair {
        server,
        alice,
        bob,
        room,
    } = pair().await;
    let carol = server.register("carol").await;
    for what in ["join", "leave"] {
        let answer = wakes(&bob, does(&carol, &room, what)).await;
        let member = &events(&joined(&answer, &room)["timeline"])[0];
        assert_eq!(member["content"]["membership"], what, "{answer}");
        let count = &joined(&answer, &room)["summary"]["m.joined_member_count"];
        assert_eq!(count, if what == "join" { 3 } else { 2 }, "{answer}");
    }
    let answer = wakes(&bob, does_to(&alice, &room, "ban", &bob)).await;
    assert!(answer["rooms"]["leave"][&room].is_object(), "{answer}");
    assert!(joined(&answer, &room).is_null(), "{answer}");
}

#[tokio::test]
async fn typing_and_receipts_wake() {
    let Pair {
        alice, bob, room, ..
    } = pair().await;
    let typing = format!("rooms/{}/typing/{}", encode(&room), encode(&alice.user_id));
    for types in [true, false] {
        let answer = wakes(&bob, async {
            let body = json!({"typing": types, "timeout": 60_000});
            alice.put(&typing, body).await.expect_ok();
        })
        .await;
        let seen = contents(&joined(&answer, &room)["ephemeral"], "m.typing");
        let expected = if types {
            json!([alice.user_id])
        } else {
            json!([])
        };
        assert_eq!(seen[0]["user_ids"], expected, "{answer}");
    }
    let sent = bob.send_text(&room, "t", "read me").await;
    let answer = wakes(&bob, async {
        let path = format!("rooms/{}/receipt/m.read/{}", encode(&room), encode(&sent));
        alice.post(&path, json!({})).await.expect_ok();
    })
    .await;
    let seen = contents(&joined(&answer, &room)["ephemeral"], "m.receipt");
    assert!(
        seen[0][&sent]["m.read"][&alice.user_id]["ts"].is_u64(),
        "{answer}"
    );
}

#[tokio::test]
async fn account_data_wakes_ones_other_devices() {
    let Pair {
        server, bob, room, ..
    } = pair().await;
    let other = server.login(&bob.user_id).await;
    other.now().await;
    let user = format!("user/{}", encode(&bob.user_id));
    let answer = wakes(&bob, async {
        let path = format!("{user}/account_data/org.example.color");
        other.put(&path, json!({"is": "red"})).await.expect_ok();
    })
    .await;
    let seen = contents(&answer["account_data"], "org.example.color");
    assert_eq!(seen, [&json!({"is": "red"})]);
    let answer = wakes(&bob, async {
        let path = format!("{user}/rooms/{}/tags/u.work", encode(&room));
        other.put(&path, json!({"order": 0.5})).await.expect_ok();
    })
    .await;
    let seen = contents(&joined(&answer, &room)["account_data"], "m.tag");
    assert_eq!(seen[0]["tags"]["u.work"]["order"], 0.5, "{answer}");
}

#[tokio::test]
async fn presence_and_a_new_name_wake() {
    let Pair {
        alice, bob, room, ..
    } = pair().await;
    let answer = wakes(&bob, async {
        let path = format!("presence/{}/status", encode(&alice.user_id));
        let body = json!({"presence": "online", "status_msg": "on stage"});
        alice.put(&path, body).await.expect_ok();
    })
    .await;
    let seen = events(&answer["presence"])
        .iter()
        .find(|event| event["sender"] == alice.user_id.as_str())
        .unwrap();
    assert_eq!(seen["content"]["status_msg"], "on stage");
    let path = format!("profile/{}/displayname", encode(&alice.user_id));
    let name = async {
        let body = json!({"displayname": "Alice in Chains"});
        alice.put(&path, body).await.expect_ok();
    };
    let token = bob.now().await;
    let renamed = |section: &Value| {
        contents(&section["timeline"], "m.room.member")
            .iter()
            .any(|content| content["displayname"] == "Alice in Chains")
    };
    tokio::join!(bob.sync_until_since(&token, &room, renamed), name);
}

#[tokio::test]
async fn who_waits_behind_a_filter_is_not_woken_by_what_it_hides() {
    let Pair {
        alice, bob, room, ..
    } = pair().await;
    let token = bob.now().await;
    let filter = json!({
        "presence": {"types": []},
        "room": {"timeline": {"not_types": ["m.room.message"]}},
    });
    let query = format!(
        "{}&timeout=30000&filter={}",
        since(&token),
        encode(&filter.to_string())
    );
    let (answer, ()) = tokio::join!(bob.sync(&query), async {
        for txn in ["t1", "t2"] {
            // Of a kind that notifies nobody: what counts as unread is news, hidden or not.
            let notice = json!({"msgtype": "m.notice", "body": "hidden"});
            alice.send(&room, "m.room.message", txn, notice).await;
        }
        super::topic(&alice, &room, "seen").await;
    });
    let section = joined(&answer, &room);
    assert_eq!(contents(&section["timeline"], "m.room.topic").len(), 1);
    assert!(bodies(&section["timeline"]).is_empty(), "{answer}");
}

#[tokio::test]
async fn b45_a_device_that_waits_too_often_is_answered_oldest_first() {
    // Three waiting at once are enough for a test, however many the server allows: it answers
    // the surplus while the newest go on waiting.
    let server = TestServer::builder().flag("--workers", "1").start().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let other = server.login(&alice.user_id).await;
    let token = alice.now().await;
    let ask = |client: &Client, path: &str| {
        let token = client.token.as_deref().unwrap();
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let long = format!("/_matrix/client/v3/sync?timeout=9999999&{}", since(&token));
    let mut elsewhere = WireStream::connect(&server).await;
    let request = ask(&other, &long);
    elsewhere.write(request.as_bytes()).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut stream = WireStream::connect(&server).await;
        stream
            .exchange(ask(&alice, "/_matrix/client/versions").as_bytes())
            .await;
        stream.write(ask(&alice, &long).as_bytes()).await.unwrap();
        alice.get("account/whoami").await.expect_ok();
        waiting.push(stream);
    }
    // The first is answered without anything having happened.
    let first = waiting.remove(0).read().await.expect("an answer");
    assert_eq!(first.status, 200);
    assert_eq!(first.json().as_object().unwrap().len(), 1);
    // The last, and another device, wait until something has.
    alice.send_text(&room, "t", "at last").await;
    let last = waiting.pop().unwrap().read().await.expect("an answer");
    assert_eq!(
        bodies(&joined(&last.json(), &room)["timeline"]),
        ["at last"]
    );
    let elsewhere = elsewhere.read().await.expect("an answer");
    assert_eq!(
        bodies(&joined(&elsewhere.json(), &room)["timeline"]),
        ["at last"]
    );
}

#[tokio::test]
async fn b45_who_hangs_up_leaves_nothing_behind() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    let path = format!("/_matrix/client/v3/sync?timeout=600000&{}", since(&token));
    for _ in 0..100 {
        let mut stream = WireStream::connect(&server).await;
        let bearer = alice.token.as_deref().unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n");
        stream.write(request.as_bytes()).await.unwrap();
    }
    let (answer, _) = tokio::join!(
        alice.sync_since(&token),
        alice.send_text(&room, "t", "still here")
    );
    let answer = match bodies(&joined(&answer, &room)["timeline"]).is_empty() {
        // It was the oldest of those that had not been noticed to be gone.
        true => alice.sync_since(&next(&answer)).await,
        false => answer,
    };
    assert_eq!(bodies(&joined(&answer, &room)["timeline"]), ["still here"]);
}
