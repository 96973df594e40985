//! One new event for an account in very many rooms: what the sync costs that brings it.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use super::setup::join_all;
use super::{Bench, cyclic};
use crate::error::{BenchError, Result};
use crate::http::Method;
use crate::latency::Latencies;
use crate::matrix::{Client, Room, escape, success};
use crate::measure::{Measurement, current, rest};
use crate::outcome::Outcome;
use crate::verify::Verdict;

/// Simplified sliding sync, under the only name that it has.
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
/// Rounds before the measured phase.
const WARM_UP: usize = 20;

/// How the reader asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `/sync`, which tells of all rooms.
    Classic,
    /// Sliding sync with a window of one room.
    Sliding,
}

#[derive(Deserialize)]
struct SlidingAnswer {
    pos: String,
}

/// `--count` times: a message into another of `--rooms` rooms, and the sync that brings it.
pub(super) async fn run(bench: &Bench, way: Way) -> Result<Outcome> {
    let (many, count) = (bench.rooms(2_000), bench.count(500));
    let mut outcome = Outcome::new("message and sync", &[("rooms", many as u64)]);
    let mut owners = bench.accounts(9).await?;
    let reader = owners.pop();
    let (owners, rooms) = bench.public_rooms(owners, many).await?;
    let reader = join_all(reader.into_iter().collect(), rooms.clone()).await?;
    let (Some(client), false) = (reader.into_iter().next(), owners.is_empty()) else {
        return Err(BenchError::Setup("no account was registered".into()));
    };
    let mut reader = Reader {
        client,
        way,
        token: String::new(),
    };
    reader.sync().await?;
    let mut senders = Senders {
        owners,
        rooms,
        sent: 0,
    };
    for _ in 0..WARM_UP {
        senders.send().await?;
        reader.sync().await?;
    }
    // The same messages without a sync, to know what of the work is theirs.
    rest(&bench.options.pid).await?;
    let before = current(&bench.options.pid)?;
    for _ in 0..count {
        senders.send().await?;
    }
    rest(&bench.options.pid).await?;
    let sends_alone = match (before, current(&bench.options.pid)?) {
        (Some(before), Some(after)) => Some((after - before) * 1_000.0 / count.max(1) as f64),
        _ => None,
    };
    reader.sync().await?;
    let mut latencies = Latencies::default();
    let mut answers = Vec::with_capacity(count);
    let measurement = Measurement::begin(&bench.options.pid).await?;
    for _ in 0..count {
        let sent = senders.send().await?;
        let started = Instant::now();
        let body = reader.sync().await?;
        latencies.push(started.elapsed());
        answers.push((sent, body));
    }
    measurement
        .end(&mut outcome, count as u64, latencies)
        .await?;
    if let (Some(alone), Some(server)) = (sends_alone, outcome.server) {
        outcome.set("message_cpu_ms", alone);
        outcome.set("sync_cpu_ms", (server.cpu_ms - alone).max(0.0));
    }
    for ((room_id, event_id), body) in answers {
        outcome.verified.add(&check(&room_id, event_id, &body)?);
    }
    Ok(outcome)
}

/// Owners of rooms, who speak in turn.
struct Senders {
    owners: Vec<Client>,
    rooms: Vec<Arc<Room>>,
    sent: usize,
}

impl Senders {
    /// Sends into the next room; gives the ids of room and event.
    async fn send(&mut self) -> Result<(String, String)> {
        // A step that shares no factor with the number of rooms or owners goes through them all.
        let index = self.sent.wrapping_mul(7_919);
        self.sent += 1;
        let room = Arc::clone(cyclic(&self.rooms, index)?);
        let owner = (index % self.rooms.len().max(1)) % self.owners.len().max(1);
        let owner = self
            .owners
            .get_mut(owner)
            .ok_or_else(|| BenchError::Setup("the room has no owner".into()))?;
        let text = format!("news {}", self.sent);
        let txn_id = format!("news-{}", self.sent);
        let event_id = owner.send_text(&room, &txn_id, &text).await?;
        Ok((room.id.clone(), event_id))
    }
}

/// Who syncs, and from where on.
struct Reader {
    client: Client,
    way: Way,
    token: String,
}

impl Reader {
    /// Syncs from the last token, without waiting; gives the answer.
    async fn sync(&mut self) -> Result<Vec<u8>> {
        let body = match self.way {
            Way::Classic => {
                let since = match self.token.as_str() {
                    "" => String::new(),
                    token => format!("&since={}", escape(token)),
                };
                let path = format!("/_matrix/client/v3/sync?timeout=0{since}");
                self.client.call(Method::Get, &path, b"").await?
            }
            Way::Sliding => {
                let pos = match self.token.as_str() {
                    "" => String::new(),
                    token => format!("&pos={}", escape(token)),
                };
                let path = format!("{SLIDING}?timeout=0{pos}");
                let body = br#"{"lists":{"all":{"ranges":[[0,0]],"required_state":[],"timeline_limit":1}}}"#;
                let client = &mut self.client;
                let response = client
                    .connection
                    .request(Method::Post, &path, &client.token, body)
                    .await?;
                success(Method::Post, &path, response)?
            }
        };
        self.token = match self.way {
            Way::Classic => serde_json::from_slice::<crate::matrix::SyncAnswer>(&body)?.next_batch,
            Way::Sliding => serde_json::from_slice::<SlidingAnswer>(&body)?.pos,
        };
        Ok(body)
    }
}

/// The answer has the event, once, in its room, and no other room.
fn check(room_id: &str, event_id: String, body: &[u8]) -> Result<Verdict> {
    let answer: serde_json::Value = serde_json::from_slice(body)?;
    let classic = answer.pointer("/rooms/join");
    let rooms = classic.or_else(|| answer.get("rooms"));
    let rooms = rooms.and_then(serde_json::Value::as_object);
    let only = rooms.filter(|rooms| rooms.len() == 1);
    let Some(room) = only.and_then(|rooms| rooms.get(room_id)) else {
        return Err(BenchError::Verification(format!(
            "an answer has not {room_id} alone"
        )));
    };
    let timeline = room
        .pointer("/timeline/events")
        .or_else(|| room.get("timeline"));
    let found: Vec<String> = timeline
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|event| event.get("event_id")?.as_str().map(str::to_owned))
        .collect();
    Ok(Verdict::compare(&[vec![event_id]], &found))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn both_shapes_of_an_answer_are_read_and_what_is_missing_is_found() {
        let classic = br#"{"rooms":{"join":{"!a":{"timeline":{"events":[{"event_id":"$1"}]}}}}}"#;
        let sliding = br#"{"pos":"1","rooms":{"!a":{"timeline":[{"event_id":"$1"}]}}}"#;
        for body in [classic.as_slice(), sliding.as_slice()] {
            assert!(
                check("!a", "$1".to_owned(), body)
                    .expect("reads")
                    .is_clean()
            );
            assert_eq!(check("!a", "$2".to_owned(), body).expect("reads").lost, 1);
            assert!(check("!b", "$1".to_owned(), body).is_err());
        }
        assert!(check("!a", "$1".to_owned(), br#"{"pos":"1"}"#).is_err());
    }
}
