//! A large room, and what it takes on the disk.

use std::sync::Arc;

use super::Bench;
use super::setup::{Filling, fill_together, ids_of_messages, join_all};
use crate::database;
use crate::error::{BenchError, Result};
use crate::latency::Latencies;
use crate::matrix::history;
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::verify::Verdict;

/// Of the members, how many send.
const SENDERS: usize = 64;

/// `--messages` messages into a room of `--members`.
pub(super) async fn fill(bench: &Bench) -> Result<Outcome> {
    let (members, messages) = (bench.options.members as usize, bench.messages(50_000));
    let parameters = [("members", members as u64), ("messages", messages as u64)];
    let mut outcome = Outcome::new("acknowledged message", &parameters);
    let mut clients = bench.accounts(members).await?;
    let others = clients.split_off(1.min(clients.len()));
    let (mut senders, rooms) = bench.public_rooms(clients, 1).await?;
    let Some(room) = rooms.first().map(Arc::clone) else {
        return Err(BenchError::Setup("no room was created".into()));
    };
    senders.extend(join_all(others, rooms).await?);
    senders.truncate(SENDERS);
    let measurement = Measurement::begin(&bench.options.pid).await?;
    let (mut senders, acked) = fill_together(senders, &room, messages, Filling::Text).await?;
    measurement
        .end(&mut outcome, messages as u64, Latencies::default())
        .await?;
    let Some(reader) = senders.first_mut() else {
        return Err(BenchError::Setup("nobody sends".into()));
    };
    let events = history(reader, &room, &mut Latencies::default()).await?;
    outcome.verified = Verdict::compare(&acked, &ids_of_messages(events));
    Ok(outcome)
}

/// The size of a database of Greenroom's on SQLite that no server has open, `--database`, against
/// that of the events in it.
pub(super) fn database_size(bench: &Bench) -> Result<Outcome> {
    let path = bench.options.database.as_deref();
    let path = path.ok_or_else(|| BenchError::Setup("database-size needs --database".into()))?;
    let size = database::size(path)?;
    let mut outcome = Outcome::new("look at a database", &[("events", size.events)]);
    outcome.operations = 1;
    outcome.set("database_mib", size.bytes as f64 / 1_048_576.0);
    outcome.set("event_json_mib", size.json_bytes as f64 / 1_048_576.0);
    outcome.set(
        "database_bytes_per_byte_of_event_json",
        size.bytes as f64 / (size.json_bytes as f64).max(1.0),
    );
    Ok(outcome)
}
