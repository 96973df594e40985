//! Filters: inline or stored.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{bodies, contents, events, filtered, joined, says, since};

async fn store(user: &Client, filter: &Value) -> String {
    let path = format!("user/{}/filter", encode(&user.user_id));
    let body = user.post(&path, filter.clone()).await.expect_ok();
    let id = body["filter_id"].as_str().unwrap().to_owned();
    assert!(!id.starts_with('{'), "{id}");
    id
}

#[tokio::test]
async fn a_filter_means_the_same_inline_and_stored() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    says(&alice, &room, &["1", "2", "3"]).await;
    let filter = json!({"room": {"timeline": {"limit": 1}}});
    let id = store(&alice, &filter).await;
    let inline = filtered(&alice, &filter, "").await;
    let stored = alice.sync(&format!("filter={}", encode(&id))).await;
    for answer in [&inline, &stored] {
        let timeline = &joined(answer, &room)["timeline"];
        assert_eq!(bodies(timeline), ["3"], "{answer}");
    }
    let path = format!("user/{}/filter/{}", encode(&alice.user_id), encode(&id));
    assert_eq!(alice.get(&path).await.expect_ok(), filter);
}

#[tokio::test]
async fn b42_a_filter_of_somebody_else_or_none_is_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let id = store(&alice, &json!({})).await;
    let hers = format!("user/{}/filter", encode(&alice.user_id));
    let path = format!("{hers}/{}", encode(&id));
    let status = bob.get(&path).await.status;
    assert!([403, 404].contains(&status), "{status}");
    bob.post(&hers, json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    alice
        .get(&format!("{hers}/nonsense"))
        .await
        .expect_error(404, "M_NOT_FOUND");
    for unknown in ["nonsense", "999999999", "-1", "%00"] {
        let answer = bob.get(&format!("sync?filter={unknown}")).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn b42_what_is_no_filter_is_refused_in_both_places() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let many: Vec<String> = (0..100_000).map(|n| format!("t{n}")).collect();
    let path = format!("user/{}/filter", encode(&alice.user_id));
    for bad in [
        json!({"room": 1}),
        json!({"room": {"rooms": 1}}),
        json!({"room": {"rooms": ["no id"]}}),
        json!({"room": {"timeline": {"types": "m.room.message"}}}),
        json!({"room": {"timeline": {"senders": ["no id"]}}}),
        json!({"room": {"timeline": {"limit": "x"}}}),
        json!({"room": {"timeline": {"limit": -1}}}),
        json!({"event_fields": 7}),
        json!({"event_format": 7}),
    ] {
        let answer = alice.post(&path, bad.clone()).await;
        assert_eq!(answer.status, 400, "{}", answer.describe());
        let inline = format!("sync?filter={}", encode(&bad.to_string()));
        let answer = alice.get(&inline).await;
        assert_eq!(answer.status, 400, "{}", answer.describe());
    }
    for bomb in [
        json!({"room": {"timeline": {"types": many}}}),
        json!({"presence": {"types": many}}),
        json!({"room": {"rooms": many}}),
        json!({"event_fields": many}),
        json!({"x": "y".repeat(1_000_000)}),
    ] {
        let answer = alice.post(&path, bomb).await;
        assert!([400, 413].contains(&answer.status), "{}", answer.status);
    }
    let nested = format!("{}1{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
    for text in ["{", "{}x", r#"{"room":"#, &nested] {
        let inline = format!("sync?filter={}", encode(text));
        let answer = alice.get(&inline).await;
        assert!((400..500).contains(&answer.status), "{}", answer.describe());
    }
    alice.sync("").await;
}

#[tokio::test]
async fn each_list_of_a_filter_counts() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let other = alice.create_public_room().await;
    bob.join(&room).await;
    let token = alice.now().await;
    says(&alice, &room, &["hers"]).await;
    says(&bob, &room, &["his"]).await;
    says(&alice, &other, &["elsewhere"]).await;
    alice
        .send(&room, "org.example.a", "x", json!({"url": "mxc://a/b"}))
        .await;
    let seen = async |timeline: Value| -> Vec<String> {
        let filter = json!({"room": {"timeline": timeline}});
        let answer = filtered(&alice, &filter, &since(&token)).await;
        let both = [joined(&answer, &room), joined(&answer, &other)];
        both.iter()
            .flat_map(|section| events(&section["timeline"]))
            .map(|event| match event["content"]["body"].as_str() {
                Some(body) => body.to_owned(),
                None => event["type"].as_str().unwrap().to_owned(),
            })
            .collect()
    };
    let a = "org.example.a";
    let (alices, bobs) = (&alice.user_id, &bob.user_id);
    for (timeline, expected) in [
        (json!({}), vec!["hers", "his", a, "elsewhere"]),
        (json!({"types": []}), vec![]),
        (json!({"types": ["org.*"]}), vec![a]),
        (
            json!({"types": ["m.room.*"], "not_types": ["m.room.message"]}),
            vec![],
        ),
        (json!({"not_types": ["*.message"]}), vec![a]),
        (json!({"senders": [bobs]}), vec!["his"]),
        (json!({"senders": []}), vec![]),
        (json!({"not_senders": [alices]}), vec!["his"]),
        (
            json!({"senders": [alices], "not_senders": [alices]}),
            vec![],
        ),
        (json!({"rooms": [other]}), vec!["elsewhere"]),
        (json!({"not_rooms": [other]}), vec!["hers", "his", a]),
        (json!({"rooms": [other], "not_rooms": [other]}), vec![]),
        (json!({"contains_url": true}), vec![a]),
        (
            json!({"contains_url": false}),
            vec!["hers", "his", "elsewhere"],
        ),
        (json!({"limit": 1}), vec![a, "elsewhere"]),
        (
            json!({"limit": 1, "types": ["m.*"]}),
            vec!["his", "elsewhere"],
        ),
    ] {
        assert_eq!(seen(timeline.clone()).await, expected, "{timeline}");
    }
}

#[tokio::test]
async fn rooms_as_a_whole_are_filtered_too() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let other = alice.create_public_room().await;
    let third = bob.create_public_room().await;
    bob.invite(&third, &alice).await;
    for (filter, expected) in [
        (json!({"rooms": [room]}), [true, false, false]),
        (json!({"not_rooms": [room]}), [false, true, true]),
        (json!({"rooms": []}), [false, false, false]),
    ] {
        let answer = filtered(&alice, &json!({"room": filter}), "").await;
        let found = [
            joined(&answer, &room).is_object(),
            joined(&answer, &other).is_object(),
            answer["rooms"]["invite"][&third].is_object(),
        ];
        assert_eq!(found, expected, "{filter}: {answer}");
    }
}

