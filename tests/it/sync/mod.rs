//! What is new for you: `/sync`, and the older ways to ask.

use greenroom_tests::{Client, encode};
use serde_json::{Value, json};

mod absence;
mod filters;
mod gaps;
mod ignored;
mod lazy;
mod legacy;
mod memberships;
mod model;
mod restart;
mod sections;
mod shape;
mod visibility;
mod waking;

pub(crate) use self::model::Dice;

/// The token to go on with.
#[track_caller]
pub(crate) fn next(answer: &Value) -> String {
    answer["next_batch"]
        .as_str()
        .unwrap_or_else(|| panic!("no next_batch in {answer}"))
        .to_owned()
}

/// What a joined room's section says; null if there is none.
fn joined<'a>(answer: &'a Value, room: &str) -> &'a Value {
    &answer["rooms"]["join"][room]
}

/// The events of a list such as `timeline` or `state`; none if it is left out.
fn events(list: &Value) -> &[Value] {
    list["events"].as_array().map_or(&[], Vec::as_slice)
}

/// The IDs of the events of a list.
fn ids(list: &Value) -> Vec<&str> {
    let events = events(list).iter();
    events
        .map(|event| event["event_id"].as_str().unwrap())
        .collect()
}

/// `type/state_key` of the state events of a list, sorted.
fn places(list: &Value) -> Vec<String> {
    let place = |event: &Value| {
        let state_key = event["state_key"].as_str()?;
        Some(format!("{}/{state_key}", event["type"].as_str()?))
    };
    let mut places: Vec<String> = events(list).iter().filter_map(place).collect();
    places.sort();
    places
}

/// The state event of a list in this place.
fn in_place<'a>(list: &'a Value, event_type: &str, state_key: &str) -> Option<&'a Value> {
    events(list)
        .iter()
        .find(|event| event["type"] == event_type && event["state_key"] == state_key)
}

/// The bodies of the messages of a list.
fn bodies(list: &Value) -> Vec<&str> {
    events(list)
        .iter()
        .filter(|event| event["type"] == "m.room.message")
        .map(|event| event["content"]["body"].as_str().unwrap_or("(redacted)"))
        .collect()
}

/// The contents of the events of this type in a list.
fn contents<'a>(list: &'a Value, event_type: &str) -> Vec<&'a Value> {
    let of_type = events(list)
        .iter()
        .filter(|event| event["type"] == event_type);
    of_type.map(|event| &event["content"]).collect()
}

/// A sync with a filter, and whatever else.
async fn filtered(reader: &Client, filter: &Value, rest: &str) -> Value {
    let filter = encode(&filter.to_string());
    reader.sync(&format!("filter={filter}&{rest}")).await
}

pub(crate) fn since(token: &str) -> String {
    format!("since={}", encode(token))
}

/// What a user does in a room: `leave`, `join`, `forget`.
async fn does(user: &Client, room: &str, what: &str) {
    let path = format!("rooms/{}/{what}", encode(room));
    user.post(&path, json!({})).await.expect_ok();
}

/// What a user does to another: `kick`, `ban`, `unban`.
async fn does_to(user: &Client, room: &str, what: &str, other: &Client) {
    let path = format!("rooms/{}/{what}", encode(room));
    user.post(&path, json!({"user_id": other.user_id}))
        .await
        .expect_ok();
}

/// Sends numbered messages; gives their IDs.
async fn says(user: &Client, room: &str, texts: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for text in texts {
        ids.push(user.send_text(room, text, text).await);
    }
    ids
}

async fn topic(user: &Client, room: &str, topic: &str) -> String {
    user.send_state(room, "m.room.topic", "", json!({"topic": topic}))
        .await
}
