//! `timestamp_to_event`: the event closest to a time.

use futures_util::future::join_all;
use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room, timeline};

async fn closest(client: &Client, room: &str, query: &str) -> Answer {
    let path = in_room(room, &format!("timestamp_to_event?{query}"));
    client.over("v1").get(&path).await
}

fn time(event: &Value) -> u64 {
    event["origin_server_ts"].as_u64().unwrap()
}

/// What the answer has to be: of those that fit, the closest; of those that are as close, the one
/// that comes first in the direction.
fn right<'a>(events: &'a [Value], ts: u64, dir: &str) -> Option<&'a Value> {
    if dir == "f" {
        let fit = events.iter().filter(|event| time(event) >= ts);
        fit.min_by_key(|event| time(event))
    } else {
        let fit = events.iter().filter(|event| time(event) <= ts);
        fit.max_by_key(|event| time(event))
    }
}

/// Asks around the time of each of the events, which are all that the client sees.
async fn check(client: &Client, room: &str, events: &[Value]) {
    for around in events.iter().map(time) {
        for ts in [around - 1, around, around + 1] {
            for dir in ["f", "b"] {
                let answer = closest(client, room, &format!("ts={ts}&dir={dir}")).await;
                let Some(right) = right(events, ts, dir) else {
                    answer.expect_error(404, "M_NOT_FOUND");
                    continue;
                };
                let found = answer.expect_ok();
                assert_eq!(found["event_id"], right["event_id"], "{ts} {dir} {found}");
                assert_eq!(found["origin_server_ts"], right["origin_server_ts"]);
            }
        }
    }
}

#[tokio::test]
async fn the_event_closest_to_a_time_is_found_in_both_directions() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    for n in 0..20 {
        alice.send_text(&room, &format!("t{n}"), "words").await;
    }
    let events = timeline(&bob, &room).await;
    check(&bob, &room, &events).await;
    // The context of what was found is where one goes on.
    let found = closest(&bob, &room, "ts=0&dir=f").await.expect_ok();
    let event_id = encode(found["event_id"].as_str().unwrap());
    let context = bob
        .get(&in_room(&room, &format!("context/{event_id}")))
        .await;
    assert!(context.expect_ok()["end"].is_string());
}

#[tokio::test]
async fn b27_the_event_closest_to_a_time_is_one_that_the_reader_may_see() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let visibility = json!({"history_visibility": "joined"});
    let room = alice
        .create_room(json!({
            "preset": "public_chat",
            "initial_state": [
                {"type": "m.room.history_visibility", "state_key": "", "content": visibility},
            ],
        }))
        .await;
    for (n, step) in ["before", "join", "between", "leave", "after"]
        .iter()
        .enumerate()
    {
        match *step {
            "join" => bob.join(&room).await,
            "leave" => drop(
                bob.post(&in_room(&room, "leave"), json!({}))
                    .await
                    .expect_ok(),
            ),
            _ => drop(alice.send_text(&room, &format!("t{n}"), step).await),
        }
    }
    let seen = timeline(&bob, &room).await;
    assert!(seen.len() >= 3 && seen.len() < timeline(&alice, &room).await.len());
    check(&bob, &room, &seen).await;
    closest(&bob, &room, "ts=0&dir=f").await.expect_ok();
    closest(&carol, &room, "ts=0&dir=f")
        .await
        .expect_error(403, "M_FORBIDDEN");
    closest(&carol, "!nowhere:localhost", "ts=0&dir=f")
        .await
        .expect_error(403, "M_FORBIDDEN");
    let open = json!({"history_visibility": "world_readable"});
    alice
        .send_state(&room, "m.room.history_visibility", "", open)
        .await;
    let seen = timeline(&carol, &room).await;
    check(&carol, &room, &seen).await;
}

#[tokio::test]
async fn b35_times_that_nobody_lived_at_have_an_answer() {
    let server = TestServer::start().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let last = alice.send_text(&room, "t", "the last").await;
    let year_3000 = 32_503_680_000_000_u64;
    for far in [year_3000, 9_007_199_254_740_991] {
        let found = closest(&alice, &room, &format!("ts={far}&dir=b")).await;
        assert_eq!(found.expect_ok()["event_id"], *last);
        let nothing = closest(&alice, &room, &format!("ts={far}&dir=f")).await;
        nothing.expect_error(404, "M_NOT_FOUND");
    }
    closest(&alice, &room, "ts=0&dir=b")
        .await
        .expect_error(404, "M_NOT_FOUND");
    for bad in [
        "ts=-1&dir=f",
        "ts=9007199254740992&dir=f",
        "ts=x&dir=f",
        "ts=1&dir=x",
        "ts=1.5&dir=f",
    ] {
        closest(&alice, &room, bad)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    for missing in ["ts=1", "dir=f", ""] {
        closest(&alice, &room, missing)
            .await
            .expect_error(400, "M_MISSING_PARAM");
    }
    // After a restart, and in what comes then, too.
    server.restart().await;
    alice.send_text(&room, "t2", "after").await;
    check(&alice, &room, &timeline(&alice, &room).await).await;
}

#[tokio::test]
async fn behind_very_many_events_of_an_ignored_user_the_closest_is_found() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let first = alice.send_text(&room, "first", "before").await;
    for round in 0..26 {
        let sends = (0..200).map(async |n| {
            bob.send_text(&room, &format!("t{round}-{n}"), "noise")
                .await
        });
        join_all(sends).await;
    }
    let last = alice.send_text(&room, "last", "behind").await;
    let at = async |event_id: &str| {
        let path = in_room(&room, &format!("event/{}", encode(event_id)));
        time(&alice.get(&path).await.expect_ok())
    };
    let (after_first, before_last) = (at(&first).await + 1, at(&last).await - 1);
    crate::relations::ignore(&alice, &[&bob]).await;
    for (query, right) in [
        (format!("ts={after_first}&dir=f"), &last),
        (format!("ts={before_last}&dir=b"), &first),
    ] {
        let found = closest(&alice, &room, &query).await.expect_ok();
        assert_eq!(found["event_id"], **right, "{query}");
    }
}
