//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`

use greenroom_tests::{TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{FOR_STRANGERS, all_pages, list, list_with, page, rooms, rooms_of_every_kind, space};
use crate::rooms::{in_room, shared_room};

#[tokio::test]
async fn a_tree_is_shown_depth_first_in_the_order_of_its_children() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let top = space(&alice, json!({"name": "Root"})).await;
    let inner = space(&alice, json!({"name": "Inner"})).await;
    let [a, b, c, d] = [
        alice.create_room(json!({"name": "A"})).await,
        alice.create_room(json!({"name": "B"})).await,
        alice.create_room(json!({"name": "C"})).await,
        alice.create_room(json!({"name": "D"})).await,
    ];
    // By order, then by time; the one whose order is too long has none.
    list_with(&alice, &top, &a, json!({"order": "x".repeat(51)})).await;
    list_with(&alice, &top, &inner, json!({"order": "b"})).await;
    list_with(&alice, &top, &b, json!({"order": " "})).await;
    list(&alice, &top, &c).await;
    list(&alice, &inner, &d).await;
    let expected = [&top, &b, &inner, &d, &a, &c];

    let whole = page(&alice, &top, "").await;
    assert_eq!(rooms(&whole), expected);
    assert_eq!(whole["next_batch"], Value::Null);
    for limit in 1..=6 {
        let found = all_pages(&alice, &top, &format!("limit={limit}")).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{limit}");
    }

    let shown = &whole["rooms"][0];
    assert_eq!(shown["name"], "Root");
    assert_eq!(shown["room_type"], "m.space");
    assert_eq!(shown["num_joined_members"], 1);
    assert_eq!(shown["guest_can_join"], true);
    assert_eq!(shown["world_readable"], false);
    assert_eq!(shown["join_rule"], "invite");
    assert_eq!(shown["room_version"], "12");
    let children = shown["children_state"].as_array().unwrap();
    let of_b = alice
        .get(&in_room(
            &top,
            &format!("state/m.space.child/{}?format=event", encode(&b)),
        ))
        .await
        .expect_ok();
    assert_eq!(children.len(), 4);
    assert_eq!(
        children[0],
        json!({
            "type": "m.space.child",
            "state_key": b,
            "sender": alice.user_id,
            "content": {"via": ["localhost"], "order": " "},
            "origin_server_ts": of_b["origin_server_ts"],
        })
    );
    let leaf = &whole["rooms"][1];
    assert_eq!(leaf["children_state"], json!([]));
    assert_eq!(leaf["room_type"], Value::Null);
}

#[tokio::test]
async fn a_room_without_a_valid_via_is_no_child_and_in_a_room_that_is_no_space_there_are_none() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let top = space(&alice, json!({})).await;
    let [kept, removed, redacted, odd, other] = [
        alice.create_room(json!({})).await,
        alice.create_room(json!({})).await,
        alice.create_room(json!({})).await,
        alice.create_room(json!({})).await,
        alice.create_room(json!({})).await,
    ];
    for room in [&kept, &removed, &redacted] {
        list(&alice, &top, room).await;
    }
    let child = |room: &str, content: Value| {
        let (alice, top, room) = (alice.clone(), top.clone(), room.to_owned());
        async move {
            alice
                .send_state(&top, "m.space.child", &room, content)
                .await
        }
    };
    child(&removed, json!({})).await;
    child(&odd, json!({"via": []})).await;
    child("no room", json!({"via": ["localhost"]})).await;
    let event = child(&redacted, json!({"via": ["localhost"], "order": "r"})).await;
    alice
        .put(
            &in_room(&top, &format!("redact/{}/r1", encode(&event))),
            json!({}),
        )
        .await
        .expect_ok();
    let found = page(&alice, &top, "").await;
    assert_eq!(rooms(&found), [&top, &kept]);
    assert_eq!(
        found["rooms"][0]["children_state"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // "Has no effect in rooms which are not spaces."
    list(&alice, &other, &kept).await;
    let found = page(&alice, &other, "").await;
    assert_eq!(rooms(&found), [&other]);
    assert_eq!(found["rooms"][0]["children_state"], json!([]));
}

#[tokio::test]
async fn a_loop_ends_and_a_room_is_shown_once() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let [one, two] = [
        space(&alice, json!({})).await,
        space(&alice, json!({})).await,
    ];
    for (parent, child) in [(&one, &two), (&one, &one), (&two, &one), (&two, &two)] {
        list(&alice, parent, child).await;
    }
    for limit in 1..=3 {
        let query = format!("limit={limit}");
        assert_eq!(all_pages(&alice, &one, &query).await, [&*one, &*two]);
        assert_eq!(all_pages(&alice, &two, &query).await, [&*two, &*one]);
    }
}