#[tokio::test]
async fn the_other_sections_have_filters_of_their_own() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let user = format!("user/{}", encode(&alice.user_id));
    for data_type in ["org.example.a", "org.example.b"] {
        let path = format!("{user}/account_data/{data_type}");
        alice.put(&path, json!({})).await.expect_ok();
        let path = format!("{user}/rooms/{}/account_data/{data_type}", encode(&room));
        alice.put(&path, json!({})).await.expect_ok();
    }
    let filter = json!({
        "account_data": {"types": ["org.example.a"]},
        "presence": {"not_types": ["m.presence"]},
        "room": {
            "account_data": {"not_types": ["org.example.a"]},
            "state": {"types": ["m.room.power_levels"]},
            "timeline": {"limit": 1, "types": ["m.room.nothing"]},
        },
    });
    let answer = filtered(&alice, &filter, "").await;
    let types = |list: &Value| -> Vec<String> {
        let events = events(list).iter();
        events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(types(&answer["account_data"]), ["org.example.a"]);
    assert!(answer["presence"].is_null(), "{answer}");
    let section = joined(&answer, &room);
    assert_eq!(types(&section["account_data"]), ["org.example.b"]);
    assert_eq!(types(&section["state"]), ["m.room.power_levels"]);
}

#[tokio::test]
async fn fields_and_format_of_events_can_be_chosen() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    says(&alice, &room, &["1"]).await;
    let filter = json!({
        "event_fields": ["type", "content.body"],
        "room": {"timeline": {"limit": 1}},
    });
    let answer = filtered(&alice, &filter, "").await;
    let event = &events(&joined(&answer, &room)["timeline"])[0];
    assert_eq!(
        event,
        &json!({"type": "m.room.message", "content": {"body": "1"}})
    );
    let filter = json!({"event_format": "federation", "room": {"timeline": {"limit": 1}}});
    let answer = filtered(&alice, &filter, "").await;
    let event = &events(&joined(&answer, &room)["timeline"])[0];
    for field in [
        "auth_events",
        "prev_events",
        "depth",
        "hashes",
        "signatures",
    ] {
        assert!(!event[field].is_null(), "{field}: {event}");
    }
}

