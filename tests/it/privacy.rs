//! What nobody outside a room may learn of it, and what odd rooms do to those who are asked in.

use futures_util::future::join_all;
use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room, text, timeline};

async fn act(client: &Client, room: &str, verb: &str, body: Value) {
    client.post(&in_room(room, verb), body).await.expect_ok();
}

/// Everything that a stranger can ask about a room and what is in it.
fn questions(room: &str, alias: &str, event: &str, member: &str) -> Vec<String> {
    let below = [
        "state",
        "state/m.room.name",
        "state/m.room.topic?format=event",
        "members",
        "joined_members",
        "messages?dir=b",
        "messages?dir=f&limit=1000",
        "aliases",
        "initialSync",
    ];
    let mut paths: Vec<String> = below.map(|rest| in_room(room, rest)).into();
    let event = encode(event);
    let room = encode(room);
    paths.extend([
        format!("rooms/{room}/event/{event}"),
        format!("rooms/{room}/context/{event}"),
        format!("events/{event}"),
        format!("events?timeout=0&room_id={room}"),
        format!("directory/room/{}", encode(alias)),
        format!("directory/list/room/{room}"),
        format!("profile/{}", encode(member)),
        format!("presence/{}/status", encode(member)),
        // Not there yet; when they come, they come with this test.
        format!("/_matrix/client/v1/room_summary/{room}"),
        format!("/_matrix/client/v1/rooms/{room}/hierarchy"),
        format!("/_matrix/client/v1/rooms/{room}/threads"),
        format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts=0&dir=f"),
        format!("/_matrix/client/v1/rooms/{room}/relations/{event}"),
    ]);
    paths.extend(["publicRooms", "sync", "initialSync?archived=true"].map(str::to_owned));
    paths
}

#[tokio::test]
async fn a30_a_private_room_tells_a_stranger_nothing_of_itself() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let eve = server.register("eve").await;
    let mark = format!("secret{}", alice.localpart().replace('-', ""));
    let request = json!({
        "name": format!("name {mark}"),
        "topic": format!("topic {mark}"),
        "room_alias_name": format!("alias-{}", alice.localpart()),
        "initial_state": [
            {"type": "m.room.avatar", "content": {"url": format!("mxc://localhost/{mark}")}},
            {"type": "org.example", "content": {"text": mark}},
        ],
    });
    let created = alice.post("createRoom", request).await.expect_ok();
    let room = created["room_id"].as_str().unwrap();
    let alias = created["room_alias"].as_str().unwrap();
    let event = alice.send_text(room, "t", &format!("words {mark}")).await;
    // It was in the directory once.
    let listed = format!("directory/list/room/{}", encode(room));
    for visibility in ["public", "private"] {
        let body = json!({ "visibility": visibility });
        alice.put(&listed, body).await.expect_ok();
    }
    let search = json!({"filter": {"generic_search_term": mark}});
    let found = eve.post("publicRooms", search).await.expect_ok();
    assert_eq!(found["chunk"], json!([]));
    let mut answers = Vec::new();
    for path in questions(room, alias, &event, &alice.user_id) {
        for client in [&eve, &eve.over("r0"), &server.anonymous()] {
            answers.push(client.get(&path).await);
        }
    }
    for verb in ["join", "leave", "forget"] {
        answers.push(eve.post(&in_room(room, verb), json!({})).await);
    }
    answers.push(
        eve.post(&format!("knock/{}", encode(alias)), json!({}))
            .await,
    );
    for answer in answers {
        assert!(answer.status < 500, "{}", answer.describe());
        assert!(!answer.text().contains(&mark), "{}", answer.describe());
    }
}

