//! Pages, orders and groups of results.

use std::collections::BTreeSet;

use greenroom_tests::{Client, TestServer, shared_server};
use serde_json::{Value, json};

use super::{ask, found, search};
use crate::rooms::shared_room;

/// All results of a search, page by page from `token` on.
async fn all(client: &Client, criteria: &Value, token: &str) -> Vec<(String, f64)> {
    let mut token = token.to_owned();
    let mut all = Vec::new();
    loop {
        let answer = ask(client, criteria.clone(), &token).await.expect_ok();
        let results = &answer["search_categories"]["room_events"];
        for result in results["results"].as_array().unwrap() {
            let event_id = result["result"]["event_id"].as_str().unwrap();
            all.push((event_id.to_owned(), result["rank"].as_f64().unwrap()));
        }
        match results["next_batch"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => return all,
        }
    }
}

#[tokio::test]
async fn pages_have_every_result_once_in_either_order() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let mut sent = Vec::new();
    for n in 0..35 {
        let text = format!("cormorant {}", "and more ".repeat(n % 7));
        sent.push(alice.send_text(&room, &format!("t{n}"), &text).await);
    }
    for limit in [1, 4, 35, 100] {
        let by = |order: &str| json!({"search_term": "cormorant", "order_by": order, "filter": {"limit": limit}});
        let recent = all(&bob, &by("recent"), "").await;
        let ids: Vec<&String> = recent.iter().map(|(id, _)| id).collect();
        assert_eq!(ids, sent.iter().rev().collect::<Vec<_>>(), "{limit}");
        let ranked = all(&bob, &by("rank"), "").await;
        assert!(
            ranked.is_sorted_by(|one, other| one.1 >= other.1),
            "{limit}"
        );
        let ids: BTreeSet<&String> = ranked.iter().map(|(id, _)| id).collect();
        assert_eq!((ids.len(), ranked.len()), (35, 35), "{limit}");
    }
    // What comes between two pages is not on the second.
    let criteria =
        json!({"search_term": "cormorant", "order_by": "recent", "filter": {"limit": 5}});
    let first = search(&bob, criteria.clone()).await;
    alice.send_text(&room, "late", "a late cormorant").await;
    let rest = all(&bob, &criteria, first["next_batch"].as_str().unwrap()).await;
    assert_eq!(rest.len(), 30);
}

#[tokio::test]
async fn groups_have_their_results_and_pages_of_their_own() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other = alice.create_public_room().await;
    bob.join(&other).await;
    for n in 0..6 {
        alice.send_text(&room, &format!("a{n}"), "an osprey").await;
        bob.send_text(&room, &format!("b{n}"), "an osprey").await;
        alice.send_text(&other, &format!("c{n}"), "an osprey").await;
    }
    let criteria = json!({
        "search_term": "osprey",
        "order_by": "recent",
        "filter": {"limit": 7},
        "groupings": {"group_by": [{"key": "room_id"}, {"key": "sender"}]},
    });
    let results = search(&bob, criteria.clone()).await;
    let page: BTreeSet<&str> = found(&results).into_iter().collect();
    for (kind, sizes) in [
        ("room_id", [(&room, 12), (&other, 6)]),
        ("sender", [(&alice.user_id, 12), (&bob.user_id, 6)]),
    ] {
        let groups = &results["groups"][kind];
        let mut grouped = BTreeSet::new();
        let mut orders = BTreeSet::new();
        for (key, size) in sizes {
            let group = &groups[key];
            let ids: Vec<&str> = group["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap())
                .collect();
            let token = group["next_batch"].as_str().unwrap();
            let rest = all(&bob, &criteria, token).await;
            assert_eq!(ids.len() + rest.len(), size, "{kind} {key}");
            assert!(
                rest.iter().all(|(id, _)| !page.contains(&**id)),
                "{kind} {key}"
            );
            grouped.extend(ids);
            orders.insert(group["order"].as_u64().unwrap());
        }
        assert_eq!(grouped, page, "{kind}");
        assert_eq!(orders, BTreeSet::from([1, 2]));
    }
}