#[tokio::test]
async fn who_reads_and_who_types_are_filtered_as_senders() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_public_room().await;
    let sent = says(&alice, &room, &["1"]).await;
    for user in [&bob, &carol] {
        user.join(&room).await;
        let path = format!("rooms/{}/receipt/m.read/{}", encode(&room), sent[0]);
        user.post(&path, json!({})).await.expect_ok();
        let path = format!("rooms/{}/typing/{}", encode(&room), encode(&user.user_id));
        let body = json!({"typing": true, "timeout": 60_000});
        user.put(&path, body).await.expect_ok();
    }
    let (bobs, carols) = (&bob.user_id, &carol.user_id);
    for (ephemeral, typing, reading) in [
        (json!({}), vec![bobs, carols], 2),
        (json!({"senders": [bobs]}), vec![bobs], 1),
        (json!({"not_senders": [bobs]}), vec![carols], 1),
        (json!({"senders": []}), vec![], 0),
        (json!({"contains_url": true}), vec![], 0),
        (json!({"contains_url": false}), vec![bobs, carols], 2),
    ] {
        let filter = json!({"room": {"ephemeral": ephemeral}});
        let answer = filtered(&alice, &filter, "").await;
        let list = &joined(&answer, &room)["ephemeral"];
        let types = contents(list, "m.typing");
        let types = types.first().map_or(json!([]), |it| it["user_ids"].clone());
        assert_eq!(types, json!(typing), "{filter}: {list}");
        let read = contents(list, "m.receipt");
        let read = read
            .first()
            .and_then(|it| it[&sent[0]]["m.read"].as_object());
        assert_eq!(
            read.map_or(0, serde_json::Map::len),
            reading,
            "{filter}: {list}"
        );
    }
}

#[tokio::test]
async fn account_data_is_sent_by_whose_it_is() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let user = format!("user/{}", encode(&alice.user_id));
    let of_room = format!("{user}/rooms/{}/account_data", encode(&room));
    for base in [format!("{user}/account_data"), of_room] {
        let with_url = json!({"url": "mxc://a/b"});
        let path = format!("{base}/org.example.a");
        alice.put(&path, with_url).await.expect_ok();
        let path = format!("{base}/org.example.b");
        alice.put(&path, json!({})).await.expect_ok();
    }
    let both = ["org.example.a", "org.example.b"];
    for (lists, global, of_room) in [
        (json!({"senders": [alice.user_id]}), &both[..], &both[..]),
        (json!({"senders": ["@bob:localhost"]}), &[], &[]),
        (json!({"not_senders": [alice.user_id]}), &[], &[]),
        (json!({"contains_url": true}), &both[..], &both[..1]),
        (json!({"contains_url": false}), &both[..], &both[1..]),
    ] {
        let filter = json!({"account_data": lists, "room": {"account_data": lists}});
        let answer = filtered(&alice, &filter, "").await;
        let types = |list: &Value| -> Vec<String> {
            let types = events(list).iter().map(|it| it["type"].as_str().unwrap());
            let mut types: Vec<_> = types
                .filter(|it| *it != "m.push_rules")
                .map(str::to_owned)
                .collect();
            types.sort();
            types
        };
        assert_eq!(types(&answer["account_data"]), global, "{filter}");
        let section = joined(&answer, &room);
        assert_eq!(types(&section["account_data"]), of_room, "{filter}");
    }
}

#[tokio::test]
async fn what_the_limit_of_presence_leaves_out_comes_with_the_next_answers() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    let mut others = Vec::new();
    for name in ["bob", "carol", "dan"] {
        let user = server.register(name).await;
        user.join(&room).await;
        others.push(user);
    }
    let start = alice.now().await;
    let mut expected = Vec::new();
    for user in others {
        user.now().await;
        expected.push(user.user_id);
    }
    expected.sort();
    let filter = encode(r#"{"presence": {"limit": 1}}"#);
    let mut seen = Vec::new();
    let mut query = format!("filter={filter}&since={}", encode(&start));
    loop {
        let answer = alice.sync(&query).await;
        let found = answer["presence"]["events"].as_array();
        let Some(found) = found.filter(|events| !events.is_empty()) else {
            break;
        };
        assert_eq!(found.len(), 1, "{answer}");
        seen.push(found[0]["sender"].as_str().unwrap().to_owned());
        let since = answer["next_batch"].as_str().unwrap();
        query = format!("filter={filter}&since={}", encode(since));
    }
    seen.retain(|user_id| *user_id != alice.user_id);
    seen.sort();
    seen.dedup();
    assert_eq!(seen, expected);
}
