//! Messages and state are sent in every way the API knows, by those who are in the room.

use greenroom_tests::{Client, DEADLINE, TestServer, encode, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ids, in_room, shared_room, text, texts, timeline};

#[tokio::test]
async fn an_event_of_any_type_is_read_back_as_it_was_sent() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let contents = [
        (
            "m.room.message",
            json!({"msgtype": "org.example.odd", "body": "é 😀 \"\\/"}),
        ),
        (
            "m.room.message",
            json!({"msgtype": "m.image", "body": "x", "url": "mxc://a/b"}),
        ),
        ("org.example.type", json!({})),
        (
            "org.example/with slash",
            json!({"a": [1, {"b": null}, true, -5], "z": "", "": 0}),
        ),
        (
            "m.reaction",
            json!({"m.relates_to": {"rel_type": "m.annotation"}}),
        ),
    ];
    for (n, (event_type, content)) in contents.iter().enumerate() {
        let txn = format!("t {n}/?");
        let event_id = alice.send(&room, event_type, &txn, content.clone()).await;
        let path = in_room(&room, &format!("event/{}", encode(&event_id)));
        let event = bob.get(&path).await.expect_ok();
        assert_eq!(event["content"], *content);
        assert_eq!(event["type"], *event_type);
        assert_eq!(event["sender"], alice.user_id);
        assert_eq!(event["room_id"], room);
        assert_eq!(event["event_id"], event_id);
        assert!(event["origin_server_ts"].is_u64(), "{event}");
        assert!(event.get("state_key").is_none(), "{event}");
    }
}

#[tokio::test]
async fn without_a_transaction_id_each_post_is_an_act() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    for client in [alice.clone(), alice.over("r0"), alice.with_token_in_query()] {
        let path = in_room(&room, "send/m.room.message");
        let one = client.post(&path, text("same")).await.expect_ok();
        let other = client.post(&path, text("same")).await.expect_ok();
        assert_ne!(one["event_id"], other["event_id"]);
    }
    assert_eq!(texts(&timeline(&alice, &room).await).len(), 6);
}

#[tokio::test]
async fn a_room_id_need_not_be_encoded() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({"room_version": "11"})).await;
    for spelled in [room.clone(), encode(&room), room.replace('!', "%21")] {
        let path = format!("rooms/{spelled}/send/m.room.message/{}", encode(&spelled));
        alice.put(&path, text("hello")).await.expect_ok();
    }
    assert_eq!(texts(&timeline(&alice, &room).await).len(), 3);
}

#[tokio::test]
async fn state_is_put_and_got_with_and_without_its_key() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    for (n, ending) in ["state/m.room.topic", "state/m.room.topic/"]
        .iter()
        .enumerate()
    {
        for version in ["r0", "v3"] {
            let topic = json!({"topic": format!("{n} {version}")});
            let path = in_room(&room, ending);
            let sent = alice
                .over(version)
                .put(&path, topic.clone())
                .await
                .expect_ok();
            assert_eq!(bob.over(version).get(&path).await.expect_ok(), topic);
            let path = format!("{path}?format=event");
            let event = bob.over(version).get(&path).await.expect_ok();
            assert_eq!(event["event_id"], sent["event_id"]);
            assert_eq!(event["content"], topic);
            assert_eq!(event["state_key"], "");
            assert_eq!(event["room_id"], room);
        }
    }
    let key = "a/b c%2F\u{1F600}";
    alice
        .send_state(&room, "org.example", key, json!({"n": 1}))
        .await;
    assert_eq!(
        bob.state(&room, "org.example", key).await.expect_ok(),
        json!({"n": 1})
    );
    bob.state(&room, "org.example", "")
        .await
        .expect_error(404, "M_NOT_FOUND");
    let path = in_room(&room, "state/m.room.topic?format=content");
    assert_eq!(bob.get(&path).await.expect_ok(), json!({"topic": "1 v3"}));
    let path = in_room(&room, "state/m.room.topic?format=xml");
    bob.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    let all = bob.get(&in_room(&room, "state")).await.expect_ok();
    let topics = all.as_array().unwrap().iter();
    let topics: Vec<_> = topics
        .filter(|event| event["type"] == "m.room.topic")
        .collect();
    assert_eq!(topics.len(), 1, "one event per place of the state: {all}");
    assert_eq!(topics[0]["unsigned"]["prev_content"]["topic"], "1 r0");
    let path = in_room(&room, "state/m.room.topic");
    let answer = alice.post(&path, json!({})).await;
    answer.expect_error(405, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn the_same_state_again_is_the_same_event() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let first = alice
        .send_state(&room, "m.room.name", "", json!({"name": "Tea"}))
        .await;
    let again = alice
        .send_state(&room, "m.room.name", "", json!({"name": "Tea"}))
        .await;
    assert_eq!(first, again);
    let other = alice
        .send_state(&room, "m.room.name", "", json!({"name": "Cake"}))
        .await;
    let back = alice
        .send_state(&room, "m.room.name", "", json!({"name": "Tea"}))
        .await;
    assert!(other != first && back != first, "back again is news");
}

