//! What a user keeps on the server: profile, account data, tags, push rules.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

fn profile_of(user: &Client) -> String {
    format!("profile/{}", encode(&user.user_id))
}

fn field_of(user: &Client, key: &str) -> String {
    format!("{}/{}", profile_of(user), encode(key))
}

fn account_data_of(user: &Client, room: Option<&str>, data_type: &str) -> String {
    let room = room.map_or_else(String::new, |room| format!("/rooms/{}", encode(room)));
    format!(
        "user/{}{room}/account_data/{}",
        encode(&user.user_id),
        encode(data_type)
    )
}

fn tags_of(user: &Client, room: &str) -> String {
    format!("user/{}/rooms/{}/tags", encode(&user.user_id), encode(room))
}

/// The content of the account data of one type in a section of a sync.
fn account_data_in<'a>(section: &'a Value, data_type: &str) -> Option<&'a Value> {
    let events = section["account_data"]["events"].as_array()?;
    let found = events.iter().find(|event| event["type"] == data_type)?;
    Some(&found["content"])
}

async fn put_raw(user: &Client, path: &str, body: &str) -> greenroom_tests::Answer {
    user.raw(Method::PUT, path, &[], body).await
}

#[tokio::test]
async fn anyone_reads_a_profile_that_its_owner_sets() {
    let server = shared_server().await;
    let alice = server.register("profile_alice").await;
    let anyone = server.anonymous();
    let first = anyone.get(&profile_of(&alice)).await.expect_ok();
    assert_eq!(first, json!({"displayname": alice.localpart()}));
    let fields = json!({
        "displayname": "Alice",
        "avatar_url": "mxc://localhost/abc",
        "m.tz": "Europe/London",
        "org.example.colors": ["red", 1.5, null],
    });
    for (key, value) in fields.as_object().unwrap() {
        let path = field_of(&alice, key);
        alice.put(&path, json!({ key: value })).await.expect_ok();
        for client in [&anyone, &anyone.over("r0"), &alice] {
            assert_eq!(client.get(&path).await.expect_ok(), json!({ key: value }));
        }
    }
    assert_eq!(anyone.get(&profile_of(&alice)).await.expect_ok(), fields);
    let path = field_of(&alice, "m.tz");
    alice.delete(&path).await.expect_ok();
    alice.delete(&path).await.expect_ok();
    anyone.get(&path).await.expect_error(404, "M_NOT_FOUND");
    alice
        .over("r0")
        .put(&field_of(&alice, "displayname"), json!({"displayname": ""}))
        .await
        .expect_ok();
    let path = field_of(&alice, "displayname");
    anyone.get(&path).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_profile_field_that_cannot_be_is_refused() {
    let server = shared_server().await;
    let alice = server.register("profile_checks").await;
    let bob = server.register("profile_other").await;
    let path = field_of(&alice, "displayname");
    let name = json!({"displayname": "x"});
    bob.put(&path, name.clone())
        .await
        .expect_error(403, "M_FORBIDDEN");
    bob.delete(&path).await.expect_error(403, "M_FORBIDDEN");
    server
        .anonymous()
        .put(&path, name.clone())
        .await
        .expect_error(401, "M_MISSING_TOKEN");
    alice
        .put(&path, json!({}))
        .await
        .expect_error(400, "M_MISSING_PARAM");
    alice
        .put(&path, json!({"displayname": null}))
        .await
        .expect_error(400, "M_BAD_JSON");
    alice
        .put(&path, json!({"displayname": {}}))
        .await
        .expect_error(400, "M_BAD_JSON");
    let avatar = field_of(&alice, "avatar_url");
    let picture = json!({"avatar_url": "https://example.org/me.png"});
    alice
        .put(&avatar, picture)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    let key = "Not.A.Key";
    let path = field_of(&alice, key);
    alice
        .put(&path, json!({ key: 1 }))
        .await
        .expect_error(400, "M_INVALID_PARAM");
    let key = format!("org.{}", "x".repeat(252));
    let path = field_of(&alice, &key);
    alice
        .put(&path, json!({ key: 1 }))
        .await
        .expect_error(400, "M_KEY_TOO_LARGE");
    let path = field_of(&alice, "org.example");
    let large = json!({"org.example": "x".repeat(65_536)});
    alice
        .put(&path, large)
        .await
        .expect_error(400, "M_PROFILE_TOO_LARGE");
    let nobody = server.anonymous().get("profile/@nobody:localhost").await;
    nobody.expect_error(404, "M_NOT_FOUND");
    let nonsense = server.anonymous().get("profile/nonsense").await;
    nonsense.expect_error(400, "M_INVALID_PARAM");
    let unchanged = alice.get(&profile_of(&alice)).await.expect_ok();
    assert_eq!(unchanged, json!({"displayname": alice.localpart()}));
}

#[tokio::test]
async fn a_new_name_reaches_the_member_events_of_every_room() {
    let server = shared_server().await;
    let alice = server.register("renamed_alice").await;
    let bob = server.register("renamed_bob").await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        let room = alice.create_public_room().await;
        bob.join(&room).await;
        rooms.push(room);
    }
    let since = bob.now().await;
    let path = field_of(&alice, "displayname");
    alice
        .put(&path, json!({"displayname": "Alice the Second"}))
        .await
        .expect_ok();
    for room in &rooms {
        let renamed = |joined: &Value| {
            let events = joined["timeline"]["events"].as_array();
            events.into_iter().flatten().any(|event| {
                event["type"] == "m.room.member"
                    && event["state_key"] == alice.user_id.as_str()
                    && event["content"]["displayname"] == "Alice the Second"
                    && event["content"]["membership"] == "join"
            })
        };
        bob.sync_until_since(&since, room, renamed).await;
    }
}

