//! `GET threads`: the threads of a room, by their newest replies.

use super::*;
use crate::rooms::ids;

async fn ask(client: &Client, room: &str, query: &str) -> greenroom_tests::Answer {
    let path = in_room(room, &format!("threads?{query}"));
    client.over("v1").get(&path).await
}

fn chunk(page: &Value) -> Vec<&str> {
    ids(page["chunk"].as_array().unwrap())
}

/// A message by `starter` and a reply by `other`.
async fn thread(starter: &Client, other: &Client, room: &str) -> String {
    let opening = say(starter, room, text("opening")).await;
    say(other, room, relating("m.thread", &opening)).await;
    opening
}

#[tokio::test]
async fn threads_are_listed_by_their_newest_replies() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let empty = ask(&bob, &room, "").await.expect_ok();
    assert_eq!(empty, json!({"chunk": []}));
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(thread(&alice, &alice, &room).await);
    }
    say(&alice, &room, text("no thread")).await;
    let last = say(&alice, &room, relating("m.thread", &all[1])).await;
    let right = [&all[1], &all[4], &all[3], &all[2], &all[0]].map(String::as_str);
    let page = ask(&bob, &room, "").await.expect_ok();
    assert_eq!(chunk(&page), right);
    assert_eq!(page.get("next_batch"), None);
    let thread = &page["chunk"][0]["unsigned"]["m.relations"]["m.thread"];
    assert_eq!(thread["latest_event"]["event_id"], *last);
    assert_eq!(thread["count"], 2);
    let (mut found, mut from) = (Vec::new(), String::new());
    loop {
        let page = ask(&bob, &room, &format!("limit=2{from}"))
            .await
            .expect_ok();
        assert!(chunk(&page).len() <= 2);
        found.extend(chunk(&page).into_iter().map(ToOwned::to_owned));
        let Some(next) = page["next_batch"].as_str() else {
            break;
        };
        from = format!("&from={}", encode(next));
    }
    assert_eq!(found, right);
    // A redacted root is still one, a thread whose replies are all redacted is none.
    redact(&alice, &room, &all[1]).await;
    redact(&alice, &room, &last).await;
    let page = ask(&bob, &room, "limit=10").await.expect_ok();
    let right = [&all[4], &all[3], &all[2], &all[1], &all[0]].map(String::as_str);
    assert_eq!(chunk(&page), right);
    assert_eq!(page["chunk"][3]["content"], json!({}));
    let replies = page["chunk"][0]["unsigned"]["m.relations"]["m.thread"].clone();
    let reply = replies["latest_event"]["event_id"].as_str().unwrap();
    redact(&alice, &room, reply).await;
    let page = ask(&bob, &room, "").await.expect_ok();
    assert_eq!(chunk(&page)[0], all[3]);
}

#[tokio::test]
async fn only_those_that_one_has_taken_part_in() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let started = thread(&bob, &alice, &room).await;
    let strange = thread(&alice, &carol, &room).await;
    let replied = thread(&alice, &bob, &room).await;
    let page = ask(&bob, &room, "include=participated").await.expect_ok();
    assert_eq!(chunk(&page), [replied.as_str(), started.as_str()]);
    for root in page["chunk"].as_array().unwrap() {
        let thread = &root["unsigned"]["m.relations"]["m.thread"];
        assert_eq!(thread["current_user_participated"], true);
    }
    let first = ask(&bob, &room, "include=participated&limit=1")
        .await
        .expect_ok();
    assert_eq!(chunk(&first), [replied.as_str()]);
    let next = encode(first["next_batch"].as_str().unwrap());
    let query = format!("include=participated&limit=1&from={next}");
    let rest = ask(&bob, &room, &query).await.expect_ok();
    assert_eq!(chunk(&rest), [started.as_str()]);
    let all = ask(&bob, &room, "include=all").await.expect_ok();
    assert_eq!(chunk(&all), [&*replied, &*strange, &*started]);
}

#[tokio::test]
async fn a_root_by_an_ignored_user_is_shown_redacted() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let opening = thread(&bob, &alice, &room).await;
    say(&bob, &room, edit(&opening, "secret")).await;
    let own = thread(&alice, &bob, &room).await;
    ignore(&alice, &[&bob]).await;
    let page = ask(&alice, &room, "").await.expect_ok();
    // In the other thread nobody else has replied.
    assert_eq!(chunk(&page), [opening.as_str()]);
    let shown = &page["chunk"][0];
    assert_eq!(shown["content"], json!({}));
    assert_eq!(shown["unsigned"]["m.relations"]["m.thread"]["count"], 1);
    assert_eq!(shown["unsigned"]["m.relations"].get("m.replace"), None);
    let page = ask(&bob, &room, "").await.expect_ok();
    assert_eq!(chunk(&page), [own.as_str(), opening.as_str()]);
    assert_eq!(page["chunk"][1]["content"]["body"], "opening");
}

#[tokio::test]
async fn what_one_may_not_see_is_in_no_thread() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let seen = thread(&alice, &alice, &room).await;
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    thread(&alice, &alice, &room).await;
    say(&alice, &room, relating("m.thread", &seen)).await;
    let page = ask(&bob, &room, "").await.expect_ok();
    assert_eq!(chunk(&page), [seen.as_str()]);
    assert_eq!(
        page["chunk"][0]["unsigned"]["m.relations"]["m.thread"]["count"],
        1
    );
    let carol = server.register("carol").await;
    ask(&carol, &room, "")
        .await
        .expect_error(403, "M_FORBIDDEN");
    ask(&carol, "!unknown", "")
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn b40_b41_what_is_no_page_of_threads_is_refused() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let of_alice = encode(&alice.now().await);
    for bad in [
        "from=x",
        "include=x",
        "limit=-1",
        "limit=x",
        &format!("from={of_alice}"),
    ] {
        let refused = ask(&bob, &room, bad).await;
        refused.expect_error(400, "M_INVALID_PARAM");
    }
    ask(&bob, &room, "limit=1000000000&from=").await.expect_ok();
}

#[tokio::test]
async fn b41_a_limit_of_zero_is_the_least_page() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(thread(&alice, &bob, &room).await);
    }
    let last = all.last().unwrap();
    say(&bob, &room, relating("m.thread", last)).await;
    // Whoever asks for nothing still gets on.
    let mut found = Vec::new();
    let mut from = String::new();
    for _ in 0..2 {
        let page = ask(&alice, &room, &format!("limit=0{from}"))
            .await
            .expect_ok();
        found.extend(chunk(&page).into_iter().map(ToOwned::to_owned));
        let next = page["next_batch"].as_str().unwrap_or_default();
        from = format!("&from={}", encode(next));
    }
    all.reverse();
    assert_eq!(found, all);
    let path = in_room(&room, &format!("relations/{}?limit=0", encode(&all[0])));
    let page = alice.over("v1").get(&path).await.expect_ok();
    assert_eq!(chunk(&page).len(), 1);
    assert!(page["next_batch"].is_string());
}