#[tokio::test]
async fn the_depth_and_what_is_suggested_bound_the_walk() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let top = space(&alice, json!({})).await;
    let inner = space(&alice, json!({})).await;
    let [leaf, deep] = [
        alice.create_room(json!({})).await,
        alice.create_room(json!({})).await,
    ];
    list_with(&alice, &top, &inner, json!({"suggested": true})).await;
    list(&alice, &top, &leaf).await;
    list(&alice, &inner, &deep).await;
    for (query, expected) in [
        ("max_depth=0", vec![&top]),
        ("max_depth=1", vec![&top, &inner, &leaf]),
        (
            "max_depth=99999999999999999999",
            vec![&top, &inner, &deep, &leaf],
        ),
        ("suggested_only=true", vec![&top, &inner]),
        (
            "suggested_only=false&max_depth=2",
            vec![&top, &inner, &deep, &leaf],
        ),
    ] {
        let found = page(&alice, &top, query).await;
        assert_eq!(rooms(&found), expected, "{query}");
    }
    // What a client could open next is told though it is too far down.
    let cut = page(&alice, &top, "max_depth=0").await;
    assert_eq!(
        cut["rooms"][0]["children_state"].as_array().unwrap().len(),
        2
    );
    let suggested = page(&alice, &top, "suggested_only=true").await;
    let shown = suggested["rooms"][0]["children_state"].as_array().unwrap();
    assert_eq!(shown.len(), 1, "{suggested}");
}

#[tokio::test]
async fn b40_a_token_goes_on_with_the_same_walk_only() {
    let server = shared_server().await;
    let (alice, bob, top) =
        shared_room(&server, json!({"creation_content": {"type": "m.space"}})).await;
    for _ in 0..3 {
        list(&alice, &top, &alice.create_public_room().await).await;
    }
    let first = page(&alice, &top, "limit=1&max_depth=3").await;
    let next = encode(first["next_batch"].as_str().unwrap());
    let ask = |client: &greenroom_tests::Client, room: &str, query: String| {
        let path = in_room(room, &format!("hierarchy?limit=1&{query}"));
        let client = client.over("v1");
        async move { client.get(&path).await }
    };
    // The same question has the same answer.
    let good = format!("max_depth=3&from={next}");
    let second = ask(&alice, &top, good.clone()).await.expect_ok();
    assert_eq!(ask(&alice, &top, good.clone()).await.expect_ok(), second);
    for query in [
        format!("from={next}"),
        format!("max_depth=2&from={next}"),
        format!("max_depth=3&suggested_only=true&from={next}"),
    ] {
        let refused = ask(&alice, &top, query).await;
        let body = refused.expect_error(400, "M_INVALID_PARAM");
        let text = "suggested_only and max_depth cannot change on paginated requests.";
        assert_eq!(body["error"], text);
    }
    // Somebody else's, another room's, and what was never a token.
    let elsewhere = space(&alice, json!({})).await;
    ask(&bob, &top, good.clone())
        .await
        .expect_error(400, "M_INVALID_PARAM");
    ask(&alice, &elsewhere, good)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    for junk in ["x", "h1_AAAA", "s1_AAAA", "%00"] {
        ask(&alice, &top, format!("max_depth=3&from={junk}"))
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn b41_limits_are_whole_numbers_above_zero() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let top = space(&alice, json!({})).await;
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "max_depth=-1",
        "max_depth=x",
        "suggested_only=maybe",
    ] {
        let path = in_room(&top, &format!("hierarchy?{query}"));
        alice
            .over("v1")
            .get(&path)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    let found = page(&alice, &top, "limit=99999999999999999999").await;
    assert_eq!(rooms(&found), [&top]);
}

#[tokio::test]
async fn who_turns_pages_sees_the_tree_that_they_began_with() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let top = space(&alice, json!({})).await;
    let mut children = Vec::new();
    for _ in 0..4 {
        children.push(alice.create_room(json!({})).await);
    }
    for child in &children {
        list(&alice, &top, child).await;
    }
    let first = page(&alice, &top, "limit=2").await;
    let next = encode(first["next_batch"].as_str().unwrap());
    assert_eq!(rooms(&first), [&top, &children[0]]);
    // One goes, one comes, one moves to the front.
    alice
        .send_state(&top, "m.space.child", &children[2], json!({}))
        .await;
    list_with(&alice, &top, &children[3], json!({"order": "a"})).await;
    let new = alice.create_room(json!({})).await;
    list_with(&alice, &top, &new, json!({"order": "a"})).await;
    let second = page(&alice, &top, &format!("limit=9&from={next}")).await;
    assert_eq!(rooms(&second), [&children[1], &children[2], &children[3]]);
    // Who begins anew sees the new one.
    let anew = page(&alice, &top, "").await;
    assert_eq!(
        rooms(&anew),
        [&top, &children[3], &new, &children[0], &children[1]]
    );
}

