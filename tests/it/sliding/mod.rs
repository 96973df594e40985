//! Sliding sync: lists, subscriptions, and what is new in the rooms that they are about.
#![allow(
    clippy::needless_pass_by_value,
    reason = "bodies are written where they are given away"
)]

use greenroom_tests::{Answer, Client, encode};
use serde_json::{Value, json};

mod bad_input;
mod extensions;
mod leaving;
mod lists;
mod model;
mod positions;
mod rooms;

const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// One request, with a position or none.
async fn ask(client: &Client, pos: Option<&str>, timeout: u64, body: Value) -> Answer {
    let pos = pos.map(|pos| format!("&pos={}", encode(pos)));
    let pos = pos.unwrap_or_default();
    client
        .post(&format!("{PATH}?timeout={timeout}{pos}"), body)
        .await
}

/// The same, with an answer.
async fn slide(client: &Client, pos: Option<&str>, body: Value) -> Value {
    ask(client, pos, 0, body).await.expect_ok()
}

/// The position of an answer.
#[track_caller]
fn pos(answer: &Value) -> &str {
    answer["pos"]
        .as_str()
        .unwrap_or_else(|| panic!("no pos in {answer}"))
}

/// A request for all rooms, with so many events each.
fn all(limit: u64) -> Value {
    list(json!({"timeline_limit": limit, "ranges": [[0, 99]]}))
}

/// A request with one list.
fn list(list: Value) -> Value {
    json!({"lists": {"all": list}})
}

/// The IDs of events.
fn ids(events: &Value) -> Vec<&str> {
    let events = events.as_array().map_or(&[][..], Vec::as_slice);
    let ids = events.iter().map(|event| event["event_id"].as_str());
    ids.map(Option::unwrap).collect()
}

/// `type/state_key` of state events, sorted.
fn places(state: &Value) -> Vec<String> {
    let events = state.as_array().map_or(&[][..], Vec::as_slice);
    let mut places: Vec<String> = events
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            format!("{}/{}", text("type"), text("state_key"))
        })
        .collect();
    places.sort();
    places
}

/// The rooms of an answer.
fn rooms(answer: &Value) -> Vec<&str> {
    let rooms = answer["rooms"].as_object().unwrap();
    rooms.keys().map(String::as_str).collect()
}
