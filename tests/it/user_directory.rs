//! `POST /_matrix/client/*/user_directory/search`

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::in_room;

async fn search(searcher: &Client, term: &str) -> Value {
    let body = json!({"search_term": term});
    searcher
        .post("user_directory/search", body)
        .await
        .expect_ok()
}

fn ids(found: &Value) -> Vec<&str> {
    let users = found["results"].as_array().unwrap();
    users
        .iter()
        .map(|user| user["user_id"].as_str().unwrap())
        .collect()
}

async fn set_name(client: &Client, name: &str) {
    let path = format!("profile/{}/displayname", encode(&client.user_id));
    client
        .put(&path, json!({"displayname": name}))
        .await
        .expect_ok();
}

/// A word that no other test's users have in their names.
fn rare(client: &Client) -> String {
    let hex = client.localpart().rsplit('-').next().unwrap();
    format!("rare{hex}")
}

#[tokio::test]
async fn users_who_share_a_room_with_the_searcher_are_found() {
    let server = shared_server().await;
    let [alice, bob, carol] = [
        server.register("alice").await,
        server.register("bob").await,
        server.register("carol").await,
    ];
    let word = rare(&bob);
    set_name(&bob, &format!("Bob {word}")).await;
    let avatar = format!("profile/{}/avatar_url", encode(&bob.user_id));
    bob.put(&avatar, json!({"avatar_url": "mxc://localhost/bob"}))
        .await
        .expect_ok();
    assert_eq!(
        search(&alice, &word).await,
        json!({"results": [], "limited": false})
    );
    let room = alice.create_room(json!({})).await;
    alice.invite(&room, &bob).await;
    // Who is only invited shares no room.
    assert!(ids(&search(&alice, &word).await).is_empty());
    bob.join(&room).await;
    let expected = json!({
        "results": [{
            "user_id": bob.user_id,
            "display_name": format!("Bob {word}"),
            "avatar_url": "mxc://localhost/bob",
        }],
        "limited": false,
    });
    for version in ["r0", "v3"] {
        assert_eq!(search(&alice.over(version), &word).await, expected);
    }
    assert!(ids(&search(&carol, &word).await).is_empty());
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    assert!(ids(&search(&alice, &word).await).is_empty());
}

#[tokio::test]
async fn members_of_rooms_that_anybody_may_join_or_read_are_found() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let word = rare(&bob);
    set_name(&bob, &word).await;
    let room = bob.create_room(json!({})).await;
    let rule = |rule: &str| json!({"join_rule": rule});
    let visibility = |it: &str| json!({"history_visibility": it});
    for (event_type, content, expected) in [
        ("m.room.join_rules", rule("knock"), false),
        ("m.room.join_rules", rule("public"), true),
        ("m.room.join_rules", rule("invite"), false),
        (
            "m.room.history_visibility",
            visibility("world_readable"),
            true,
        ),
        ("m.room.history_visibility", visibility("shared"), false),
    ] {
        bob.send_state(&room, event_type, "", content.clone()).await;
        let found = search(&alice, &word).await;
        assert_eq!(!ids(&found).is_empty(), expected, "{content}");
    }
}

#[tokio::test]
async fn a_search_is_case_insensitive_on_ids_and_display_names_in_every_script() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let room = bob.create_public_room().await;
    let word = rare(&bob);
    for (name, term) in [
        ("José", "JOSE"),
        ("Straße", "strasse"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσεύς"),
        ("Ёлена", "елена"),
        ("山田太郎", "太郎"),
        ("김철수", "철수"),
        ("O'Neill-Smith", "smi o'n"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
    ] {
        set_name(&bob, &format!("{name} {word}")).await;
        let found = search(&alice, &format!("{term} {word}")).await;
        assert_eq!(ids(&found), [&bob.user_id], "{term} for {name}");
        let neither = search(&alice, &format!("{term}zzz {word}")).await;
        assert!(ids(&neither).is_empty(), "{term}");
    }
    set_name(&bob, "").await;
    assert!(ids(&search(&alice, &word).await).is_empty());
    let upper = bob.user_id.to_uppercase();
    for term in [&*bob.user_id, bob.localpart(), &upper, &bob.user_id[..9]] {
        let found = search(&alice, term).await;
        let shown = found["results"].as_array().unwrap();
        let his = shown.iter().find(|user| user["user_id"] == bob.user_id);
        if term.len() > 9 {
            assert_eq!(his, Some(&json!({"user_id": bob.user_id})), "{term}");
        }
    }
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
}

#[tokio::test]
async fn results_are_limited_and_say_so() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let word = rare(&alice);
    let mut others = Vec::new();
    for number in 0..12 {
        let other = server.register(&format!("u{number}")).await;
        set_name(&other, &format!("{word}{number}")).await;
        other.join(&room).await;
        others.push(other);
    }
    // One whose name is just that comes first.
    set_name(&others[7], &word).await;
    let ask = |body: Value| {
        let alice = alice.clone();
        async move { alice.post("user_directory/search", body).await.expect_ok() }
    };
    let found = ask(json!({"search_term": word})).await;
    assert_eq!(ids(&found).len(), 10);
    assert_eq!(found["limited"], true);
    assert_eq!(ids(&found)[0], others[7].user_id);
    for (limit, expected, limited) in [(1, 1, true), (11, 11, true), (12, 12, false), (0, 1, true)]
    {
        let found = ask(json!({"search_term": word, "limit": limit})).await;
        assert_eq!(ids(&found).len(), expected, "{limit}");
        assert_eq!(found["limited"], limited, "{limit}");
    }
    let huge = ask(json!({"search_term": word, "limit": u64::MAX})).await;
    assert_eq!(ids(&huge).len(), 12);
}

#[tokio::test]
async fn who_is_deactivated_is_found_no_more() {
    let server = TestServer::start().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    assert_eq!(ids(&search(&alice, bob.localpart()).await), [&bob.user_id]);
    let output = server.run(&["user", "deactivate", bob.localpart()], "");
    assert!(output.status.success(), "{output:?}");
    for term in [bob.localpart(), &bob.user_id] {
        assert!(ids(&search(&alice, term).await).is_empty());
    }
}

#[tokio::test]
async fn b42_odd_terms_find_nobody_or_are_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for term in ["", " ", "%", "_", "\0", "()", "\u{10FFFF}", "' OR 1=1 --zz"] {
        assert!(ids(&search(&alice, term).await).is_empty(), "{term:?}");
    }
    let long = json!({"search_term": "x".repeat(60_000)});
    alice
        .post("user_directory/search", long)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    for bad in [
        json!({}),
        json!({"search_term": 5}),
        json!({"search_term": null}),
        json!({"search_term": "x", "limit": -1}),
        json!({"search_term": "x", "limit": "ten"}),
    ] {
        alice
            .post("user_directory/search", bad)
            .await
            .expect_error(400, "M_BAD_JSON");
    }
    server
        .anonymous()
        .post("user_directory/search", json!({"search_term": "x"}))
        .await
        .expect_error(401, "M_MISSING_TOKEN");
}
