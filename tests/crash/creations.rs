//! Rooms made under load: whole or not at all.

use std::collections::BTreeSet;

use greenroom_tests::{Client, encode};
use serde_json::Value;

use crate::act::Kind;
use crate::findings::Findings;
use crate::journal::Record;
use crate::world::World;

/// What a room made by the swarm has: its first events, one after the other.
const FIRST_STATE: [&str; 5] = [
    "m.room.create",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.name",
    "m.room.topic",
];

/// Each room that was asked for is there once, whole, under its alias; and there are no others.
pub async fn compare_creations(
    findings: &mut Findings,
    world: &World,
    client: &Client,
    records: &[Record],
) {
    let body = client.get("joined_rooms").await.expect_ok();
    let joined = body["joined_rooms"].as_array().expect("a list");
    let mut others: BTreeSet<&str> = joined.iter().filter_map(Value::as_str).collect();
    for room in world.rooms() {
        others.remove(room.as_str());
    }
    let (_, server) = client.user_id.split_once(':').expect("a user id");
    for record in records {
        if record.act.kind != Kind::Create {
            continue;
        }
        let mark = record.act.mark();
        let alias = encode(&format!("#{mark}:{server}"));
        let found = client.get(&format!("directory/room/{alias}")).await;
        let Some(room) = found.body["room_id"].as_str() else {
            if record.ack.is_some() {
                findings.lost.push(format!("room {mark}"));
            }
            continue;
        };
        if !others.remove(room) {
            let what = format!("room {mark}: its creator is not in {room}");
            findings.altered.push(what);
        }
        let answered = record.ack.as_ref().and_then(|ack| ack.id.as_deref());
        if answered.is_some_and(|answered| answered != room) {
            let what = format!("room {mark}: answered {answered:?}, is {room}");
            findings.altered.push(what);
        }
        if let Err(missing) = is_whole(client, room, &mark).await {
            findings
                .altered
                .push(format!("room {mark} is {room}: {missing}"));
        }
    }
    for room in others {
        findings.stray.push(format!(
            "{} is in {room}, which has no alias",
            client.user_id
        ));
    }
}

async fn is_whole(client: &Client, room: &str, mark: &str) -> Result<(), String> {
    for event_type in FIRST_STATE {
        let content = client.state(room, event_type, "").await;
        if content.status != 200 {
            return Err(content.describe());
        }
        let named = ["name", "topic"].map(|field| &content.body[field]);
        if named.iter().any(|text| text.is_string() && **text != mark) {
            return Err(content.describe());
        }
    }
    Ok(())
}
