//! What is redacted is not found, and the index is right wherever the server ends.

use futures_util::future::join_all;
use greenroom_tests::{TestServer, encode, shared_server};
use serde_json::json;

use super::recent;
use crate::rooms::{in_room, shared_room};

#[tokio::test]
async fn b33_a39_what_is_redacted_is_not_found_from_the_acknowledgement_on() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let redact = async |event_id: &str, txn: &str| {
        let path = in_room(&room, &format!("redact/{}/{txn}", encode(event_id)));
        alice.put(&path, json!({})).await.expect_ok();
    };
    for (n, is_indexed) in [(0, true), (1, false), (2, true)] {
        let said = alice
            .send_text(&room, &format!("t{n}"), "an albatross")
            .await;
        if is_indexed {
            assert_eq!(recent(&bob, "albatross").await, [&*said]);
        }
        redact(&said, &format!("r{n}")).await;
        assert!(recent(&bob, "albatross").await.is_empty());
    }
    let topic = json!({"topic": "albatrosses"});
    let topic = alice.send_state(&room, "m.room.topic", "", topic).await;
    assert_eq!(recent(&bob, "albatross").await, [&*topic]);
    redact(&topic, "r").await;
    assert!(recent(&bob, "albatross").await.is_empty());
}

#[tokio::test]
async fn redactions_and_searches_at_once_never_show_a_word_that_is_gone() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let mut sent = Vec::new();
    for n in 0..30 {
        sent.push(
            alice
                .send_text(&room, &format!("t{n}"), "a kingfisher")
                .await,
        );
    }
    join_all(sent.iter().enumerate().map(async |(n, event_id)| {
        if n % 3 == 0 {
            recent(&bob, "kingfisher").await;
        }
        let path = in_room(&room, &format!("redact/{}/r{n}", encode(event_id)));
        alice.put(&path, json!({})).await.expect_ok();
        assert!(!recent(&bob, "kingfisher").await.contains(event_id));
    }))
    .await;
    assert!(recent(&bob, "kingfisher").await.is_empty());
}

#[tokio::test]
async fn after_every_end_all_is_found_that_was_acknowledged_and_nothing_that_was_redacted() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let mut kept = Vec::new();
    for round in 0..4 {
        let sends = (0..40).map(async |n| {
            let txn = format!("t{round}-{n}");
            (n, alice.send_text(&room, &txn, "one more sandpiper").await)
        });
        for (n, event_id) in join_all(sends).await {
            if n % 4 == 0 {
                let path = in_room(&room, &format!("redact/{}/r{round}-{n}", encode(&event_id)));
                alice.put(&path, json!({})).await.expect_ok();
            } else {
                kept.push(event_id);
            }
            if n == 20 && round % 2 == 0 {
                recent(&bob, "sandpiper").await;
            }
        }
        if round % 2 == 0 {
            server.kill9().await;
        }
        server.restart().await;
        // Of each page of a hundred.
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let criteria = json!({
                "search_term": "sandpiper", "order_by": "recent", "filter": {"limit": 100},
            });
            let answer = super::ask(&bob, criteria, &token).await.expect_ok();
            let results = &answer["search_categories"]["room_events"];
            found.extend(super::found(results).into_iter().map(str::to_owned));
            match results["next_batch"].as_str() {
                Some(next) => next.clone_into(&mut token),
                None => break,
            }
        }
        let mut right = kept.clone();
        right.sort();
        found.sort();
        assert_eq!(found, right, "round {round}");
    }
}
