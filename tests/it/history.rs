//! What was said before: pages of it, single events, what is around them, and who may see it.

use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{ids, in_room, shared_room, text, texts, timeline};

async fn page(client: &Client, room: &str, query: &str) -> Answer {
    client
        .get(&in_room(room, &format!("messages?{query}")))
        .await
}

async fn say(client: &Client, room: &str, words: &[&str]) -> Vec<String> {
    let mut sent = Vec::new();
    for word in words {
        sent.push(client.send_text(room, &format!("say {word}"), word).await);
    }
    sent
}

fn chunk(page: &Value) -> &[Value] {
    page["chunk"].as_array().unwrap()
}

#[tokio::test]
async fn a_room_is_read_page_by_page_in_both_directions() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let words: Vec<String> = (0..25).map(|n| format!("word {n}")).collect();
    say(
        &alice,
        &room,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let all = timeline(&bob, &room).await;
    for (direction, limit) in [("f", 4), ("b", 4), ("f", 1), ("b", 7), ("b", 1000)] {
        let mut found = Vec::new();
        let mut query = format!("dir={direction}&limit={limit}");
        loop {
            let page = page(&bob, &room, &query).await.expect_ok();
            assert!(chunk(&page).len() <= limit);
            assert!(page["start"].is_string());
            found.extend(chunk(&page).to_vec());
            let Some(end) = page["end"].as_str() else {
                break;
            };
            query = format!("dir={direction}&limit={limit}&from={}", encode(end));
        }
        if direction == "b" {
            found.reverse();
        }
        assert_eq!(ids(&found), ids(&all), "{direction} {limit}");
    }
    // Ten, unless one says otherwise.
    let few = page(&bob, &room, "dir=b").await.expect_ok();
    assert_eq!(chunk(&few).len(), 10);
    assert_eq!(texts(chunk(&few))[0], "word 24");
    let end = page(&bob, &room, "dir=b&from=END&limit=1")
        .await
        .expect_ok();
    assert_eq!(texts(chunk(&end)), ["word 24"]);
    // A page can be turned where it began.
    let back = page(&bob, &room, "dir=b&limit=5").await.expect_ok();
    let token = encode(back["end"].as_str().unwrap());
    let query = format!("dir=f&limit=5&from={token}");
    let forth = page(&bob, &room, &query).await.expect_ok();
    let mut turned = chunk(&forth).to_vec();
    turned.reverse();
    assert_eq!(ids(&turned), ids(chunk(&back)));
    // `to` ends it.
    let query = format!("dir=b&limit=100&to={token}");
    let until = page(&bob, &room, &query).await.expect_ok();
    assert_eq!(ids(chunk(&until)), ids(chunk(&back)));
    assert_eq!(until.get("end"), None);
}

#[tokio::test]
async fn new_events_are_found_from_where_the_last_page_ended() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    say(&alice, &room, &["one"]).await;
    let now = page(&bob, &room, "dir=b&limit=1").await.expect_ok();
    let start = encode(now["start"].as_str().unwrap());
    say(&alice, &room, &["two", "three"]).await;
    let later = page(&bob, &room, &format!("dir=f&from={start}"))
        .await
        .expect_ok();
    assert_eq!(texts(chunk(&later)), ["two", "three"]);
    let sync = bob.now().await;
    say(&alice, &room, &["four"]).await;
    for (direction, wanted) in [("f", "four"), ("b", "three")] {
        let query = format!("dir={direction}&limit=1&from={}", encode(&sync));
        let found = page(&bob, &room, &query).await.expect_ok();
        assert_eq!(texts(chunk(&found)), [wanted]);
    }
}

