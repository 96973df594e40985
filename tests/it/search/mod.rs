//! Search: what is found, in which order and company, and what nobody finds.

mod languages;
mod pages;
mod redaction;

use greenroom_tests::{Answer, Client, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room};

/// Searches with these criteria; `token` is where to go on.
async fn ask(client: &Client, criteria: Value, token: &str) -> Answer {
    let path = match token {
        "" => "search".to_owned(),
        _ => format!("search?next_batch={}", greenroom_tests::encode(token)),
    };
    let body = json!({ "search_categories": { "room_events": criteria } });
    client.post(&path, body).await
}

/// The results of a search that must work.
async fn search(client: &Client, criteria: Value) -> Value {
    let answer = ask(client, criteria, "").await.expect_ok();
    answer["search_categories"]["room_events"].clone()
}

fn found(results: &Value) -> Vec<&str> {
    let list = results["results"].as_array().unwrap();
    list.iter()
        .map(|result| result["result"]["event_id"].as_str().unwrap())
        .collect()
}

/// The IDs of what is found with these words, newest first.
async fn recent(client: &Client, term: &str) -> Vec<String> {
    let criteria = json!({"search_term": term, "order_by": "recent", "filter": {"limit": 100}});
    let results = search(client, criteria).await;
    found(&results).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_was_said_is_found_as_soon_as_it_is_acknowledged() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    for n in 0..20 {
        let sent = alice
            .send_text(&room, &format!("t{n}"), &format!("number{n} martians"))
            .await;
        assert_eq!(recent(&bob, &format!("number{n}")).await, [sent]);
    }
    let results = search(&bob, json!({"search_term": "MARTIANS"})).await;
    assert_eq!(results["count"], 20, "{results}");
    assert_eq!(found(&results).len(), 10);
    assert_eq!(results["highlights"], json!(["martians"]));
    let first = &results["results"][0];
    assert!(first["rank"].as_f64().unwrap() > 0.0, "{first}");
    assert_eq!(first["result"]["room_id"], *room);
    assert!(first["result"]["unsigned"]["age"].is_number());
    assert!(
        first["context"].is_null() && results["groups"].is_null() && results["state"].is_null()
    );
}

#[tokio::test]
async fn keys_say_where_the_words_are_to_be() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let body = alice.send_text(&room, "t", "walrus in a message").await;
    let name = alice
        .send_state(&room, "m.room.name", "", json!({"name": "walrus club"}))
        .await;
    let rich = json!({
        "topic": "see the other",
        "m.topic": {"m.text": [
            {"mimetype": "text/html", "body": "<b>narwhal</b>"},
            {"body": "all about the walrus"},
        ]},
    });
    let topic = alice.send_state(&room, "m.room.topic", "", rich).await;
    // Not what is searched.
    let other = json!({"msgtype": "m.text", "body": "x", "formatted_body": "walrus"});
    alice.send(&room, "m.room.message", "t2", other).await;
    alice
        .send(&room, "org.example", "t3", json!({"body": "walrus"}))
        .await;
    for (keys, right) in [
        (json!(null), vec![&topic, &name, &body]),
        (
            json!(["content.body", "content.name", "content.topic"]),
            vec![&topic, &name, &body],
        ),
        (json!(["content.body"]), vec![&body]),
        (json!(["content.name"]), vec![&name]),
        (json!(["content.topic"]), vec![&topic]),
        (
            json!(["content.name", "content.topic"]),
            vec![&topic, &name],
        ),
        (json!([]), vec![]),
    ] {
        let criteria = json!({"search_term": "walrus", "order_by": "recent", "keys": keys});
        assert_eq!(found(&search(&bob, criteria).await), right, "{keys}");
    }
    assert!(recent(&bob, "narwhal").await.is_empty());
    assert_eq!(recent(&bob, "see other").await, [topic]);
}

