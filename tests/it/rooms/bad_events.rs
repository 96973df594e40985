//! Events that must not be, and those at the edge that must.

use greenroom_tests::{Client, encode, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

use super::{in_room, send_raw, shared_room, text, timeline};

/// The most bytes of an event as servers exchange it.
const MAX_EVENT_BYTES: usize = 65_536;

/// After whatever was refused, the room holds nothing of it and works on.
async fn assert_alive(alice: &Client, room: &str, events_before: usize) {
    assert_eq!(timeline(alice, room).await.len(), events_before);
    alice.send_text(room, "alive", "alive").await;
}

#[tokio::test]
async fn b01_numbers_that_are_not_canonical_are_refused() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let before = timeline(&alice, &room).await.len();
    let bad = [
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551616",
        "1.1",
        "1e3",
        "1.0",
        "-0",
        "1e999",
    ];
    for number in bad {
        for body in [
            format!("{{\"n\":{number}}}"),
            format!("{{\"a\":[{{\"n\":[{number}]}}]}}"),
        ] {
            send_raw(&alice, &room, "org.example", body)
                .await
                .expect_error(400, "M_BAD_JSON");
        }
    }
    for number in [
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        "0x1",
        "1.",
        "--1",
    ] {
        let body = format!("{{\"n\":{number}}}");
        send_raw(&alice, &room, "org.example", body)
            .await
            .expect_error(400, "M_NOT_JSON");
    }
    assert_eq!(timeline(&alice, &room).await.len(), before);
    for number in ["9007199254740991", "-9007199254740991", "0"] {
        let body = format!("{{\"n\":{number}}}");
        send_raw(&alice, &room, "org.example", body)
            .await
            .expect_ok();
    }
    let events = timeline(&alice, &room).await;
    let numbers: Vec<i64> = events[before..]
        .iter()
        .map(|event| event["content"]["n"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [9_007_199_254_740_991, -9_007_199_254_740_991, 0]);
}

/// In the event that everybody's client reads, by whichever way it is written.
#[tokio::test]
async fn a41_a_member_event_has_no_numbers_that_are_none() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let before = timeline(&alice, &room).await.len();
    let own = in_room(
        &room,
        &format!("state/m.room.member/{}", encode(&bob.user_id)),
    );
    for (number, errcode) in [
        ("NaN", "M_NOT_JSON"),
        ("Infinity", "M_NOT_JSON"),
        ("-Infinity", "M_NOT_JSON"),
        ("1e999", "M_BAD_JSON"),
        ("0.5", "M_BAD_JSON"),
    ] {
        let state = format!("{{\"membership\":\"join\",\"org.example.n\":{number}}}");
        let refused = bob.raw(Method::PUT, &own, &[], state).await;
        refused.expect_error(400, errcode);
    }
    for (verb, number) in [("invite", "NaN"), ("join", "Infinity"), ("leave", "NaN")] {
        let body = format!("{{\"user_id\":\"{}\",\"reason\":{number}}}", bob.user_id);
        let path = in_room(&room, verb);
        let refused = bob.raw(Method::POST, &path, &[], body).await;
        refused.expect_error(400, "M_NOT_JSON");
    }
    assert_alive(&alice, &room, before).await;
    assert!(bob.sync("").await["rooms"]["join"][&room].is_object());
}

#[tokio::test]
async fn b04_deep_nesting_is_accepted_up_to_a_limit_and_then_refused() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    // The kit does not read answers that nest so deep: they are looked at as text.
    for depth in [100, 128, 1_000] {
        let sent = send_raw(&alice, &room, "org.example", nested(depth)).await;
        let event_id = sent.expect_ok()["event_id"].as_str().unwrap().to_owned();
        let event = in_room(&room, &format!("event/{}", encode(&event_id)));
        for path in [event, in_room(&room, "messages?dir=b&limit=1")] {
            let answer = bob.get(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.describe());
            assert!(answer.text().contains(&nested(depth)), "{depth}");
        }
    }
    for depth in [1_100, 30_000, 500_000] {
        send_raw(&alice, &room, "org.example", nested(depth))
            .await
            .expect_error(400, "M_BAD_JSON");
    }
    send_raw(&alice, &room, "org.example", "{\"a\":".repeat(300_000))
        .await
        .expect_error(400, "M_BAD_JSON");
    alice.send_text(&room, "alive", "alive").await;
    let answer = bob.get(&in_room(&room, "messages?dir=b&limit=2")).await;
    assert!(
        answer.text().contains(&nested(1_000)),
        "nothing came between"
    );
}

#[tokio::test]
async fn b05_what_is_not_utf8_is_not_json() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let before = timeline(&alice, &room).await.len();
    let bodies: [&[u8]; 7] = [
        b"{\"msgtype\":\"m.text\",\"body\":\"\x81\"}",
        b"{\"msgtype\":\"m.text\",\"body\":\"\xc0\xaf\"}",
        b"{\"msgtype\":\"m.text\",\"body\":\"\xed\xa0\x80\"}",
        b"\xef\xbb\xbf{\"msgtype\":\"m.text\",\"body\":\"x\"}",
        b"\xff\xfe{\0}\0",
        br#"{"msgtype":"m.text","body":"\ud800"}"#,
        br#"{"msgtype":"m.text","body":"x","\udfff":1}"#,
    ];
    for body in bodies {
        send_raw(&alice, &room, "m.room.message", body)
            .await
            .expect_error(400, "M_NOT_JSON");
        let path = in_room(&room, "state/org.example");
        let answer = alice.raw(Method::PUT, &path, &[], body).await;
        answer.expect_error(400, "M_NOT_JSON");
    }
    assert_alive(&alice, &room, before).await;
}

