//! One message, many waiting syncs: how long until the last has it?

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Bench;
use super::setup::join_all;
use crate::error::{BenchError, Result};
use crate::http::Method;
use crate::latency::Latencies;
use crate::matrix::{Client, Room, SyncAnswer, escape};
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::parallel::join_ordered;
use crate::verify::Verdict;

/// Between the last sync's bytes leaving and the message: the protocol has no
/// sign that a sync is parked.
const SETTLE: Duration = Duration::from_millis(50);
/// The longest wait for all syncs of a round to be sent.
const ROUND_LIMIT: Duration = Duration::from_mins(1);

/// A waiting client between two rounds.
struct Receiver {
    client: Client,
    since: String,
}

/// A client that has got the message.
struct Receipt {
    receiver: Receiver,
    at: Instant,
    answer: SyncAnswer,
    /// Answers before it that did not have the message.
    early: u64,
}

pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (many, rounds) = (bench.options.receivers as usize, bench.count(50));
    crate::limits::require_open_files(many)?;
    let mut outcome = Outcome::new(
        "sync answered",
        &[("receivers", many as u64), ("messages", rounds as u64)],
    );
    let (mut sender, room, mut receivers) = prepare(bench, many).await?;
    let (mut last, mut each, mut early) = (Latencies::default(), Latencies::default(), 0);
    let mut verdict = Verdict::default();
    let measurement = Measurement::begin(&bench.options.pid).await?;
    // The first round warms up: sessions, caches and connections differ from all later ones.
    for round in 0..=rounds {
        let marker = format!("fan-out {} round {round}", bench.run);
        let barrier = Arc::new(Barrier::new(many + 1));
        let mut tasks = JoinSet::new();
        for (index, receiver) in receivers.into_iter().enumerate() {
            let wait = wait_for(receiver, marker.clone(), Arc::clone(&barrier));
            tasks.spawn(async move { wait.await.map(|receipt| (index, receipt)) });
        }
        let parked = tokio::time::timeout(ROUND_LIMIT, barrier.wait()).await;
        parked.map_err(|_| BenchError::Timeout {
            what: "all syncs to be sent".into(),
            after: ROUND_LIMIT,
        })?;
        tokio::time::sleep(SETTLE).await;
        let event_id = sender
            .send_text(&room, &format!("round-{round}"), &marker)
            .await?;
        let acked_at = Instant::now();
        let receipts = join_ordered(tasks).await?;
        let mut slowest = Duration::ZERO;
        for receipt in &receipts {
            let delay = receipt.at.saturating_duration_since(acked_at);
            slowest = slowest.max(delay);
            if round > 0 {
                each.push(delay);
                early += receipt.early;
            }
            let found = vec![event_id.as_str(); receipt.answer.count(&room.id, &event_id)];
            verdict.add(&Verdict::compare(&[vec![event_id.as_str()]], &found));
        }
        if round > 0 {
            last.push(slowest);
        }
        receivers = receipts
            .into_iter()
            .map(|receipt| receipt.receiver)
            .collect();
    }
    // The warm-up round's work is in the CPU time, so it is in the count.
    measurement
        .end(&mut outcome, (many * (rounds + 1)) as u64, each)
        .await?;
    let last = last.summary();
    outcome.set("ack_to_last_receipt_p50_ms", last.p50_ms);
    outcome.set("ack_to_last_receipt_p99_ms", last.p99_ms);
    outcome.set("ack_to_last_receipt_max_ms", last.max_ms);
    outcome.set("answers_without_the_message", early as f64);
    outcome.verified = verdict;
    Ok(outcome)
}

/// A sender with its room, and the receivers in it with a token each.
async fn prepare(bench: &Bench, many: usize) -> Result<(Client, Arc<Room>, Vec<Receiver>)> {
    let mut clients = bench.accounts(many + 1).await?;
    let others = clients.split_off(1);
    let (mut owners, rooms) = bench.public_rooms(clients, 1).await?;
    let (Some(sender), Some(room)) = (owners.pop(), rooms.first().cloned()) else {
        return Err(BenchError::Setup("no room was created".into()));
    };
    let first = |mut client: Client| async move {
        let since = client.sync("timeout=0").await?.next_batch;
        Ok(Receiver { client, since })
    };
    let receivers = crate::parallel::each(16, join_all(others, rooms).await?, first).await?;
    Ok((sender, room, receivers))
}

/// Syncs until an answer has `marker`; passes `barrier` once the first request has been sent.
async fn wait_for(
    mut receiver: Receiver,
    marker: String,
    barrier: Arc<Barrier>,
) -> Result<Receipt> {
    let mut early = 0;
    loop {
        let path = format!(
            "/_matrix/client/v3/sync?timeout=60000&since={}",
            escape(&receiver.since)
        );
        let client = &mut receiver.client;
        let sent = client
            .connection
            .send(Method::Get, &path, &client.token, b"")
            .await;
        if early == 0 {
            barrier.wait().await;
        }
        sent?;
        let response = client.connection.receive(&path).await?;
        let at = Instant::now();
        let body = crate::matrix::success(Method::Get, &path, response)?;
        let answer: SyncAnswer = serde_json::from_slice(&body)?;
        receiver.since.clone_from(&answer.next_batch);
        if contains(&body, marker.as_bytes()) {
            return Ok(Receipt {
                receiver,
                at,
                answer,
                early,
            });
        }
        early += 1;
        if early > 1_000 {
            return Err(BenchError::Protocol(
                "syncs keep being answered without the message".into(),
            ));
        }
    }
}

/// Whether `needle` stands in `body`.
pub(super) fn contains(body: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && body.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_marker_is_found_wherever_it_stands() {
        assert!(
            contains(b"abc", b"abc") && contains(b"xxabc", b"abc") && contains(b"abcxx", b"abc")
        );
        assert!(!contains(b"ab", b"abc") && !contains(b"", b"abc") && !contains(b"abc", b""));
    }
}
