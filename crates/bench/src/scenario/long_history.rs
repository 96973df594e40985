//! Pages of a very long room.

use super::Bench;
use super::setup::{Filling, fill_together, join_all};
use crate::error::{BenchError, Result};
use crate::latency::Latencies;
use crate::matrix::history;
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::verify::Verdict;

/// Pages of 100 through `--messages` events of the size of encrypted ones, once.
pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (messages, many) = (bench.messages(100_000), bench.senders(64));
    let mut outcome = Outcome::new("page of 100 events", &[("events", messages as u64)]);
    let mut clients = bench.accounts(many).await?;
    let others = clients.split_off(1.min(clients.len()));
    let (mut senders, rooms) = bench.public_rooms(clients, 1).await?;
    let Some(room) = rooms.first() else {
        return Err(BenchError::Setup("no room was created".into()));
    };
    senders.extend(join_all(others, rooms.clone()).await?);
    let (mut clients, acked) = fill_together(senders, room, messages, Filling::Encrypted).await?;
    let Some(reader) = clients.first_mut() else {
        return Err(BenchError::Setup("no account was registered".into()));
    };
    let mut latencies = Latencies::default();
    let measurement = Measurement::begin(&bench.options.pid).await?;
    let walk = history(reader, room, &mut latencies).await?;
    let pages = latencies.len() as u64;
    measurement.end(&mut outcome, pages, latencies).await?;
    let found: Vec<String> = walk
        .into_iter()
        .rev()
        .filter(|event| event.state_key.is_none())
        .map(|event| event.event_id)
        .collect();
    outcome.verified = Verdict::compare(&acked, &found);
    Ok(outcome)
}
