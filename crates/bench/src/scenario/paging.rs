//! Reading a long room back to its beginning.

use std::time::Instant;

use super::Bench;
use super::setup::{fill, ids_of_messages};
use crate::error::{BenchError, Result};
use crate::latency::Latencies;
use crate::matrix::history;
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::verify::Verdict;

/// Pages of 100 through `--messages` events, `--count` times from end to beginning.
pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (messages, rounds) = (bench.messages(5_000), bench.count(20));
    let mut outcome = Outcome::new(
        "page of 100 events",
        &[("events", messages as u64), ("rounds", rounds as u64)],
    );
    let (mut owners, rooms) = bench.public_rooms(bench.accounts(1).await?, 1).await?;
    let (Some(owner), Some(room)) = (owners.first_mut(), rooms.first()) else {
        return Err(BenchError::Setup("no room was created".into()));
    };
    let acked = fill(owner, &rooms, messages).await?;
    let mut latencies = Latencies::default();
    let mut walks = Vec::with_capacity(rounds);
    let measurement = Measurement::begin(&bench.options.pid).await?;
    let started = Instant::now();
    for _ in 0..rounds {
        walks.push(history(owner, room, &mut latencies).await?);
    }
    let whole = started.elapsed().as_secs_f64() * 1_000.0 / rounds.max(1) as f64;
    let pages = latencies.len() as u64;
    measurement.end(&mut outcome, pages, latencies).await?;
    outcome.set("whole_room_ms", whole);
    for walk in walks {
        outcome
            .verified
            .add(&Verdict::compare(&acked, &ids_of_messages(walk)));
    }
    Ok(outcome)
}
