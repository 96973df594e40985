//! Push rules, unread counts and notifications.

mod counts;
mod model;
mod notifications;
mod rules;

use greenroom_tests::{Client, encode};
use serde_json::{Value, json};

/// What a room's section of a sync says is unread: `[notifications, highlights]`.
fn pair(counts: &Value) -> [u64; 2] {
    ["notification_count", "highlight_count"].map(|key| {
        counts[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key} in {counts}"))
    })
}

/// The counts of a room in a sync from the beginning.
async fn unread(client: &Client, room: &str) -> [u64; 2] {
    let answer = client.sync("timeout=0").await;
    pair(&answer["rooms"]["join"][room]["unread_notifications"])
}

/// A filter under which threads are counted apart.
fn threads_apart() -> String {
    let filter = json!({"room": {"timeline": {"unread_thread_notifications": true}}});
    format!("filter={}", encode(&filter.to_string()))
}

/// The counts of a room's main timeline, and of its threads.
async fn apart(client: &Client, room: &str) -> ([u64; 2], Value) {
    let answer = client.sync(&threads_apart()).await;
    let section = &answer["rooms"]["join"][room];
    let threads = section["unread_thread_notifications"].clone();
    (pair(&section["unread_notifications"]), threads)
}

/// Says that a client has read up to an event; `thread` is null for the whole room.
async fn read(client: &Client, room: &str, kind: &str, event: &str, thread: Value) {
    let path = format!("rooms/{}/receipt/{kind}/{}", encode(room), encode(event));
    let body = match thread {
        Value::Null => json!({}),
        thread => json!({"thread_id": thread}),
    };
    client.post(&path, body).await.expect_ok();
}

/// A message in a thread.
async fn in_thread(client: &Client, room: &str, txn: &str, thread: &str) -> String {
    let content = json!({
        "msgtype": "m.text", "body": "in a thread",
        "m.relates_to": {"rel_type": "m.thread", "event_id": thread},
    });
    client.send(room, "m.room.message", txn, content).await
}

/// A message that mentions somebody.
async fn mention(client: &Client, room: &str, txn: &str, whom: &Client) -> String {
    let content = json!({
        "msgtype": "m.text", "body": "you",
        "m.mentions": {"user_ids": [whom.user_id]},
    });
    client.send(room, "m.room.message", txn, content).await
}

/// Two users in a room of the first one's.
async fn two_in_a_room(alice: &Client, bob: &Client) -> String {
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    room
}

fn rule(path: &str) -> String {
    format!("pushrules/global/{path}")
}
