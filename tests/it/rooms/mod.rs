//! Rooms: made, written to, ruled.

use greenroom_tests::{Client, TestServer, encode};
use serde_json::{Value, json};

mod bad_events;
mod creation;
mod power;
mod redaction;
mod redaction_copies;
mod sending;
mod server_acl;
mod transactions;
mod upgrade;

/// A path below a room.
pub(crate) fn in_room(room: &str, rest: &str) -> String {
    format!("rooms/{}/{rest}", encode(room))
}

/// Alice's room, made with this request, which Bob has joined.
pub(crate) async fn shared_room(server: &TestServer, request: Value) -> (Client, Client, String) {
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(request).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

/// All events of a room that somebody may see, oldest first.
pub(crate) async fn timeline(reader: &Client, room: &str) -> Vec<Value> {
    let page = reader.messages(room, "dir=f&limit=1000").await;
    page["chunk"].as_array().unwrap().clone()
}

/// The event IDs of events.
pub(crate) fn ids(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect()
}

/// The texts of the messages among events.
pub(crate) fn texts(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event["type"] == "m.room.message")
        .map(|event| event["content"]["body"].as_str().unwrap_or("(redacted)"))
        .collect()
}

pub(crate) fn text(body: &str) -> Value {
    json!({"msgtype": "m.text", "body": body})
}

/// Sends a body as it is, as the content of an event without a transaction ID.
pub(crate) async fn send_raw(
    sender: &Client,
    room: &str,
    event_type: &str,
    body: impl Into<Vec<u8>>,
) -> greenroom_tests::Answer {
    let path = in_room(room, &format!("send/{}", encode(event_type)));
    sender.raw(reqwest::Method::POST, &path, &[], body).await
}
