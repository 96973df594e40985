//! Spaces, and what one may be told of rooms before one is in them.

use greenroom_tests::{Client, encode};
use serde_json::{Value, json};

use crate::rooms::in_room;

mod hierarchy;
mod mutual;
mod summary;

/// A space that its creator has made of these settings.
async fn space(owner: &Client, mut request: Value) -> String {
    request["creation_content"] = json!({"type": "m.space"});
    owner.create_room(request).await
}

/// Lists a room in a space.
async fn list(owner: &Client, space: &str, room: &str) {
    list_with(owner, space, room, json!({})).await;
}

/// Lists a room in a space with more than where it is.
async fn list_with(owner: &Client, space: &str, room: &str, mut content: Value) {
    content["via"] = json!(["localhost"]);
    owner
        .send_state(space, "m.space.child", room, content)
        .await;
}

/// A page of a tree: `query` as in `limit=2`.
async fn page(reader: &Client, space: &str, query: &str) -> Value {
    let path = in_room(space, &format!("hierarchy?{query}"));
    reader.over("v1").get(&path).await.expect_ok()
}

/// The rooms on a page.
fn rooms(page: &Value) -> Vec<&str> {
    let rooms = page["rooms"].as_array().unwrap();
    rooms
        .iter()
        .map(|room| room["room_id"].as_str().unwrap())
        .collect()
}

/// All rooms of a tree, page by page.
async fn all_pages(reader: &Client, space: &str, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = String::new();
    loop {
        let answer = page(reader, space, &format!("{query}{from}")).await;
        found.extend(rooms(&answer).into_iter().map(ToOwned::to_owned));
        match answer["next_batch"].as_str() {
            Some(next) => from = format!("&from={}", encode(next)),
            None => return found,
        }
    }
}

/// Rooms that differ in who may know of them, each with its name.
async fn rooms_of_every_kind(owner: &Client, guild: &str) -> Vec<(&'static str, String)> {
    let rule = |rule: &str| json!({"type": "m.room.join_rules", "content": {"join_rule": rule}});
    let restricted = json!({"type": "m.room.join_rules", "content": {
        "join_rule": "restricted",
        "allow": [{"type": "m.room_membership", "room_id": guild}],
    }});
    let readable = json!({"type": "m.room.history_visibility",
        "content": {"history_visibility": "world_readable"}});
    let mut made = Vec::new();
    for (kind, state) in [
        ("private", vec![rule("invite")]),
        ("public", vec![rule("public")]),
        ("knock", vec![rule("knock")]),
        ("knock_restricted", vec![rule("knock_restricted")]),
        ("restricted", vec![restricted]),
        ("readable", vec![rule("invite"), readable]),
    ] {
        let request = json!({"name": kind, "initial_state": state});
        made.push((kind, owner.create_room(request).await));
    }
    made
}

/// What somebody never seen by the owner may know of.
const FOR_STRANGERS: [&str; 4] = ["public", "knock", "knock_restricted", "readable"];