#[tokio::test]
async fn filters_say_which_events_are_wanted() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let second = alice.create_public_room().await;
    bob.join(&second).await;
    let by_alice = alice.send_text(&room, "t", "a heron").await;
    let by_bob = bob.send_text(&room, "t", "two herons").await;
    let there = alice.send_text(&second, "t", "heron elsewhere").await;
    let picture = json!({"msgtype": "m.image", "body": "heron.png", "url": "mxc://localhost/x"});
    let picture = bob.send(&second, "m.room.message", "t2", picture).await;
    let name = alice
        .send_state(&second, "m.room.name", "", json!({"name": "Heron"}))
        .await;
    let all = vec![&name, &picture, &there, &by_bob, &by_alice];
    for (filter, right) in [
        (json!({}), all.clone()),
        (json!({"rooms": [room]}), vec![&by_bob, &by_alice]),
        (json!({"not_rooms": [room]}), vec![&name, &picture, &there]),
        (json!({"rooms": [room], "not_rooms": [room]}), vec![]),
        (json!({"rooms": []}), vec![]),
        (json!({"rooms": ["!nowhere:localhost"]}), vec![]),
        (json!({"senders": [bob.user_id]}), vec![&picture, &by_bob]),
        (
            json!({"not_senders": [bob.user_id]}),
            vec![&name, &there, &by_alice],
        ),
        (json!({"senders": []}), vec![]),
        (json!({"types": ["m.room.name"]}), vec![&name]),
        (json!({"not_types": ["m.room.mess*"]}), vec![&name]),
        (json!({"contains_url": true}), vec![&picture]),
        (json!({"limit": 2}), all[..2].to_vec()),
        (json!({"limit": 0}), all[..1].to_vec()),
        (json!({"limit": 9_007_199_254_740_991_u64}), all.clone()),
    ] {
        let criteria = json!({"search_term": "heron", "order_by": "recent", "filter": filter});
        let results = search(&bob, criteria).await;
        assert_eq!(found(&results), right, "{filter} {results}");
    }
}

#[tokio::test]
async fn a_result_comes_with_what_is_around_it() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({"name": "The room"})).await;
    let mut sent = Vec::new();
    for n in 0..9 {
        let text = if n == 4 { "a pelican" } else { "chat" };
        sent.push(alice.send_text(&room, &format!("t{n}"), text).await);
    }
    let criteria = json!({
        "search_term": "pelican",
        "event_context": {"before_limit": 2, "after_limit": 1, "include_profile": true},
        "include_state": true,
    });
    let results = search(&bob, criteria).await;
    let context = &results["results"][0]["context"];
    let ids = |list: &Value| -> Vec<String> {
        let ids = crate::rooms::ids(list.as_array().unwrap());
        ids.into_iter().map(str::to_owned).collect()
    };
    assert_eq!(ids(&context["events_before"]), [&*sent[3], &sent[2]]);
    assert_eq!(ids(&context["events_after"]), [&*sent[5]]);
    assert_eq!(
        context["profile_info"][&alice.user_id]["displayname"],
        alice.localpart(),
        "{context}"
    );
    for (token, dir, next) in [("start", "b", &sent[1]), ("end", "f", &sent[6])] {
        let from = greenroom_tests::encode(context[token].as_str().unwrap());
        let page = bob
            .messages(&room, &format!("dir={dir}&limit=1&from={from}"))
            .await;
        assert_eq!(page["chunk"][0]["event_id"], **next, "{token}");
    }
    let state = results["state"][&room].as_array().unwrap();
    let name = state
        .iter()
        .find(|event| event["type"] == "m.room.name")
        .unwrap();
    assert_eq!(name["content"]["name"], "The room");
    // Five on each side if nothing is said of how many.
    let criteria = json!({"search_term": "pelican", "event_context": {}});
    let results = search(&bob, criteria).await;
    let context = &results["results"][0]["context"];
    assert_eq!(ids(&context["events_before"]).len(), 5);
    assert_eq!(ids(&context["events_after"]).len(), 4);
    assert!(context["profile_info"].is_null());
    // Of nothing around it the ends are known too.
    let none = json!({"before_limit": 0, "after_limit": 0});
    let criteria = json!({"search_term": "pelican", "event_context": none});
    let results = search(&bob, criteria).await;
    let context = &results["results"][0]["context"];
    for (list, token, dir, next) in [
        ("events_before", "start", "b", &sent[3]),
        ("events_after", "end", "f", &sent[5]),
    ] {
        assert_eq!(context[list], json!([]));
        let from = greenroom_tests::encode(context[token].as_str().unwrap());
        let page = bob
            .messages(&room, &format!("dir={dir}&limit=1&from={from}"))
            .await;
        assert_eq!(page["chunk"][0]["event_id"], **next, "{token}");
    }
}