/// Somebody who waits for news of a room when they are banned hears of the ban and nothing else.
#[tokio::test]
async fn a32_who_is_banned_hears_of_that_and_of_nothing_later() {
    let server = shared_server().await;
    for visibility in ["shared", "joined", "world_readable"] {
        let rule = json!({"initial_state": [{
            "type": "m.room.history_visibility",
            "content": {"history_visibility": visibility},
        }]});
        let (alice, bob, room) = shared_room(&server, rule).await;
        let [since, now] = [bob.now().await, bob.now().await];
        let ban = json!({"user_id": bob.user_id, "reason": "enough"});
        let (parked, ()) = tokio::join!(bob.sync_since(&now), act(&alice, &room, "ban", ban));
        let section = &parked["rooms"]["leave"][&room];
        let events = section["timeline"]["events"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{visibility}: {parked}");
        assert_eq!(events[0]["content"]["membership"], "ban", "{parked}");
        let told = parked["next_batch"].as_str().unwrap().to_owned();

        let message = alice.send_text(&room, "t", "later").await;
        let name = json!({"name": "later"});
        alice.send_state(&room, "m.room.name", "", name).await;
        let typing = in_room(&room, &format!("typing/{}", encode(&alice.user_id)));
        let body = json!({"typing": true, "timeout": 30_000});
        alice.put(&typing, body).await.expect_ok();
        let read = format!("receipt/m.read/{}", encode(&message));
        act(&alice, &room, &read, json!({})).await;

        let full = json!({"room": {"include_leave": true}});
        let full = format!("full_state=true&filter={}", encode(&full.to_string()));
        for query in [
            format!("since={}", encode(&told)),
            format!("since={}", encode(&since)),
            format!("since={}&{full}", encode(&told)),
            full.clone(),
        ] {
            let answer = bob.sync(&query).await;
            assert!(
                answer["rooms"]["join"][&room].is_null(),
                "{query}: {answer}"
            );
            let shown = answer["rooms"].to_string();
            for unseen in ["later", message.as_str(), "m.typing", "m.receipt"] {
                assert!(!shown.contains(unseen), "{visibility} {query}: {answer}");
            }
        }
        let path = format!("events?timeout=0&from={}", encode(&told));
        let stream = bob.get(&path).await.expect_ok();
        let chunk = stream["chunk"].as_array().unwrap();
        let mut of_room = chunk.iter().filter(|event| event["room_id"] == *room);
        assert!(of_room.next().is_none(), "{stream}");
    }
}

/// State that is not what its type should be, as far as it can be sent at all.
#[tokio::test]
async fn a45_a46_an_odd_room_breaks_nobody_who_is_invited_to_it() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let huge = "x".repeat(60_000);
    let odd = |event_type: &str, content: Value| json!({"initial_state": [{"type": event_type, "content": content}]});
    for request in [
        json!({"name": huge}),
        json!({"topic": huge[..30_000]}),
        json!({"name": "\u{0}\u{202e}\u{feff}", "topic": "\u{0}"}),
        json!({"creation_content": {"type": 5}}),
        json!({"creation_content": {"type": null, "predecessor": "x", "m.federate": "no"}}),
        json!({"creation_content": {"type": {"a": ["b"]}, "predecessor": {"room_id": 7}}}),
        json!({"creation_content": {"type": huge}}),
        odd("m.room.avatar", json!({"url": "not a url", "info": 7})),
        odd("m.room.avatar", json!({"url": null, "info": {"w": -1}})),
        odd("m.room.name", json!({"name": null})),
        odd("m.room.name", json!({})),
        odd("m.room.topic", json!({"topic": "a", "m.topic": 7})),
        odd(
            "m.room.topic",
            json!({"m.topic": {"m.text": [1, null, {"body": {}}]}}),
        ),
        odd(
            "m.room.encryption",
            json!({"algorithm": huge, "rotation_period_ms": "x"}),
        ),
        odd(
            "m.room.canonical_alias",
            json!({"alias": null, "alt_aliases": null}),
        ),
        odd(
            "m.room.join_rules",
            json!({"join_rule": "restricted", "allow": null}),
        ),
        odd("m.room.server_acl", json!({"allow": ["*"], "deny": [""]})),
    ] {
        let bob = server.register("bob").await;
        let mut public = request.clone();
        public["visibility"] = json!("public");
        public["preset"] = json!("private_chat");
        let created = alice.post("createRoom", public).await;
        let shown = request.to_string();
        let shown: String = shown.chars().take(200).collect();
        if created.status != 200 {
            let refused = [400, 413].contains(&created.status);
            assert!(refused, "{shown}: {}", created.describe());
            continue;
        }
        let room = created.body["room_id"].as_str().unwrap();
        let name = json!({"membership": "join", "displayname": null, "avatar_url": null});
        alice
            .send_state(room, "m.room.member", &alice.user_id, name)
            .await;
        let since = bob.now().await;
        alice.invite(room, &bob).await;
        for client in [bob.clone(), bob.over("r0")] {
            for query in [String::new(), format!("since={}", encode(&since))] {
                let answer = client.sync(&query).await;
                let invite = &answer["rooms"]["invite"][room];
                assert!(invite.is_object(), "{shown}: {answer}");
            }
            client.get("initialSync").await.expect_ok();
            client.get("publicRooms?limit=1000").await.expect_ok();
        }
        bob.join(room).await;
        let answer = bob.sync("").await;
        assert!(answer["rooms"]["join"][room].is_object(), "{shown}");
        bob.get("initialSync").await.expect_ok();
        bob.get(&in_room(room, "state")).await.expect_ok();
        bob.get(&in_room(room, "joined_members")).await.expect_ok();
    }
}

/// One who floods one room is answered, or told to come back; others are served meanwhile, and
/// exactly what was acknowledged is there.
#[tokio::test]
async fn a49_a_flood_into_one_room_is_kept_in_it() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let quiet = alice.create_room(json!({})).await;
    let path = in_room(&room, "send/m.room.message");
    let flood = join_all((0..500).map(|n| bob.post(&path, text(&format!("flood {n}")))));
    let others = async {
        for n in 0..10 {
            let since = alice.now().await;
            let sent = alice.send_text(&quiet, &format!("t{n}"), "calm").await;
            let calm = |joined: &Value| joined.to_string().contains(&sent);
            alice.sync_until_since(&since, &quiet, calm).await;
        }
    };
    let (answers, ()) = tokio::join!(flood, others);
    let mut sent = Vec::new();
    for answer in answers {
        if answer.status == 200 {
            sent.push(answer.body["event_id"].as_str().unwrap().to_owned());
        } else {
            let later = [429, 503].contains(&answer.status);
            assert!(later, "{}", answer.describe());
        }
    }
    assert!(!sent.is_empty());
    let all = timeline(&alice, &room).await;
    let found = all.iter().filter(|event| event["sender"] == *bob.user_id);
    let found = found.filter(|event| event["type"] == "m.room.message");
    let mut found: Vec<&str> = found.map(|it| it["event_id"].as_str().unwrap()).collect();
    found.sort_unstable();
    sent.sort();
    assert_eq!(found, sent);
}
