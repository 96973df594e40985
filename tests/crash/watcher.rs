//! A client that syncs on and on, with the tokens it got before each interruption.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use greenroom_tests::encode;
use reqwest::Method;
use serde_json::Value;

use crate::act::mark_of;
use crate::swarm::Stage;
use crate::world::{END, World};

/// The events of each room, in the order in which they came.
pub type Watched = BTreeMap<String, Vec<Value>>;

/// Small, so that there are gaps to fill.
const FILTER: &str = r#"{"room":{"timeline":{"limit":30}}}"#;

/// Syncs as the witness until the end was said in every room.
pub async fn watch(world: World, stage: Arc<Stage>, mut since: String) -> Watched {
    let mut watched = Watched::new();
    let mut ended = BTreeSet::new();
    let rooms = world.rooms().count();
    while ended.len() < rooms {
        let path = format!(
            "sync?timeout=10000&since={}&filter={}",
            encode(&since),
            encode(FILTER)
        );
        let body = read(&world, &stage, path).await;
        for room in world.rooms() {
            let joined = &body["rooms"]["join"][room];
            let timeline = &joined["timeline"];
            let mut events = Vec::new();
            if timeline["limited"] == true {
                let prev_batch = timeline["prev_batch"].as_str().expect("of a limited one");
                events = gap(&world, &stage, room, prev_batch, &since).await;
            }
            events.extend(timeline["events"].as_array().into_iter().flatten().cloned());
            if events.iter().any(|event| mark_of(event) == Some(END)) {
                ended.insert(room.clone());
            }
            watched.entry(room.clone()).or_default().extend(events);
        }
        since = text(&body, "next_batch").expect("in every sync");
    }
    watched
}

/// What a limited timeline has left out.
async fn gap(world: &World, stage: &Stage, room: &str, from: &str, to: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut from = Some(from.to_owned());
    while let Some(token) = from {
        let path = format!(
            "rooms/{}/messages?dir=b&limit=100&from={}&to={}",
            encode(room),
            encode(&token),
            encode(to)
        );
        let body = read(world, stage, path).await;
        let chunk = body["chunk"].as_array().expect("a chunk");
        events.extend(chunk.iter().cloned());
        from = text(&body, "end").filter(|_| !chunk.is_empty());
    }
    events.reverse();
    events
}

async fn read(world: &World, stage: &Stage, path: String) -> Value {
    let request = (Method::GET, path, Value::Null);
    let (answer, _tries) = stage.insist(&world.witness, &request, |_| {}).await;
    answer.expect_ok()
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}