#[tokio::test]
async fn rooms_that_were_left_are_searched_and_others_are_not() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let before = alice.send_text(&room, "t1", "an ibis").await;
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    alice.send_text(&room, "t2", "a later ibis").await;
    assert_eq!(recent(&bob, "ibis").await, [before]);
    bob.post(&in_room(&room, "forget"), json!({}))
        .await
        .expect_ok();
    assert!(recent(&bob, "ibis").await.is_empty());
    // Open to all, but Bob has never been there.
    let open = json!({"history_visibility": "world_readable"});
    let open = json!({"preset": "public_chat", "initial_state": [
        {"type": "m.room.history_visibility", "state_key": "", "content": open},
    ]});
    let open = alice.create_room(open).await;
    alice.send_text(&open, "t", "ibis for all").await;
    assert!(recent(&bob, "ibis").await.is_empty());
    assert_eq!(recent(&alice, "ibis").await.len(), 3);
}

#[tokio::test]
async fn encrypted_rooms_yield_nothing() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let plain = alice.send_text(&room, "t", "a flamingo").await;
    assert_eq!(recent(&bob, "flamingo").await, [plain]);
    let algorithm = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    alice
        .send_state(&room, "m.room.encryption", "", algorithm)
        .await;
    alice
        .send_text(&room, "t2", "flamingo, still in plain text")
        .await;
    let secret = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "flamingo"});
    alice.send(&room, "m.room.encrypted", "t3", secret).await;
    assert!(recent(&bob, "flamingo").await.is_empty());
}

#[tokio::test]
async fn what_ignored_users_say_is_not_found() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    alice.send_text(&room, "t", "a toucan").await;
    let name = alice
        .send_state(&room, "m.room.name", "", json!({"name": "toucan"}))
        .await;
    let path = format!("user/{}/account_data/m.ignored_user_list", bob.user_id);
    let ignored = json!({"ignored_users": {alice.user_id.clone(): {}}});
    bob.put(&path, ignored).await.expect_ok();
    // "Servers must still send state events sent by ignored users."
    assert_eq!(recent(&bob, "toucan").await, [name]);
}

#[tokio::test]
async fn what_is_no_search_is_refused_and_what_finds_nothing_says_so() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    alice
        .send_text(&room, "t", "a OR b \"quoted\" NEAR(x, y) c* -d tokens:e")
        .await;
    for term in [
        "",
        " ",
        "?!…",
        "\"",
        "\"\"",
        "*",
        "(",
        "AND",
        "zzz\0zzz",
        "'; DROP TABLE events; --",
        "^zzz",
        "{}",
    ] {
        let results = search(&alice, json!({"search_term": term})).await;
        assert_eq!(results["results"], json!([]), "{term:?}");
        assert_eq!(results["count"], 0);
        assert!(results["next_batch"].is_null(), "{term:?} {results}");
    }
    for term in [
        "NEAR",
        "near(x, y)",
        "\"quoted\"",
        "tokens:e",
        "-d",
        "a OR b",
    ] {
        assert_eq!(recent(&alice, term).await.len(), 1, "{term}");
    }
    for bad in [
        json!({}),
        json!({"search_term": 1}),
        json!({"search_term": null}),
        json!({"search_term": "x".repeat(5_000)}),
        json!({"search_term": "x", "keys": ["content.secret"]}),
        json!({"search_term": "x", "keys": "content.body"}),
        json!({"search_term": "x", "order_by": "best"}),
        json!({"search_term": "x", "filter": {"limit": -1}}),
        json!({"search_term": "x", "filter": {"senders": ["no id"]}}),
        json!({"search_term": "x", "event_context": {"before_limit": -1}}),
        json!({"search_term": "x", "groupings": {"group_by": [{"key": "colour"}]}}),
        json!({"search_term": "x", "groupings": {"group_by": [{}]}}),
    ] {
        let answer = ask(&alice, bad.clone(), "").await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.describe());
    }
    let none = alice.post("search", json!({"search_categories": {}})).await;
    assert_eq!(none.expect_ok(), json!({"search_categories": {}}));
    assert_eq!(alice.post("search", json!({})).await.status, 400);
    let stranger = server.anonymous().post("search", json!({})).await;
    stranger.expect_error(401, "M_MISSING_TOKEN");
    // The first API had it too.
    let body = json!({"search_categories": {"room_events": {"search_term": "quoted"}}});
    let old = alice.over("r0").post("search", body).await.expect_ok();
    assert_eq!(old["search_categories"]["room_events"]["count"], 1);
}