/// "This will be the same as the value given in `from`", and "if no further events are available
/// (either because we have reached the start of the timeline, or because the user does not have
/// permission to see any more events), [`end`] is omitted".
#[tokio::test]
async fn a_page_begins_where_it_was_asked_to_and_the_last_one_has_no_end() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    say(&alice, &room, &["one", "two"]).await;
    let (now, newest) = (
        bob.now().await,
        page(&bob, &room, "dir=b&limit=1").await.expect_ok(),
    );
    for token in [now.as_str(), newest["end"].as_str().unwrap()] {
        let query = format!("dir=b&from={}", encode(token));
        let found = page(&bob, &room, &query).await.expect_ok();
        assert_eq!(found["start"], token);
    }
    let note = json!({});
    alice.send(&room, "org.example.note", "note", note).await;
    let last_page = |reader: Client, query: String| {
        let room = room.clone();
        async move {
            let found = page(&reader, &room, &query).await.expect_ok();
            assert_eq!(found.get("end"), None, "{query}: {found}");
            chunk(&found).len()
        }
    };
    // What the filter leaves out is not more to come.
    let filter = encode(r#"{"types":["m.room.message"]}"#);
    for dir in ["f", "b"] {
        let query = format!("dir={dir}&limit=2&filter={filter}");
        assert_eq!(last_page(bob.clone(), query).await, 2);
    }
    // Nor is what was said after one has left.
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    let seen = timeline(&bob, &room).await.len();
    say(&alice, &room, &["three", "four"]).await;
    for dir in ["f", "b"] {
        let query = format!("dir={dir}&limit={seen}");
        assert_eq!(last_page(bob.clone(), query).await, seen);
    }
}

#[tokio::test]
async fn the_direction_may_be_left_open_only_in_the_old_api() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    page(&alice, &room, "")
        .await
        .expect_error(400, "M_MISSING_PARAM");
    let old = page(&alice.over("r0"), &room, "limit=1").await.expect_ok();
    assert_eq!(chunk(&old)[0]["type"], "m.room.create");
    // The old shape beside today's.
    assert_eq!(chunk(&old)[0]["user_id"], alice.user_id);
    assert!(chunk(&old)[0]["age"].is_i64(), "{old}");
    let today = page(&alice, &room, "dir=f&limit=1").await.expect_ok();
    assert_eq!(chunk(&today)[0].get("user_id"), None);
    assert_eq!(chunk(&today)[0]["sender"], alice.user_id);
}