#[tokio::test]
async fn b07_a_null_character_comes_back_as_it_went() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let content = json!({"msgtype": "m.text", "body": "a\0b", "k\0": ["\0"]});
    let message = alice
        .send(&room, "m.room.message", "t\0", content.clone())
        .await;
    let path = in_room(&room, &format!("event/{}", encode(&message)));
    let event = alice.get(&path).await.expect_ok();
    assert_eq!(event["content"], content);
    assert_eq!(event["unsigned"]["transaction_id"], "t\0");
    let topic = json!({"topic": "a\0b"});
    alice
        .send_state(&room, "m.room.topic", "", topic.clone())
        .await;
    let name = json!({"name": "a\0b"});
    alice.send_state(&room, "m.room.name", "", name).await;
    let odd = alice
        .send_state(&room, "org\0example", "k\0ey", topic.clone())
        .await;
    let found = bob.state(&room, "org\0example", "k\0ey").await.expect_ok();
    assert_eq!(found, topic);
    let event = bob.messages(&room, "dir=b&limit=1").await["chunk"][0].clone();
    assert_eq!(event["event_id"], odd.as_str());
    assert_eq!(event["type"], "org\0example");
    assert_eq!(event["state_key"], "k\0ey");
    // In a member event and in the directory.
    let path = format!("profile/{}/displayname", encode(&bob.user_id));
    bob.put(&path, json!({"displayname": "B\0b"}))
        .await
        .expect_ok();
    let path = format!("directory/list/room/{}", encode(&room));
    alice
        .put(&path, json!({"visibility": "public"}))
        .await
        .expect_ok();
    let search = json!({"filter": {"generic_search_term": "a\0B"}, "limit": 500});
    let listed = bob.post("publicRooms", search).await.expect_ok();
    let listed = listed["chunk"].as_array().unwrap().clone();
    let listed = listed
        .iter()
        .find(|listed| listed["room_id"] == room.as_str());
    assert_eq!(listed.unwrap()["name"], "a\0b");
}

#[tokio::test]
async fn b08_a_body_is_a_json_object() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let before = timeline(&alice, &room).await.len();
    let table = [
        ("[]", "M_BAD_JSON"),
        ("null", "M_BAD_JSON"),
        ("\"x\"", "M_BAD_JSON"),
        ("1", "M_BAD_JSON"),
        ("", "M_NOT_JSON"),
        ("  ", "M_NOT_JSON"),
        ("{", "M_NOT_JSON"),
        ("{\"body\":\"x", "M_NOT_JSON"),
        ("{} {}", "M_NOT_JSON"),
        ("{'body':'x'}", "M_NOT_JSON"),
        ("{\"body\":\"x\",}", "M_NOT_JSON"),
        ("body=x", "M_NOT_JSON"),
    ];
    for (body, errcode) in table {
        for path in [
            "send/org.example/t1",
            "state/org.example",
            "state/org.example/key",
        ] {
            let answer = alice
                .raw(Method::PUT, &in_room(&room, path), &[], body)
                .await;
            answer.expect_error(400, errcode);
        }
        send_raw(&alice, &room, "org.example", body)
            .await
            .expect_error(400, errcode);
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000_000));
    let path = in_room(&room, "send/org.example/t1");
    if let Ok(answer) = alice.attempt(Method::PUT, &path, &[], large).await {
        answer.expect_error(413, "M_TOO_LARGE");
    }
    assert_alive(&alice, &room, before).await;
}

#[tokio::test]
async fn what_a_message_must_have_is_asked_for() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let table = [
        ("send/m.room.message/t", json!({})),
        ("send/m.room.message/t", json!({"body": "x"})),
        ("send/m.room.message/t", json!({"msgtype": "m.text"})),
        (
            "send/m.room.message/t",
            json!({"msgtype": "m.text", "body": 1}),
        ),
        ("send/m.room.member/t", json!({"membership": "join"})),
        ("state/m.room.name", json!({"name": 1})),
        ("state/m.room.join_rules", json!({"join_rule": "anyone"})),
        ("state/m.room.join_rules", json!({})),
        (
            "state/m.room.history_visibility",
            json!({"history_visibility": "none"}),
        ),
        ("state/m.room.member/nobody", json!({"membership": "join"})),
        ("state/m.room.power_levels", json!({"users": []})),
        ("state/m.room.canonical_alias", json!({"alias": 1})),
    ];
    for (path, content) in table {
        let answer = alice.put(&in_room(&room, path), content.clone()).await;
        assert_eq!(answer.status, 400, "{content}: {}", answer.describe());
        answer.expect_error(400, "M_BAD_JSON");
    }
}

