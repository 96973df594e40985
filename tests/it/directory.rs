//! Aliases, and the rooms that are shown to all.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room};

fn alias_path(alias: &str) -> String {
    format!("directory/room/{}", encode(alias))
}

fn new_alias(server: &TestServer, client: &Client, name: &str) -> String {
    format!("#{name}-{}:{}", client.localpart(), server.server_name())
}

#[tokio::test]
async fn an_alias_is_made_looked_up_and_deleted() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let anyone = server.anonymous();
    for version in ["r0", "v3"] {
        let alias = new_alias(&server, &bob, &format!("tea/é {version}"));
        let path = alias_path(&alias);
        anyone.get(&path).await.expect_error(404, "M_NOT_FOUND");
        let (alice, bob, anyone) = (alice.over(version), bob.over(version), anyone.over(version));
        bob.put(&path, json!({"room_id": room})).await.expect_ok();
        let found = anyone.get(&path).await.expect_ok();
        assert_eq!(found["room_id"], room);
        assert_eq!(found["servers"], json!([server.server_name()]));
        let list = alice.get(&in_room(&room, "aliases")).await.expect_ok();
        assert_eq!(list["aliases"], json!([alias]));
        // Taken, even for the same room.
        for target in [&room, &alice.create_room(json!({})).await] {
            let answer = alice.put(&path, json!({"room_id": target})).await;
            answer.expect_error(409, "M_UNKNOWN");
        }
        bob.delete(&path).await.expect_ok();
        bob.delete(&path).await.expect_error(404, "M_NOT_FOUND");
        anyone.get(&path).await.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn b44_an_alias_is_changed_only_by_who_may() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let [carol, eve] = [server.register("carol").await, server.register("eve").await];
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let hers = new_alias(&server, &alice, "hers");
    let his = new_alias(&server, &bob, "his");
    alice
        .put(&alias_path(&hers), json!({"room_id": room}))
        .await
        .expect_ok();
    bob.put(&alias_path(&his), json!({"room_id": room}))
        .await
        .expect_ok();
    // Eve is not there, Carol may not change the room's aliases.
    for client in [&eve, &carol] {
        for alias in [&hers, &his] {
            client
                .delete(&alias_path(alias))
                .await
                .expect_error(403, "M_FORBIDDEN");
        }
    }
    let mine = new_alias(&server, &eve, "mine");
    for target in [room.as_str(), "!nowhere"] {
        let answer = eve
            .put(&alias_path(&mine), json!({"room_id": target}))
            .await;
        answer.expect_error(403, "M_FORBIDDEN");
    }
    let anyone = server.anonymous();
    let answer = anyone
        .put(&alias_path(&mine), json!({"room_id": room}))
        .await;
    answer.expect_error(401, "M_MISSING_TOKEN");
    anyone
        .delete(&alias_path(&hers))
        .await
        .expect_error(401, "M_MISSING_TOKEN");
    // To move an alias it must be deleted first, and only who may deletes it.
    let own_room = eve.create_room(json!({})).await;
    let answer = eve
        .put(&alias_path(&hers), json!({"room_id": own_room}))
        .await;
    answer.expect_error(409, "M_UNKNOWN");
    bob.delete(&alias_path(&his)).await.expect_ok();
    bob.put(&alias_path(&his), json!({"room_id": room}))
        .await
        .expect_ok();
    alice.delete(&alias_path(&his)).await.expect_ok();
}