#[tokio::test]
async fn a_page_goes_on_after_a_restart() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let top = space(&alice, json!({})).await;
    for _ in 0..5 {
        list(&alice, &top, &alice.create_room(json!({})).await).await;
    }
    let whole = page(&alice, &top, "").await;
    let first = page(&alice, &top, "limit=3").await;
    let next = encode(first["next_batch"].as_str().unwrap());
    server.restart().await;
    let second = page(&alice, &top, &format!("limit=3&from={next}")).await;
    let found = [rooms(&first), rooms(&second)].concat();
    assert_eq!(found, rooms(&whole));
}

#[tokio::test]
async fn a30_only_rooms_that_one_may_join_knock_at_or_read_are_shown() {
    let server = shared_server().await;
    let [alice, bob, carol] = [
        server.register("alice").await,
        server.register("bob").await,
        server.register("carol").await,
    ];
    let guild = alice.create_public_room().await;
    let top = space(&alice, json!({"preset": "public_chat"})).await;
    let made = rooms_of_every_kind(&alice, &guild).await;
    for (_, room) in &made {
        list(&alice, &top, room).await;
    }
    let seen_by = |reader: greenroom_tests::Client| {
        let top = top.clone();
        async move {
            let found = page(&reader, &top, "").await;
            let rooms = found["rooms"].as_array().unwrap();
            let names = rooms.iter().filter_map(|room| room["name"].as_str());
            names.map(ToOwned::to_owned).collect::<Vec<_>>()
        }
    };
    let kinds = |more: &[&str]| {
        let shown = |kind: &&str| FOR_STRANGERS.contains(kind) || more.contains(kind);
        let kinds = made.iter().map(|(kind, _)| *kind);
        kinds.filter(shown).collect::<Vec<_>>()
    };
    let room = |kind: &str| &made.iter().find(|(other, _)| *other == kind).unwrap().1;
    assert_eq!(seen_by(bob.clone()).await, kinds(&[]));
    // A member of the room that a restricted one allows.
    bob.join(&guild).await;
    assert_eq!(seen_by(bob.clone()).await, kinds(&["restricted"]));
    // Invited, then joined.
    alice.invite(room("private"), &bob).await;
    let more = ["restricted", "private"];
    assert_eq!(seen_by(bob.clone()).await, kinds(&more));
    bob.join(room("private")).await;
    assert_eq!(seen_by(bob.clone()).await, kinds(&more));
    // Who has left a private room knows no more of it than a stranger.
    bob.post(&in_room(room("private"), "leave"), json!({}))
        .await
        .expect_ok();
    assert_eq!(seen_by(bob.clone()).await, kinds(&["restricted"]));
    // The members see them all.
    let all: Vec<&str> = made.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(seen_by(alice.clone()).await, all);
    // Who is banned may not join; what the world may read they may read too.
    let ban = json!({"user_id": carol.user_id});
    for (_, room) in &made {
        alice
            .post(&in_room(room, "ban"), ban.clone())
            .await
            .expect_ok();
    }
    assert_eq!(seen_by(carol.clone()).await, ["readable"]);
}

#[tokio::test]
async fn a30_a_space_that_one_may_not_see_and_one_that_is_not_there_are_refused_alike() {
    let server = shared_server().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let hidden = space(&alice, json!({"name": "secret"})).await;
    let open = space(&alice, json!({"preset": "public_chat"})).await;
    let mut refusals = Vec::new();
    for room in [&*hidden, "!nowhere", "!nowhere:localhost"] {
        let path = in_room(room, "hierarchy");
        let answer = bob.over("v1").get(&path).await;
        refusals.push(answer.expect_error(403, "M_FORBIDDEN"));
    }
    assert_eq!(
        refusals[0]["error"],
        "You are not allowed to view this room."
    );
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]));
    // Also on the second page.
    for _ in 0..2 {
        list(&alice, &open, &alice.create_public_room().await).await;
    }
    let first = page(&bob, &open, "limit=1").await;
    let next = encode(first["next_batch"].as_str().unwrap());
    alice
        .post(&in_room(&open, "ban"), json!({"user_id": bob.user_id}))
        .await
        .expect_ok();
    let path = in_room(&open, &format!("hierarchy?from={next}"));
    let answer = bob.over("v1").get(&path).await;
    assert_eq!(answer.expect_error(403, "M_FORBIDDEN"), refusals[0]);
    let answer = server.anonymous().over("v1").get(&path).await;
    answer.expect_error(401, "M_MISSING_TOKEN");
}
