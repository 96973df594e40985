//! Events that relate to others: threads, edits, reactions, references; what may be sent, what is
//! summed up of it and for whom.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room, text};

mod bundles;
mod in_sync;
mod listing;
mod sending;
mod threads;

/// The content of a message that relates to another event.
pub(crate) fn relating(rel_type: &str, target: &str) -> Value {
    json!({
        "msgtype": "m.text",
        "body": format!("{rel_type} of {target}"),
        "m.relates_to": { "rel_type": rel_type, "event_id": target },
    })
}

/// An edit of a message.
pub(crate) fn edit(target: &str, body: &str) -> Value {
    let mut content = relating("m.replace", target);
    content["m.new_content"] = text(body);
    content
}

/// Sends a message without a transaction ID and gives its ID.
pub(crate) async fn say(client: &Client, room: &str, content: Value) -> String {
    post(client, room, "m.room.message", content).await
}

async fn post(client: &Client, room: &str, event_type: &str, content: Value) -> String {
    let path = in_room(room, &format!("send/{}", encode(event_type)));
    let sent = client.post(&path, content).await.expect_ok();
    sent["event_id"].as_str().unwrap().to_owned()
}

async fn react(client: &Client, room: &str, target: &str, key: &str) -> greenroom_tests::Answer {
    let relates_to = json!({ "rel_type": "m.annotation", "event_id": target, "key": key });
    let path = in_room(room, "send/m.reaction");
    client
        .post(&path, json!({ "m.relates_to": relates_to }))
        .await
}

async fn redact(client: &Client, room: &str, target: &str) {
    let path = in_room(room, &format!("redact/{}", encode(target)));
    client.post(&path, json!({})).await.expect_ok();
}

async fn event(client: &Client, room: &str, event_id: &str) -> Value {
    let path = in_room(room, &format!("event/{}", encode(event_id)));
    client.get(&path).await.expect_ok()
}

/// What one is told of the relations to an event.
async fn relations(client: &Client, room: &str, event_id: &str) -> Value {
    event(client, room, event_id).await["unsigned"]["m.relations"].clone()
}

pub(crate) async fn ignore(client: &Client, others: &[&Client]) {
    let ignored: serde_json::Map<String, Value> = others
        .iter()
        .map(|other| (other.user_id.clone(), json!({})))
        .collect();
    let user = encode(&client.user_id);
    let path = format!("user/{user}/account_data/m.ignored_user_list");
    let content = json!({ "ignored_users": ignored });
    client.put(&path, content).await.expect_ok();
}