#[tokio::test]
async fn b40_tokens_of_others_and_of_nobody_are_refused() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    for n in 0..3 {
        alice.send_text(&room, &format!("t{n}"), "a puffin").await;
    }
    let criteria = json!({"search_term": "puffin", "order_by": "recent", "filter": {"limit": 1}});
    let results = search(&bob, criteria.clone()).await;
    let token = results["next_batch"].as_str().unwrap();
    ask(&bob, criteria.clone(), token).await.expect_ok();
    let since = bob.now().await;
    let mut forged = token.to_owned();
    forged.insert(8, 'A');
    for (client, token) in [
        (&alice, token),
        (&bob, "x"),
        (&bob, "q1_AAAA"),
        (&bob, "-1"),
        (&bob, &*since),
        (&bob, &*forged),
    ] {
        let answer = ask(client, criteria.clone(), token).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    // One of another order leads nowhere.
    let ranked = json!({"search_term": "puffin", "filter": {"limit": 1}});
    ask(&bob, ranked, token)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    let alien = TestServer::start().await;
    let carol = alien.register("carol").await;
    let answer = ask(&carol, criteria, token).await;
    answer.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn b40_a_token_leads_on_in_its_own_search_only() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    for n in 0..3 {
        alice
            .send_text(&room, &format!("t{n}"), "a puffin and a gull")
            .await;
    }
    let criteria = |term: &str, filter: Value| json!({"search_term": term, "filter": filter});
    let results = search(&bob, criteria("puffin", json!({"limit": 1}))).await;
    let token = results["next_batch"].as_str().unwrap();
    let again = criteria("puffin", json!({"limit": 2}));
    ask(&bob, again, token).await.expect_ok();
    let mut with_keys = criteria("puffin", json!({"limit": 1}));
    with_keys["keys"] = json!(["content.name"]);
    for other in [
        criteria("gull", json!({"limit": 1})),
        criteria("puffin", json!({"limit": 1, "rooms": [room]})),
        criteria("puffin", json!({"limit": 1, "senders": [alice.user_id]})),
        criteria(
            "puffin",
            json!({"limit": 1, "not_types": ["m.room.message"]}),
        ),
        with_keys,
    ] {
        let answer = ask(&bob, other, token).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn a_group_within_a_group_is_in_both() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other = alice.create_public_room().await;
    bob.join(&other).await;
    for n in 0..4 {
        alice
            .send_text(&room, &format!("a{n}"), "a kittiwake")
            .await;
        bob.send_text(&room, &format!("b{n}"), "a kittiwake").await;
        alice
            .send_text(&other, &format!("c{n}"), "a kittiwake")
            .await;
    }
    let criteria = json!({
        "search_term": "kittiwake",
        "order_by": "recent",
        "filter": {"limit": 3},
        "groupings": {"group_by": [{"key": "room_id"}, {"key": "sender"}]},
    });
    let first = search(&bob, criteria.clone()).await;
    let token = &first["groups"]["room_id"][&room]["next_batch"];
    let second = ask(&bob, criteria.clone(), token.as_str().unwrap()).await;
    let second = &second.expect_ok()["search_categories"]["room_events"];
    // Of the room's eight there are more than the six of these two pages.
    let token = &second["groups"]["sender"][&*alice.user_id]["next_batch"];
    let rest = all(&bob, &criteria, token.as_str().unwrap()).await;
    let body = ask(&bob, criteria.clone(), token.as_str().unwrap()).await;
    for result in body.expect_ok()["search_categories"]["room_events"]["results"]
        .as_array()
        .unwrap()
    {
        assert_eq!(result["result"]["room_id"], *room);
        assert_eq!(result["result"]["sender"], *alice.user_id);
    }
    assert!(!rest.is_empty() && rest.len() < 4, "{rest:?}");
}