#[tokio::test]
async fn one_alias_for_two_at_once_goes_to_one() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for n in 0..5 {
        let name = format!("race{n}-{}", alice.localpart());
        let request = json!({"room_alias_name": name});
        let tries = (0..4).map(|_| alice.post("createRoom", request.clone()));
        let answers = futures_util::future::join_all(tries).await;
        let (made, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(made.len(), 1);
        for answer in refused {
            answer.expect_error(400, "M_ROOM_IN_USE");
        }
        let alias = format!("#{name}:{}", server.server_name());
        let found = alice.get(&alias_path(&alias)).await.expect_ok();
        assert_eq!(found["room_id"], made[0].body["room_id"]);
    }
    let joined = alice.get("joined_rooms").await.expect_ok();
    assert_eq!(joined["joined_rooms"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn b44_an_alias_that_is_none_is_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let body = json!({"room_id": room});
    for bad in [
        "tea",
        "#tea",
        "!tea:localhost",
        "#a\0b:localhost",
        &format!("#{}:localhost", "x".repeat(255)),
    ] {
        let path = alias_path(bad);
        alice
            .put(&path, body.clone())
            .await
            .expect_error(400, "M_INVALID_PARAM");
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    let nameless = alias_path(&format!("#:{}", server.server_name()));
    alice
        .put(&nameless, body.clone())
        .await
        .expect_error(400, "M_INVALID_PARAM");
    let elsewhere = alias_path("#tea:elsewhere.example");
    alice
        .put(&elsewhere, body)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    alice.get(&elsewhere).await.expect_error(404, "M_NOT_FOUND");
    alice
        .delete(&elsewhere)
        .await
        .expect_error(404, "M_NOT_FOUND");
    let path = alias_path(&new_alias(&server, &alice, "tea"));
    for body in [
        json!({}),
        json!({"room_id": "tea"}),
        json!({"room_id": null}),
    ] {
        alice.put(&path, body).await.expect_error(400, "M_BAD_JSON");
    }
}

#[tokio::test]
async fn b44_a_canonical_alias_must_exist_and_point_here() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other_room = alice.create_room(json!({})).await;
    let here = new_alias(&server, &alice, "here");
    let there = new_alias(&server, &alice, "there");
    let nowhere = new_alias(&server, &alice, "nowhere");
    alice
        .put(&alias_path(&here), json!({"room_id": room}))
        .await
        .expect_ok();
    alice
        .put(&alias_path(&there), json!({"room_id": other_room}))
        .await
        .expect_ok();
    let path = in_room(&room, "state/m.room.canonical_alias");
    for content in [
        json!({"alias": there}),
        json!({"alias": nowhere}),
        json!({"alias": here, "alt_aliases": [there]}),
        json!({"alt_aliases": ["#tea:elsewhere.example"]}),
    ] {
        alice
            .put(&path, content)
            .await
            .expect_error(400, "M_BAD_ALIAS");
    }
    for content in [json!({"alias": "tea"}), json!({"alt_aliases": ["#tea"]})] {
        alice
            .put(&path, content)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    let good = json!({"alias": here, "alt_aliases": [here]});
    bob.put(&path, good.clone())
        .await
        .expect_error(403, "M_FORBIDDEN");
    alice.put(&path, good.clone()).await.expect_ok();
    // Nobody outside learns which ones the room has.
    let eve = server.register("eve").await;
    for alias in [&here, &there, &nowhere] {
        let content = json!({"alias": alias});
        eve.put(&path, content)
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
    // What stands there already is not looked at again; it may be taken out at any time.
    let his = new_alias(&server, &bob, "his");
    let target = json!({"room_id": room});
    bob.put(&alias_path(&his), target.clone()).await.expect_ok();
    let both = json!({"alias": his, "alt_aliases": [his, here]});
    alice.put(&path, both.clone()).await.expect_ok();
    bob.delete(&alias_path(&his)).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok(), both);
    let less = json!({"alias": his, "alt_aliases": [here], "n": 1});
    alice.put(&path, less).await.expect_ok();
    alice.put(&path, json!({})).await.expect_ok();
    alice
        .put(&path, both)
        .await
        .expect_error(400, "M_BAD_ALIAS");
    alice
        .put(&path, json!({"alias": "", "alt_aliases": null}))
        .await
        .expect_ok();
}

#[tokio::test]
async fn who_deletes_an_alias_takes_it_out_of_the_room_if_they_may() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let path = in_room(&room, "state/m.room.canonical_alias");
    let [first, second] = ["first", "second"].map(|name| new_alias(&server, &bob, name));
    for alias in [&first, &second] {
        bob.put(&alias_path(alias), json!({"room_id": room}))
            .await
            .expect_ok();
    }
    let all = json!({"alias": first, "alt_aliases": [first, second], "org.example": 1});
    alice.put(&path, all).await.expect_ok();
    alice.delete(&alias_path(&first)).await.expect_ok();
    let left = json!({"alt_aliases": [second], "org.example": 1});
    assert_eq!(alice.get(&path).await.expect_ok(), left);
    // Bob may not say so, but the alias is his.
    bob.delete(&alias_path(&second)).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok(), left);
}

#[tokio::test]
async fn a_room_s_aliases_are_for_its_members_unless_all_may_read() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let eve = server.register("eve").await;
    let path = in_room(&room, "aliases");
    assert_eq!(bob.get(&path).await.expect_ok(), json!({"aliases": []}));
    eve.get(&path).await.expect_error(403, "M_FORBIDDEN");
    eve.get(&in_room("!nowhere", "aliases"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let content = json!({"history_visibility": "world_readable"});
    alice
        .send_state(&room, "m.room.history_visibility", "", content)
        .await;
    assert_eq!(eve.get(&path).await.expect_ok(), json!({"aliases": []}));
}

#[tokio::test]
async fn b44_a_room_is_published_by_who_may() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let path = format!("directory/list/room/{}", encode(&room));
    let anyone = server.anonymous();
    assert_eq!(
        anyone.get(&path).await.expect_ok(),
        json!({"visibility": "private"})
    );
    bob.put(&path, json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let answer = anyone.put(&path, json!({})).await;
    answer.expect_error(401, "M_MISSING_TOKEN");
    // Public is what a request that says nothing means.
    alice.put(&path, json!({})).await.expect_ok();
    assert_eq!(
        anyone.get(&path).await.expect_ok(),
        json!({"visibility": "public"})
    );
    alice
        .over("r0")
        .put(&path, json!({"visibility": "private"}))
        .await
        .expect_ok();
    assert_eq!(
        anyone.get(&path).await.expect_ok(),
        json!({"visibility": "private"})
    );
    for body in [json!({"visibility": "x"}), json!({"visibility": 1})] {
        alice.put(&path, body).await.expect_error(400, "M_BAD_JSON");
    }
    let nowhere = format!("directory/list/room/{}", encode("!nowhere"));
    anyone.get(&nowhere).await.expect_error(404, "M_NOT_FOUND");
    alice
        .put(&nowhere, json!({}))
        .await
        .expect_error(404, "M_NOT_FOUND");
}

/// The names of the rooms on a page.
fn names(page: &Value) -> Vec<&str> {
    let chunk = page["chunk"].as_array().unwrap();
    chunk
        .iter()
        .map(|room| room["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_directory_is_paged_both_ways() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let mut guests = Vec::new();
    for n in 0..3 {
        guests.push(server.register(&format!("guest{n}")).await);
    }
    for n in 0..7 {
        let request = json!({"name": format!("room {n}"), "visibility": "public"});
        let room = alice.create_room(request).await;
        for guest in guests.iter().take(n) {
            guest.join(&room).await;
        }
    }
    alice.create_room(json!({"name": "hidden"})).await;
    let request = json!({"name": "deserted", "visibility": "public"});
    let deserted = alice.create_room(request).await;
    let leave = in_room(&deserted, "leave");
    alice.post(&leave, json!({})).await.expect_ok();
    let anyone = server.anonymous();
    let all = anyone.get("publicRooms").await.expect_ok();
    assert_eq!(all["total_room_count_estimate"], 7);
    assert_eq!(all.get("next_batch"), None);
    assert_eq!(all.get("prev_batch"), None);
    let order: Vec<String> = names(&all).into_iter().map(str::to_owned).collect();
    let members: Vec<u64> = all["chunk"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| room["num_joined_members"].as_u64().unwrap())
        .collect();
    assert_eq!(members, [4, 4, 4, 4, 3, 2, 1]);
    for client in [&anyone, &anyone.over("r0")] {
        let mut found = Vec::new();
        let mut pages = Vec::new();
        let mut query = "publicRooms?limit=3".to_owned();
        loop {
            let page = client.get(&query).await.expect_ok();
            found.extend(names(&page).into_iter().map(str::to_owned));
            pages.push(page.clone());
            let Some(next) = page["next_batch"].as_str() else {
                break;
            };
            query = format!("publicRooms?limit=3&since={}", encode(next));
        }
        assert_eq!(found, order);
        assert_eq!(pages.len(), 3);
        assert_eq!(pages[0].get("prev_batch"), None);
        // And back again.
        let back = pages[2]["prev_batch"].as_str().unwrap();
        let query = format!("publicRooms?limit=3&since={}", encode(back));
        let page = client.get(&query).await.expect_ok();
        assert_eq!(names(&page), names(&pages[1]));
        let back = page["prev_batch"].as_str().unwrap();
        let query = format!("publicRooms?limit=10&since={}", encode(back));
        let page = client.get(&query).await.expect_ok();
        assert_eq!(names(&page), names(&pages[0]));
        assert_eq!(page.get("prev_batch"), None);
        let next = page["next_batch"].as_str().unwrap();
        let body = json!({"since": next, "limit": 3});
        let page = alice.post("publicRooms", body).await.expect_ok();
        assert_eq!(names(&page), names(&pages[1]));
    }
}

#[tokio::test]
async fn the_directory_is_searched() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    for (name, topic, kind) in [
        ("Tea & Cake", "100% é", json!("m.space")),
        ("Coffee", "not_tea", Value::Null),
        ("Odd", "", json!("org.example")),
    ] {
        let request = json!({
            "name": name,
            "topic": topic,
            "visibility": "public",
            "creation_content": {"type": kind},
        });
        alice.create_room(request).await;
    }
    let request = json!({
        "name": "Last", "room_alias_name": "hidden-gem", "visibility": "public"
    });
    alice.create_room(request).await;
    let term = |term: &str| json!({"generic_search_term": term});
    let all = "Coffee, Last, Odd, Tea & Cake";
    for (filter, wanted) in [
        (term("tea"), "Coffee, Tea & Cake"),
        (term("TEA &"), "Tea & Cake"),
        (term("100%"), "Tea & Cake"),
        (term("%"), "Tea & Cake"),
        (term("_"), "Coffee"),
        (term("#hidden"), "Last"),
        (term("nothing"), ""),
        (term(""), all),
        (json!({}), all),
        (json!({"room_types": ["m.space"]}), "Tea & Cake"),
        (json!({"room_types": [null]}), "Coffee, Last"),
        (
            json!({"room_types": [null, "org.example"]}),
            "Coffee, Last, Odd",
        ),
        (json!({"room_types": []}), ""),
        (json!({"room_types": null}), all),
    ] {
        let body = json!({"filter": filter});
        let page = alice.post("publicRooms", body).await.expect_ok();
        let mut found = names(&page);
        found.sort_unstable();
        assert_eq!(found.join(", "), wanted, "{filter}");
    }
}

#[tokio::test]
async fn the_directory_shows_what_a_room_says_of_itself() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let request = json!({
        "name": "Tea",
        "topic": "é",
        "visibility": "public",
        "room_alias_name": "tea",
        "creation_content": {"type": "m.space"},
    });
    let room = alice.create_room(request).await;
    let wanted = json!({
        "room_id": room,
        "name": "Tea",
        "topic": "é",
        "canonical_alias": "#tea:localhost",
        "join_rule": "public",
        "room_type": "m.space",
        "world_readable": false,
        "guest_can_join": false,
        "num_joined_members": 1,
    });
    let page = alice.get("publicRooms").await.expect_ok();
    assert_eq!(page["chunk"], json!([wanted]));
    let topic = |texts: Value| json!({"topic": "old", "m.topic": {"m.text": texts}});
    let html = json!({"body": "<b>new</b>", "mimetype": "text/html"});
    for (texts, shown) in [
        (json!([html, {"body": "new"}]), "new"),
        (
            json!([{"body": "new", "mimetype": "text/plain"}, html]),
            "new",
        ),
        (json!([html]), "old"),
        (json!("x"), "old"),
        (json!([1, {"body": 1}]), "old"),
    ] {
        alice
            .send_state(&room, "m.room.topic", "", topic(texts))
            .await;
        let page = alice.get("publicRooms").await.expect_ok();
        assert_eq!(page["chunk"][0]["topic"], shown, "{page}");
    }
    for (event_type, content) in [
        ("m.room.name", json!({"name": "Coffee"})),
        ("m.room.topic", json!({})),
        ("m.room.avatar", json!({"url": "mxc://localhost/tea"})),
        ("m.room.canonical_alias", json!({})),
        ("m.room.join_rules", json!({"join_rule": "knock"})),
        (
            "m.room.history_visibility",
            json!({"history_visibility": "world_readable"}),
        ),
        ("m.room.guest_access", json!({"guest_access": "can_join"})),
    ] {
        alice.send_state(&room, event_type, "", content).await;
    }
    let wanted = json!({
        "room_id": room,
        "name": "Coffee",
        "avatar_url": "mxc://localhost/tea",
        "join_rule": "knock",
        "room_type": "m.space",
        "world_readable": true,
        "guest_can_join": true,
        "num_joined_members": 1,
    });
    let page = alice.get("publicRooms").await.expect_ok();
    assert_eq!(page["chunk"], json!([wanted]));
}

#[tokio::test]
async fn b40_b41_b42_what_the_directory_cannot_answer_is_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let anyone = server.anonymous();
    for since in [
        "x",
        "-1",
        "0",
        "9223372036854775808",
        "s1_AAAA",
        "END",
        "%00",
        "%F0%9F%98%80",
    ] {
        let path = format!("publicRooms?since={since}");
        anyone.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    for limit in ["-1", "x", "1.5"] {
        let path = format!("publicRooms?limit={limit}");
        anyone.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    for limit in ["0", "1000000000", "99999999999999999999999999"] {
        anyone
            .get(&format!("publicRooms?limit={limit}"))
            .await
            .expect_ok();
    }
    for body in [
        json!({"limit": -1}),
        json!({"limit": "1"}),
        json!({"filter": []}),
        json!({"filter": {"room_types": "m.space"}}),
        json!({"filter": {"generic_search_term": 1}}),
        json!({"since": 1}),
    ] {
        alice
            .post("publicRooms", body)
            .await
            .expect_error(400, "M_BAD_JSON");
    }
    let bombs = [
        json!({"filter": {"generic_search_term": "%".repeat(100_000)}}),
        json!({"filter": {"room_types": vec!["x"; 100_000]}}),
        json!({"since": "x".repeat(100_000)}),
    ];
    for body in bombs {
        alice
            .post("publicRooms", body)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    let path = "publicRooms?server=elsewhere.example";
    anyone.get(path).await.expect_error(404, "M_NOT_FOUND");
    alice
        .post(path, json!({}))
        .await
        .expect_error(404, "M_NOT_FOUND");
    let own = format!("publicRooms?server={}", server.server_name());
    anyone.get(&own).await.expect_ok();
    anyone
        .post("publicRooms", json!({}))
        .await
        .expect_error(401, "M_MISSING_TOKEN");
    let bridged = json!({"third_party_instance_id": "irc"});
    let page = alice.post("publicRooms", bridged).await.expect_ok();
    assert_eq!(page["chunk"], json!([]));
    let all = json!({"include_all_networks": true, "limit": 0});
    alice.post("publicRooms", all).await.expect_ok();
}