/// The newest event of a room, as servers exchange it, in bytes of canonical JSON.
async fn size_of_newest(client: &Client, room: &str) -> usize {
    let filter = json!({
        "event_format": "federation",
        "room": {"rooms": [room], "timeline": {"limit": 1}},
    });
    let body = client
        .sync(&format!("filter={}", encode(&filter.to_string())))
        .await;
    let mut event = body["rooms"]["join"][room]["timeline"]["events"][0].clone();
    let fields = event.as_object_mut().unwrap();
    assert!(fields.contains_key("signatures"), "{fields:?}");
    // What is added for the reader.
    fields.remove("unsigned");
    fields.remove("event_id");
    event.to_string().len()
}

#[tokio::test]
async fn b11_an_event_of_65536_bytes_is_the_largest() {
    let server = shared_server().await;
    for letter in ["x", "é", "😀"] {
        let (alice, bob, room) = shared_room(&server, json!({})).await;
        let padded = |bytes: usize| {
            let whole = bytes / letter.len();
            format!(
                "{}{}",
                letter.repeat(whole),
                "x".repeat(bytes - whole * letter.len())
            )
        };
        // Its depth, and all of the same number of digits, comes after this one.
        while timeline(&alice, &room).await.len() < 10 {
            alice.send(&room, "org.example", "fill", json!({})).await;
            send_raw(&alice, &room, "org.example", "{}")
                .await
                .expect_ok();
        }
        let small = 1_000;
        alice.send_text(&room, "small", &padded(small)).await;
        let fits = small + MAX_EVENT_BYTES - size_of_newest(&alice, &room).await;
        for too_many in [1, 2, 100, 100_000] {
            let path = in_room(&room, &format!("send/m.room.message/t{too_many}"));
            let answer = alice.put(&path, text(&padded(fits + too_many))).await;
            answer.expect_error(413, "M_TOO_LARGE");
        }
        let largest = alice.send_text(&room, "fits", &padded(fits)).await;
        assert_eq!(size_of_newest(&alice, &room).await, MAX_EVENT_BYTES);
        let path = in_room(&room, &format!("event/{}", encode(&largest)));
        let event = bob.get(&path).await.expect_ok();
        assert_eq!(event["content"]["body"], padded(fits));
    }
}

#[tokio::test]
async fn b12_identifiers_are_measured_in_bytes() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let fitting = ["x".repeat(255), format!("{}xxx", "😀".repeat(63))];
    for id in &fitting {
        assert_eq!(id.len(), 255);
        alice.send(&room, id, "t", json!({})).await;
        alice.send_state(&room, id, id, json!({})).await;
    }
    let before = timeline(&alice, &room).await.len();
    for id in ["x".repeat(256), "😀".repeat(64), "😀".repeat(255)] {
        let id = encode(&id);
        for path in [
            format!("send/{id}/t"),
            format!("state/{id}"),
            format!("state/org.example/{id}"),
        ] {
            let answer = alice.put(&in_room(&room, &path), json!({})).await;
            assert!(matches!(answer.status, 400 | 413), "{}", answer.describe());
            assert_ne!(answer.body["errcode"], Value::Null);
        }
        for sigil in ["!", "x"] {
            let path = in_room(&format!("{sigil}{id}"), "send/org.example/t");
            alice
                .put(&path, json!({}))
                .await
                .expect_error(400, "M_INVALID_PARAM");
        }
        let path = in_room(&room, &format!("event/%24{id}"));
        let answer = alice.get(&path).await;
        assert!(matches!(answer.status, 400 | 404), "{}", answer.describe());
    }
    assert_alive(&alice, &room, before).await;
}

#[tokio::test]
async fn odd_ids_in_paths_never_break_anything() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    for id in [
        "!",
        "!\0",
        "!a\0b:localhost",
        "!a:b:c",
        "!é",
        "! :x",
        "!a:localhost/..",
        "#a:b",
    ] {
        let requests = [
            (Method::GET, in_room(id, "state")),
            (Method::GET, in_room(id, "messages?dir=b")),
            (Method::GET, in_room(id, "event/%24x")),
            (Method::PUT, in_room(id, "send/org.example/t")),
            (Method::POST, in_room(id, "join")),
            (Method::POST, in_room(id, "leave")),
            (Method::POST, in_room(id, "forget")),
            (Method::GET, in_room(id, "aliases")),
            (Method::GET, format!("directory/list/room/{}", encode(id))),
        ];
        for (method, path) in requests {
            let answer = alice.raw(method, &path, &[], "{}").await;
            assert!(
                (400..500).contains(&answer.status) && answer.body["errcode"].is_string(),
                "{}",
                answer.describe()
            );
        }
    }
    for event_id in ["$", "$\0", "$é", "$a:b:c", "$ ", "x"] {
        for rest in ["event", "context"] {
            let path = in_room(&room, &format!("{rest}/{}", encode(event_id)));
            let answer = alice.get(&path).await;
            assert!(matches!(answer.status, 400 | 404), "{}", answer.describe());
        }
    }
    alice.send_text(&room, "alive", "alive").await;
}
