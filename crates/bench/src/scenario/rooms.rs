//! Creating rooms.

use std::time::Instant;

use super::Bench;
use crate::error::Result;
use crate::latency::Latencies;
use crate::matrix::Client;
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::parallel;
use crate::verify::Verdict;

/// `--senders` clients create `--count` private rooms between them.
pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (many, count) = (bench.senders(4), bench.count(200));
    let mut outcome = Outcome::new(
        "room created",
        &[("senders", many as u64), ("rooms", count as u64)],
    );
    let clients = bench.accounts(many).await?;
    let create = move |(first, mut client): (usize, Client)| async move {
        let (mut created, mut latencies) = (Vec::new(), Latencies::default());
        for index in (first..count).step_by(many) {
            let started = Instant::now();
            let room = client
                .create_room("private_chat", &format!("room {index}"))
                .await?;
            latencies.push(started.elapsed());
            created.push(room.id);
        }
        Ok((client, created, latencies))
    };
    let measurement = Measurement::begin(&bench.options.pid).await?;
    let shares = parallel::each(many, clients.into_iter().enumerate().collect(), create).await?;
    let mut latencies = Latencies::default();
    let mut made = Vec::with_capacity(many);
    for (client, created, mut own) in shares {
        latencies.append(&mut own);
        made.push((client, created));
    }
    measurement
        .end(&mut outcome, count as u64, latencies)
        .await?;
    for (mut client, created) in made {
        let found = client.joined_rooms().await?;
        // `joined_rooms` has no order: each room is its own client here.
        let acked: Vec<Vec<String>> = created.into_iter().map(|id| vec![id]).collect();
        outcome.verified.add(&Verdict::compare(&acked, &found));
    }
    Ok(outcome)
}