#[tokio::test]
async fn who_is_not_in_a_room_sends_nothing_into_it() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let eve = server.register("eve").await;
    let invited = server.register("invited").await;
    alice.invite(&room, &invited).await;
    let before = timeline(&alice, &room).await.len();
    let message = alice.send_text(&room, "t", "secret").await;
    for room in [room.as_str(), "!nowhere:localhost", "!nowhere"] {
        for outsider in [&eve, &invited] {
            let put = in_room(room, "send/m.room.message/t1");
            let state = in_room(room, "state/m.room.name");
            let redact = in_room(room, &format!("redact/{}/t1", encode(&message)));
            let unknown = in_room(room, "redact/%24unknown/t1");
            for (path, body) in [
                (put, text("hello")),
                (state, json!({"name": "mine"})),
                (redact, json!({})),
                (unknown, json!({})),
            ] {
                outsider
                    .put(&path, body)
                    .await
                    .expect_error(403, "M_FORBIDDEN");
            }
        }
    }
    assert_eq!(timeline(&alice, &room).await.len(), before + 1);
}

#[tokio::test]
async fn a_request_without_a_token_does_not_get_as_far_as_its_body() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    for path in [
        "rooms/%21a/send/m.room.message/t",
        "rooms/%21a/state/m.room.name",
    ] {
        let answer = anyone.raw(Method::PUT, path, &[], "not json").await;
        answer.expect_error(401, "M_MISSING_TOKEN");
    }
}

/// Only application services may date their events.
#[tokio::test]
async fn b35_a_user_does_not_choose_the_time() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let first = alice.send_text(&room, "t0", "first").await;
    for (n, ts) in ["0", "9007199254740991", "32503680000000", "x"]
        .iter()
        .enumerate()
    {
        let path = in_room(&room, &format!("send/m.room.message/t-{n}?ts={ts}"));
        alice.put(&path, text(ts)).await.expect_ok();
    }
    let events = timeline(&alice, &room).await;
    let from = events
        .iter()
        .position(|event| event["event_id"] == first)
        .unwrap();
    let times: Vec<u64> = events[from..]
        .iter()
        .map(|event| event["origin_server_ts"].as_u64().unwrap())
        .collect();
    assert_eq!(times.len(), 5);
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[4] - times[0] < 60_000, "{times:?}");
}

#[tokio::test]
async fn many_at_once_are_all_kept_in_one_order() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let say = |client: Client, n: usize| {
        let room = room.clone();
        async move {
            let text = format!("{} {n}", client.user_id);
            client.send_text(&room, &format!("t{n}"), &text).await
        }
    };
    let sent = (0..30).flat_map(|n| [say(alice.clone(), n), say(bob.clone(), n)]);
    let mut sent = futures_util::future::join_all(sent).await;
    let events = timeline(&alice, &room).await;
    let messages: Vec<_> = events
        .into_iter()
        .filter(|event| event["type"] == "m.room.message")
        .collect();
    let mut found: Vec<String> = ids(&messages).into_iter().map(str::to_owned).collect();
    let seen_by_bob = timeline(&bob, &room).await;
    assert!(ids(&seen_by_bob).ends_with(&found.iter().map(String::as_str).collect::<Vec<_>>()));
    found.sort();
    sent.sort();
    assert_eq!(found, sent);
}

#[tokio::test]
async fn a_flood_of_messages_is_stopped_before_it_has_an_effect() {
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .start()
        .await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let path = in_room(&room, "send/m.room.message");
    let mut sent = 0;
    let limited = loop {
        let answer = alice.post(&path, text("flood")).await;
        if answer.status == 429 {
            break answer;
        }
        answer.expect_ok();
        sent += 1;
        assert!(sent < 10_000, "nothing stops a flood");
    };
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!(wait >= 1);
    let body = limited.expect_error(429, "M_LIMIT_EXCEEDED");
    assert!(body["retry_after_ms"].is_u64(), "{body}");
    assert_eq!(texts(&timeline(&alice, &room).await).len(), sent);
}

/// Anybody can name rooms that are not there.
#[tokio::test]
async fn rooms_that_are_not_there_take_no_memory() {
    let builder = TestServer::builder().flag("--metrics-listen", "127.0.0.1:0");
    let server = builder.start().await;
    let metrics = server
        .log()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|line| match line["fields"]["message"].as_str() {
            Some("metrics are served at /metrics") => {
                Some(format!("http://{}", line["fields"]["address"].as_str()?))
            }
            _ => None,
        })
        .expect("the log says where the metrics are");
    let metrics = Client::at(&metrics);
    let alice = server.register("alice").await;
    let tries = (0..100).map(|n| {
        let path = in_room(&format!("!nowhere{}", n / 2), "join");
        let alice = &alice;
        async move { alice.post(&path, json!({})).await }
    });
    for answer in futures_util::future::join_all(tries).await {
        answer.expect_error(404, "M_NOT_FOUND");
    }
    let give_up = std::time::Instant::now() + DEADLINE;
    loop {
        let text = metrics.get("/metrics").await.text();
        let actors = text
            .lines()
            .find_map(|line| line.strip_prefix("greenroom_room_actors "));
        if actors == Some("0") {
            break;
        }
        assert!(std::time::Instant::now() < give_up, "{actors:?} are left");
        tokio::task::yield_now().await;
    }
}