#[tokio::test]
async fn b41_limits_are_clamped_or_refused() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let message = say(&alice, &room, &["one"]).await.remove(0);
    let context = in_room(&room, &format!("context/{}", encode(&message)));
    for limit in ["-1", "x", "1.5", "%2B1"] {
        let query = format!("dir=b&limit={limit}");
        page(&alice, &room, &query)
            .await
            .expect_error(400, "M_INVALID_PARAM");
        let path = format!("{context}?limit={limit}");
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    for limit in ["0", "1000000000", "18446744073709551616", &"9".repeat(200)] {
        let found = page(&alice, &room, &format!("dir=b&limit={limit}"))
            .await
            .expect_ok();
        assert!(chunk(&found).len() <= 1_000);
        alice
            .get(&format!("{context}?limit={limit}"))
            .await
            .expect_ok();
    }
    for dir in ["x", "F", "%00", "forward"] {
        page(&alice, &room, &format!("dir={dir}"))
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn b40_tokens_of_others_are_refused() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other_room = alice.create_room(json!({})).await;
    say(&alice, &other_room, &["secret"]).await;
    let end = |page: Value| encode(page["start"].as_str().unwrap());
    let elsewhere = end(page(&alice, &other_room, "dir=b").await.expect_ok());
    let of_bob = end(page(&bob, &room, "dir=b").await.expect_ok());
    let sync_of_bob = encode(&bob.now().await);
    let stranger = TestServer::start().await;
    let strange = stranger.register_exactly(alice.localpart()).await;
    let foreign = encode(&strange.now().await);
    let tokens = [
        elsewhere.as_str(),
        &of_bob,
        &sync_of_bob,
        &foreign,
        "x",
        "-1",
        "0",
        "9223372036854775808",
        "s72594_4483_1934",
        "t1-2_3",
        "s1_",
        "p1_AAAAAAAAAAAAAAAAAAAAAA",
        "%00",
        "%F0%9F%98%80",
        &"x".repeat(5_000),
    ];
    for token in tokens {
        for name in ["from", "to"] {
            for dir in ["f", "b"] {
                let query = format!("dir={dir}&{name}={token}");
                let answer = page(&alice, &room, &query).await;
                answer.expect_error(400, "M_INVALID_PARAM");
            }
        }
        let path = in_room(&room, &format!("members?at={token}"));
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn a_filter_picks_events() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    say(&alice, &room, &["one"]).await;
    say(&bob, &room, &["two"]).await;
    let image = json!({"msgtype": "m.image", "body": "three", "url": "mxc://localhost/x"});
    alice.send(&room, "m.room.message", "image", image).await;
    alice
        .send(&room, "org.example.note", "note", json!({}))
        .await;
    let filtered = |filter: Value| {
        let query = format!("dir=f&limit=100&filter={}", encode(&filter.to_string()));
        let (bob, room) = (bob.clone(), room.clone());
        async move { page(&bob, &room, &query).await.expect_ok() }
    };
    let messages = json!({"types": ["m.room.message"]});
    assert_eq!(
        texts(chunk(&filtered(messages).await)),
        ["one", "two", "three"]
    );
    let of_bob = json!({"types": ["m.room.message"], "senders": [bob.user_id]});
    assert_eq!(texts(chunk(&filtered(of_bob).await)), ["two"]);
    let not_bob = json!({"not_types": ["m.room.[!m]*", "org.*"], "not_senders": [bob.user_id]});
    assert_eq!(texts(chunk(&filtered(not_bob).await)), ["one", "three"]);
    let with_url = json!({"contains_url": true});
    assert_eq!(texts(chunk(&filtered(with_url).await)), ["three"]);
    let notes = filtered(json!({"types": ["org.example.*"]})).await;
    assert_eq!(chunk(&notes).len(), 1);
    let elsewhere = json!({"not_rooms": [room]});
    assert_eq!(chunk(&filtered(elsewhere).await).len(), 0);
    assert_eq!(chunk(&filtered(json!({"limit": 2})).await).len(), 2);
    // The members whose events are shown, and no others.
    let lazy = json!({"types": ["m.room.message"], "senders": [bob.user_id],
        "lazy_load_members": true});
    let lazy = filtered(lazy).await;
    let members = lazy["state"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0]["state_key"], bob.user_id);
    assert_eq!(filtered(json!({})).await.get("state"), None);
}

#[tokio::test]
async fn b42_what_is_no_filter_is_refused() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let message = say(&alice, &room, &["one"]).await.remove(0);
    for filter in [
        "x",
        "[]",
        "{",
        "1",
        "{\"rooms\":1}",
        "{\"types\":\"m.room.message\"}",
        "{\"senders\":[\"no id\"]}",
        "{\"limit\":-1}",
        &format!("{{\"types\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000)),
    ] {
        let filter = encode(filter);
        page(&alice, &room, &format!("dir=b&filter={filter}"))
            .await
            .expect_error(400, "M_INVALID_PARAM");
        let path = format!("context/{}?filter={filter}", encode(&message));
        alice
            .get(&in_room(&room, &path))
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn the_context_of_an_event_leads_on_both_ways() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let sent = say(&alice, &room, &["one", "two", "three", "four", "five"]).await;
    let context = |query: &str| {
        let path = in_room(&room, &format!("context/{}{query}", encode(&sent[2])));
        let bob = bob.clone();
        async move { bob.get(&path).await.expect_ok() }
    };
    let around = context("?limit=2").await;
    assert_eq!(around["event"]["event_id"], sent[2].as_str());
    assert_eq!(texts(around["events_before"].as_array().unwrap()), ["two"]);
    assert_eq!(texts(around["events_after"].as_array().unwrap()), ["four"]);
    assert!(around["state"].as_array().unwrap().len() >= 7, "{around}");
    for (dir, token, wanted) in [("b", "start", "one"), ("f", "end", "five")] {
        let token = encode(around[token].as_str().unwrap());
        let query = format!("dir={dir}&limit=1&from={token}");
        let next = page(&bob, &room, &query).await.expect_ok();
        assert_eq!(texts(chunk(&next)), [wanted]);
    }
    let alone = context("?limit=0").await;
    assert_eq!(alone["event"]["event_id"], sent[2].as_str());
    assert_eq!(alone["events_before"], json!([]));
    assert_eq!(alone["events_after"], json!([]));
    // The filter's limit is one for both sides together, too.
    let one = context("?limit=4&filter=%7B%22limit%22%3A1%7D").await;
    assert_eq!(texts(one["events_before"].as_array().unwrap()), ["two"]);
    assert_eq!(one["events_after"], json!([]));
    let filter = json!({"types": ["m.room.create"], "lazy_load_members": true});
    let few = context(&format!("?filter={}", encode(&filter.to_string()))).await;
    assert_eq!(few["events_after"], json!([]));
    assert_eq!(few["state"].as_array().unwrap().len(), 1);
    let elsewhere = json!({"not_rooms": [room]});
    let none = context(&format!("?filter={}", encode(&elsewhere.to_string()))).await;
    for list in ["events_before", "events_after", "state"] {
        assert_eq!(none[list], json!([]), "{list}");
    }
    // The state is that of the last event shown.
    alice
        .send_state(&room, "m.room.topic", "", json!({"topic": "later"}))
        .await;
    let around = context("?limit=2").await;
    let mut state = around["state"].as_array().unwrap().iter();
    assert!(
        !state.any(|event| event["type"] == "m.room.topic"),
        "{around}"
    );
}

#[tokio::test]
async fn one_event_is_read_in_its_room_or_by_its_id_alone() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other_room = alice.create_room(json!({})).await;
    let message = say(&alice, &room, &["one"]).await.remove(0);
    let secret = say(&alice, &other_room, &["secret"]).await.remove(0);
    let path = in_room(&room, &format!("event/{}", encode(&message)));
    let event = bob.get(&path).await.expect_ok();
    assert_eq!(event["content"], text("one"));
    assert!(event["unsigned"]["age"].is_i64(), "{event}");
    for version in ["r0", "v3"] {
        let path = format!("events/{}", encode(&message));
        let old = bob.over(version).get(&path).await.expect_ok();
        assert_eq!(old["user_id"], alice.user_id);
        assert_eq!(old["room_id"], room);
        assert!(old["age"].is_i64(), "{old}");
        assert_eq!(old["content"], text("one"));
    }
    let eve = server.register("eve").await;
    let mut refused = Vec::new();
    for (client, room, id) in [
        (&bob, &room, secret.as_str()),
        (&alice, &room, &secret),
        (&bob, &other_room, &secret),
        (&bob, &room, "$unknown"),
        (&eve, &room, &message),
        (&eve, &room, "$unknown"),
        (&eve, &"!nowhere".to_owned(), &message),
    ] {
        for rest in ["event", "context"] {
            let path = in_room(room, &format!("{rest}/{}", encode(id)));
            refused.push(client.get(&path).await.expect_error(404, "M_NOT_FOUND"));
        }
    }
    for (client, id) in [
        (&bob, secret.as_str()),
        (&eve, &message),
        (&eve, "$unknown"),
    ] {
        let path = format!("events/{}", encode(id));
        refused.push(client.get(&path).await.expect_error(404, "M_NOT_FOUND"));
    }
    // Nobody learns from the words whether it exists.
    refused.dedup();
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[tokio::test]
async fn who_never_was_in_a_room_reads_nothing_of_it() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let [eve, invited] = [
        server.register("eve").await,
        server.register("invited").await,
    ];
    alice.invite(&room, &invited).await;
    let mut refused = Vec::new();
    for client in [&eve, &invited] {
        for room in [room.as_str(), "!nowhere"] {
            for rest in ["messages?dir=b", "state", "state/m.room.name", "members"] {
                let answer = client.get(&in_room(room, rest)).await;
                refused.push(answer.expect_error(403, "M_FORBIDDEN"));
            }
        }
    }
    refused.dedup();
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[tokio::test]
async fn b28_who_left_sees_what_was_and_nothing_later() {
    let server = shared_server().await;
    for verb in ["leave", "kick", "ban"] {
        let (alice, bob, room) = shared_room(&server, json!({"name": "Before"})).await;
        let before = say(&alice, &room, &["before"]).await.remove(0);
        if verb == "leave" {
            bob.post(&in_room(&room, verb), json!({})).await.expect_ok();
        } else {
            let body = json!({"user_id": bob.user_id});
            alice.post(&in_room(&room, verb), body).await.expect_ok();
        }
        let after = say(&alice, &room, &["after"]).await.remove(0);
        alice
            .send_state(&room, "m.room.name", "", json!({"name": "After"}))
            .await;
        alice
            .send_state(&room, "org.example.new", "", json!({}))
            .await;
        let seen = timeline(&bob, &room).await;
        assert_eq!(texts(&seen), ["before"]);
        let last = seen.last().unwrap();
        assert_eq!(
            last["state_key"],
            bob.user_id.as_str(),
            "his own going: {last}"
        );
        let back = page(&bob, &room, "dir=b&limit=2").await.expect_ok();
        assert_eq!(ids(chunk(&back))[0], last["event_id"]);
        let name = bob.state(&room, "m.room.name", "").await.expect_ok();
        assert_eq!(name, json!({"name": "Before"}));
        bob.state(&room, "org.example.new", "")
            .await
            .expect_error(404, "M_NOT_FOUND");
        // Nor does he see more of it when his membership changes once more.
        let again = if verb == "ban" { "unban" } else { "invite" };
        let body = json!({"user_id": bob.user_id});
        alice.post(&in_room(&room, again), body).await.expect_ok();
        let state = bob.get(&in_room(&room, "state")).await.expect_ok();
        assert!(!state.to_string().contains("After"), "{verb}: {state}");
        let members = bob.get(&in_room(&room, "members")).await.expect_ok();
        let his = |event: &&Value| event["state_key"] == bob.user_id.as_str();
        let his = chunk(&members).iter().find(his).unwrap();
        assert_eq!(his["event_id"], last["event_id"], "{verb}: {members}");
        bob.get(&in_room(&room, &format!("event/{}", encode(&before))))
            .await
            .expect_ok();
        for rest in ["event", "context"] {
            bob.get(&in_room(&room, &format!("{rest}/{}", encode(&after))))
                .await
                .expect_error(404, "M_NOT_FOUND");
        }
        let around = bob
            .get(&in_room(&room, &format!("context/{}", encode(&before))))
            .await
            .expect_ok();
        assert!(!around.to_string().contains("After"), "{around}");
        assert!(!around.to_string().contains(&after), "{around}");
    }
}

/// Which of the messages sent at four stages of Bob's way into a room he may read in the end.
async fn seen_on_the_way_in(server: &TestServer, visibility: &str) -> Vec<String> {
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice
        .create_room(json!({"initial_state": [{
            "type": "m.room.history_visibility",
            "content": {"history_visibility": visibility},
        }]}))
        .await;
    let mut sent = say(&alice, &room, &["stranger"]).await;
    alice.invite(&room, &bob).await;
    sent.extend(say(&alice, &room, &["invited"]).await);
    bob.join(&room).await;
    sent.extend(say(&alice, &room, &["joined"]).await);
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    sent.extend(say(&alice, &room, &["left"]).await);
    let forward = timeline(&bob, &room).await;
    let back = bob.messages(&room, "dir=b&limit=1000").await;
    let mut back = chunk(&back).to_vec();
    back.reverse();
    assert_eq!(ids(&forward), ids(&back), "{visibility}");
    let seen: Vec<String> = texts(&forward).into_iter().map(str::to_owned).collect();
    // Every other way to an event agrees.
    for (id, word) in sent.iter().zip(["stranger", "invited", "joined", "left"]) {
        let status = if seen.iter().any(|seen| seen == word) {
            200
        } else {
            404
        };
        for path in [
            in_room(&room, &format!("event/{}", encode(id))),
            in_room(&room, &format!("context/{}", encode(id))),
            format!("events/{}", encode(id)),
        ] {
            let answer = bob.get(&path).await;
            assert_eq!(answer.status, status, "{visibility}: {}", answer.describe());
        }
        let path = in_room(&room, &format!("context/{}", encode(&sent[2])));
        let around = bob.get(&path).await.expect_ok();
        let shown = around.to_string().contains(id.as_str());
        assert_eq!(shown, status == 200, "{visibility} {word}");
    }
    seen
}

#[tokio::test]
async fn b27_history_visibility_decides_what_a_newcomer_sees() {
    let server = shared_server().await;
    let table = [
        ("world_readable", "stranger invited joined left"),
        ("shared", "stranger invited joined"),
        ("invited", "invited joined"),
        ("joined", "joined"),
    ];
    for (visibility, wanted) in table {
        let seen = seen_on_the_way_in(&server, visibility).await;
        assert_eq!(seen.join(" "), wanted, "{visibility}");
    }
}

#[tokio::test]
async fn b27_a_change_of_visibility_counts_from_then_on() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    let set = |value: &str| {
        let (alice, room) = (alice.clone(), room.clone());
        let content = json!({"history_visibility": value});
        async move {
            alice
                .send_state(&room, "m.room.history_visibility", "", content)
                .await
        }
    };
    say(&alice, &room, &["shared"]).await;
    set("joined").await;
    say(&alice, &room, &["joined"]).await;
    set("shared").await;
    say(&alice, &room, &["shared again"]).await;
    bob.join(&room).await;
    assert_eq!(
        texts(&timeline(&bob, &room).await),
        ["shared", "shared again"]
    );
}

#[tokio::test]
async fn what_all_the_world_may_read_a_stranger_reads() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({"name": "Tea"})).await;
    let eve = server.register("eve").await;
    let hidden = say(&alice, &room, &["hidden"]).await.remove(0);
    let content = json!({"history_visibility": "world_readable"});
    alice
        .send_state(&room, "m.room.history_visibility", "", content)
        .await;
    let open = say(&alice, &room, &["open"]).await.remove(0);
    assert_eq!(texts(&timeline(&eve, &room).await), ["open"]);
    let path = |id: &str| in_room(&room, &format!("event/{}", encode(id)));
    eve.get(&path(&open)).await.expect_ok();
    eve.get(&path(&hidden))
        .await
        .expect_error(404, "M_NOT_FOUND");
    let name = eve.state(&room, "m.room.name", "").await.expect_ok();
    assert_eq!(name, json!({"name": "Tea"}));
    eve.get(&in_room(&room, "joined_members"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let content = json!({"history_visibility": "shared"});
    alice
        .send_state(&room, "m.room.history_visibility", "", content)
        .await;
    page(&eve, &room, "dir=b")
        .await
        .expect_error(403, "M_FORBIDDEN");
    // What was open to all when it was sent stays so, with what is around it.
    eve.get(&path(&open)).await.expect_ok();
    let around = in_room(&room, &format!("context/{}", encode(&open)));
    let around = eve.get(&around).await.expect_ok();
    assert_eq!(around["event"]["event_id"], open.as_str());
    let closed = say(&alice, &room, &["closed"]).await.remove(0);
    eve.get(&path(&closed))
        .await
        .expect_error(404, "M_NOT_FOUND");
    for secret in [&hidden, &closed] {
        assert!(!around.to_string().contains(secret.as_str()), "{around}");
    }
}

#[tokio::test]
async fn who_has_forgotten_a_room_reads_of_it_what_a_stranger_does() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let before = say(&alice, &room, &["before"]).await.remove(0);
    let content = json!({"history_visibility": "world_readable"});
    alice
        .send_state(&room, "m.room.history_visibility", "", content)
        .await;
    say(&alice, &room, &["open"]).await;
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    assert_eq!(texts(&timeline(&bob, &room).await), ["before", "open"]);
    bob.post(&in_room(&room, "forget"), json!({}))
        .await
        .expect_ok();
    assert_eq!(texts(&timeline(&bob, &room).await), ["open"]);
    let path = in_room(&room, &format!("event/{}", encode(&before)));
    bob.get(&path).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn history_is_the_same_after_a_restart() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({"name": "Tea"})).await;
    say(&alice, &room, &["one", "two"]).await;
    let first = page(&bob, &room, "dir=b&limit=1").await.expect_ok();
    let before = timeline(&bob, &room).await;
    server.kill9().await;
    server.restart().await;
    assert_eq!(ids(&timeline(&bob, &room).await), ids(&before));
    let query = format!(
        "dir=b&limit=1&from={}",
        encode(first["end"].as_str().unwrap())
    );
    let next = page(&bob, &room, &query).await.expect_ok();
    assert_eq!(texts(chunk(&next)), ["one"]);
    say(&bob, &room, &["three"]).await;
    let now = timeline(&alice, &room).await;
    assert_eq!(texts(&now), ["one", "two", "three"]);
}