#[tokio::test]
async fn a_new_name_reaches_every_room_even_if_the_server_dies_on_the_way() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..10 {
        rooms.push(alice.create_public_room().await);
    }
    let path = field_of(&alice, "displayname");
    alice
        .put(&path, json!({"displayname": "Phoenix"}))
        .await
        .expect_ok();
    server.kill9().await;
    server.restart().await;
    for room in &rooms {
        let renamed = |joined: &Value| {
            let sections = [&joined["state"]["events"], &joined["timeline"]["events"]];
            let events = sections.into_iter().filter_map(Value::as_array).flatten();
            events
                .filter(|event| event["state_key"] == alice.user_id.as_str())
                .any(|event| event["content"]["displayname"] == "Phoenix")
        };
        alice.sync_until(room, renamed).await;
        // Told twice, a room still has one event of it.
        let members = alice.messages(room, "dir=b&limit=100").await;
        let chunk = members["chunk"].as_array().unwrap();
        let told = chunk
            .iter()
            .filter(|event| event["content"]["displayname"] == "Phoenix");
        assert_eq!(told.count(), 1, "{members}");
    }
}

#[tokio::test]
async fn account_data_reaches_all_of_ones_devices_and_nobody_else() {
    let server = shared_server().await;
    let alice = server.register("data_alice").await;
    let bob = server.register("data_bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let (since, since_bob) = (alice.now().await, bob.now().await);
    let global = account_data_of(&alice, None, "org.example");
    let in_room = account_data_of(&alice, Some(&room), "org.example");
    alice.get(&global).await.expect_error(404, "M_NOT_FOUND");
    alice
        .put(&global, json!({"where": "everywhere"}))
        .await
        .expect_ok();
    alice.get(&in_room).await.expect_error(404, "M_NOT_FOUND");
    alice
        .over("r0")
        .put(&in_room, json!({"where": "here"}))
        .await
        .expect_ok();
    assert_eq!(
        alice.get(&global).await.expect_ok(),
        json!({"where": "everywhere"})
    );
    assert_eq!(
        alice.over("r0").get(&in_room).await.expect_ok(),
        json!({"where": "here"})
    );
    for query in [format!("since={}", encode(&since)), String::new()] {
        let body = alice.sync(&query).await;
        let found = account_data_in(&body, "org.example");
        assert_eq!(found, Some(&json!({"where": "everywhere"})), "{body}");
        let found = account_data_in(&body["rooms"]["join"][&room], "org.example");
        assert_eq!(found, Some(&json!({"where": "here"})), "{body}");
    }
    let body = bob.sync(&format!("since={}", encode(&since_bob))).await;
    assert!(!body.to_string().contains("org.example"), "{body}");
    for path in [&global, &in_room] {
        bob.get(path).await.expect_error(403, "M_FORBIDDEN");
        bob.put(path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
    let elsewhere = account_data_of(&alice, Some("@not:a.room"), "org.example");
    alice
        .get(&elsewhere)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    alice
        .put(&elsewhere, json!({}))
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn b02_numbers_that_no_event_may_hold_are_no_failure_elsewhere() {
    let server = shared_server().await;
    let alice = server.register("b02_alice").await;
    let room = alice.create_public_room().await;
    for number in [
        "9007199254740992",
        "-9007199254740993",
        "18446744073709551616",
        "1.1",
        "1e3",
        "1.0",
        "-0",
        "1e400",
    ] {
        let path = account_data_of(&alice, None, "org.example.number");
        let body = format!(r#"{{"n":{number}}}"#);
        put_raw(&alice, &path, &body).await.expect_ok();
        let read = alice.get(&path).await;
        assert_eq!((read.status, read.text()), (200, body));
        alice.sync("").await;
        let path = format!("{}/u.number", tags_of(&alice, &room));
        let tag = put_raw(&alice, &path, &format!(r#"{{"n":{number}}}"#)).await;
        assert!(matches!(tag.status, 200 | 400), "{}", tag.describe());
        let path = field_of(&alice, "org.example");
        let field = put_raw(&alice, &path, &format!(r#"{{"org.example":{number}}}"#)).await;
        assert!(matches!(field.status, 200 | 400), "{}", field.describe());
        assert_eq!(alice.get(&profile_of(&alice)).await.status, 200);
        assert_eq!(alice.get(&tags_of(&alice, &room)).await.status, 200);
    }
    for number in ["NaN", "Infinity", "01", "+1"] {
        let path = account_data_of(&alice, None, "org.example.number");
        let body = format!(r#"{{"n":{number}}}"#);
        put_raw(&alice, &path, &body)
            .await
            .expect_error(400, "M_NOT_JSON");
    }
}

#[tokio::test]
async fn b04_nesting_is_refused_or_stored_and_never_a_failure() {
    let server = shared_server().await;
    let alice = server.register("b04_alice").await;
    let room = alice.create_public_room().await;
    for depth in [100, 124, 126, 128, 1_000, 30_000] {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (path, key) in [
            (account_data_of(&alice, None, "org.example.deep"), "x"),
            (account_data_of(&alice, Some(&room), "m.tag"), "x"),
            (format!("{}/u.deep", tags_of(&alice, &room)), "x"),
            (field_of(&alice, "org.example"), "org.example"),
        ] {
            let answer = put_raw(&alice, &path, &format!(r#"{{"{key}":{value}}}"#)).await;
            assert!(
                matches!(answer.status, 200 | 400),
                "{depth}: {}",
                answer.describe()
            );
        }
        assert_eq!(alice.get(&tags_of(&alice, &room)).await.status, 200);
        assert_eq!(alice.get(&profile_of(&alice)).await.status, 200);
    }
    let path = format!("{}/u.flat", tags_of(&alice, &room));
    alice.put(&path, json!({})).await.expect_ok();
    assert_eq!(alice.get("sync").await.status, 200);
}

#[tokio::test]
async fn b07_a_null_character_is_a_character() {
    let server = shared_server().await;
    let alice = server.register("b07_alice").await;
    let room = alice.create_public_room().await;
    let odd = "a\u{0}b";
    let path = field_of(&alice, "displayname");
    alice
        .put(&path, json!({"displayname": odd}))
        .await
        .expect_ok();
    assert_eq!(
        alice.get(&path).await.expect_ok(),
        json!({"displayname": odd})
    );
    for in_room in [None, Some(room.as_str())] {
        let path = account_data_of(&alice, in_room, odd);
        alice.put(&path, json!({odd: odd})).await.expect_ok();
        assert_eq!(alice.get(&path).await.expect_ok(), json!({odd: odd}));
    }
    let path = format!("{}/{}", tags_of(&alice, &room), encode(odd));
    alice.put(&path, json!({odd: odd})).await.expect_ok();
    let tags = alice.get(&tags_of(&alice, &room)).await.expect_ok();
    assert_eq!(tags, json!({"tags": {odd: {odd: odd}}}));
    let body = alice.sync("").await;
    assert_eq!(account_data_in(&body, odd), Some(&json!({odd: odd})));
    let joined = &body["rooms"]["join"][&room];
    assert_eq!(
        account_data_in(joined, "m.tag"),
        Some(&json!({"tags": {odd: {odd: odd}}}))
    );
}

#[tokio::test]
async fn b48_what_the_server_manages_is_not_set_as_account_data() {
    let server = shared_server().await;
    let alice = server.register("b48_alice").await;
    let room = alice.create_public_room().await;
    for data_type in ["m.fully_read", "m.push_rules"] {
        for in_room in [None, Some(room.as_str())] {
            for client in [&alice, &alice.over("r0")] {
                let path = account_data_of(&alice, in_room, data_type);
                let answer = client.put(&path, json!({"event_id": "$x"})).await;
                answer.expect_error(405, "M_BAD_JSON");
            }
        }
    }
    let path = account_data_of(&alice, None, "m.push_rules");
    let rules = alice.get(&path).await.expect_ok();
    assert_eq!(rules, alice.get("pushrules/").await.expect_ok());
}

#[tokio::test]
async fn account_data_is_an_object_of_bounded_size() {
    let server = shared_server().await;
    let alice = server.register("data_bounds").await;
    let path = account_data_of(&alice, None, "org.example");
    for body in ["[]", "null", "\"x\"", "1"] {
        put_raw(&alice, &path, body)
            .await
            .expect_error(400, "M_BAD_JSON");
    }
    for body in ["{", "nonsense", "{\"a\":}"] {
        put_raw(&alice, &path, body)
            .await
            .expect_error(400, "M_NOT_JSON");
    }
    let large = json!({"x": "x".repeat(513 * 1024)});
    alice
        .put(&path, large)
        .await
        .expect_error(413, "M_TOO_LARGE");
    alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
    let path = account_data_of(&alice, None, &"t".repeat(255));
    alice.put(&path, json!({})).await.expect_ok();
    let path = account_data_of(&alice, None, &"t".repeat(256));
    alice
        .put(&path, json!({}))
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn tags_come_and_go_and_arrive_by_sync() {
    let server = shared_server().await;
    let alice = server.register("tags_alice").await;
    let bob = server.register("tags_bob").await;
    let room = alice.create_public_room().await;
    let tags = tags_of(&alice, &room);
    assert_eq!(alice.get(&tags).await.expect_ok(), json!({"tags": {}}));
    let since = alice.now().await;
    let favourite = format!("{tags}/m.favourite");
    let work = format!("{tags}/u.Work");
    let (one, other) = tokio::join!(
        alice.put(&favourite, json!({"order": 0.25, "x": "kept"})),
        alice.put(&work, json!({})),
    );
    one.expect_ok();
    other.expect_ok();
    let both = json!({"m.favourite": {"order": 0.25, "x": "kept"}, "u.Work": {}});
    assert_eq!(alice.get(&tags).await.expect_ok(), json!({ "tags": both }));
    let tagged = |joined: &Value| account_data_in(joined, "m.tag") == Some(&json!({"tags": both}));
    alice.sync_until_since(&since, &room, tagged).await;
    alice.delete(&work).await.expect_ok();
    alice.over("r0").delete(&work).await.expect_ok();
    let left = json!({"tags": {"m.favourite": {"order": 0.25, "x": "kept"}}});
    assert_eq!(alice.get(&tags).await.expect_ok(), left);
    for answer in [
        bob.get(&tags).await,
        bob.put(&work, json!({})).await,
        bob.delete(&work).await,
    ] {
        answer.expect_error(403, "M_FORBIDDEN");
    }
    alice
        .put(&work, json!({"order": "0.5"}))
        .await
        .expect_error(400, "M_BAD_JSON");
    let long = format!("{tags}/{}", "t".repeat(256));
    alice
        .put(&long, json!({}))
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn push_rules_can_be_read_whole_and_one_by_one() {
    let server = shared_server().await;
    let alice = server.register("push_alice").await;
    for client in [&alice, &alice.over("r0")] {
        let rules = client.get("pushrules/").await.expect_ok();
        let global = client.get("pushrules/global/").await.expect_ok();
        assert_eq!(rules, json!({ "global": global }));
        assert_eq!(client.get("pushrules").await.expect_ok(), rules);
        for (kind, count) in [
            ("override", 10),
            ("content", 0),
            ("room", 0),
            ("sender", 0),
            ("underride", 5),
        ] {
            let list = global[kind].as_array().unwrap();
            assert_eq!(list.len(), count, "{kind}");
            for rule in list {
                let path = format!(
                    "pushrules/global/{kind}/{}",
                    rule["rule_id"].as_str().unwrap()
                );
                assert_eq!(client.get(&path).await.expect_ok(), *rule);
                let enabled = client.get(&format!("{path}/enabled")).await.expect_ok();
                assert_eq!(enabled, json!({"enabled": rule["enabled"]}));
                let actions = client.get(&format!("{path}/actions")).await.expect_ok();
                assert_eq!(actions, json!({"actions": rule["actions"]}));
            }
        }
        let invite = &global["override"][2]["conditions"][2]["pattern"];
        assert_eq!(*invite, json!(alice.user_id));
    }
    for path in [
        "override/.m.rule.none",
        "underride/.m.rule.master",
        "nonsense/.m.rule.master",
    ] {
        let path = format!("pushrules/global/{path}");
        alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
    }
    let body = alice.sync("").await;
    let rules = alice.get("pushrules/").await.expect_ok();
    assert_eq!(account_data_in(&body, "m.push_rules"), Some(&rules));
}

#[tokio::test]
async fn the_first_user_of_a_new_server_has_push_rules_in_their_first_sync() {
    let server = greenroom_tests::TestServer::start().await;
    let alice = server.register("alice").await;
    let body = alice.sync("").await;
    assert!(account_data_in(&body, "m.push_rules").is_some(), "{body}");
}

#[tokio::test]
async fn what_one_says_of_oneself_is_limited_and_a_refusal_has_no_effect() {
    let config = "[rate_limits.updates]\naccount = { burst = 9, per_second = 0.001 }\n";
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .config(config)
        .start()
        .await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let event = alice.send_text(&room, "1", "x").await;
    let (me, room, event) = (encode(&alice.user_id), encode(&room), encode(&event));
    let name = field_of(&alice, "displayname");
    let writes = [
        (Method::PUT, name.clone(), json!({"displayname": "A"})),
        (
            Method::PUT,
            format!("presence/{me}/status"),
            json!({"presence": "online"}),
        ),
        (
            Method::PUT,
            format!("rooms/{room}/typing/{me}"),
            json!({"typing": true}),
        ),
        (
            Method::POST,
            format!("rooms/{room}/receipt/m.read/{event}"),
            json!({}),
        ),
        (
            Method::POST,
            format!("rooms/{room}/read_markers"),
            json!({}),
        ),
        (
            Method::PUT,
            format!("user/{me}/account_data/org.x"),
            json!({}),
        ),
        (
            Method::PUT,
            format!("user/{me}/rooms/{room}/account_data/org.x"),
            json!({}),
        ),
        (
            Method::PUT,
            format!("user/{me}/rooms/{room}/tags/u.x"),
            json!({}),
        ),
        (Method::POST, format!("user/{me}/filter"), json!({})),
    ];
    let write = async |(method, path, body): &(Method, String, Value)| {
        if *method == Method::PUT {
            alice.put(path, body.clone()).await
        } else {
            alice.post(path, body.clone()).await
        }
    };
    for request in &writes {
        write(request).await.expect_ok();
    }
    for request in &writes {
        let limited = write(request).await;
        assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
        let body = limited.expect_error(429, "M_LIMIT_EXCEEDED");
        assert!(body["retry_after_ms"].is_u64(), "{}: {body}", request.1);
    }
    alice
        .put(&name, json!({"displayname": "B"}))
        .await
        .expect_error(429, "M_LIMIT_EXCEEDED");
    assert_eq!(alice.get(&name).await.expect_ok()["displayname"], "A");
    // What others do, and what else she does, goes on.
    let bob = server.register("bob").await;
    bob.put(&field_of(&bob, "displayname"), json!({"displayname": "B"}))
        .await
        .expect_ok();
    alice.create_room(json!({})).await;
}
