//! Thousands of waiting syncs: what each costs in memory, and waking them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fan_out::contains;
use super::setup::join_all;
use super::{Bench, SETUP_CONCURRENCY};
use crate::error::{BenchError, Result};
use crate::http::Method;
use crate::latency::Latencies;
use crate::matrix::{Client, Room, SyncAnswer, escape, success};
use crate::measure::{Measurement, current, rest};
use crate::outcome::Outcome;
use crate::parallel::{self, join_ordered};
use crate::verify::Verdict;

/// The syncs' own timeout, in milliseconds: beyond what parking and measuring take.
const TIMEOUT_MS: u64 = 300_000;
/// The longest wait for all syncs to be sent.
const PARK_LIMIT: Duration = Duration::from_mins(2);
/// How often a sync may be answered with something else and park again.
const MAX_EARLY: usize = 20;
/// Requests on their way at once while parking, below what listen queues hold.
const AT_ONCE: usize = 64;

/// A connection about to park.
struct Parker {
    client: Client,
    since: String,
}

/// What all parked syncs share.
struct Shared {
    /// Bounds the requests on their way at once.
    gate: Semaphore,
    /// A permit for each that has been sent.
    sent: Semaphore,
    /// Answers that did not have the marker.
    early: AtomicUsize,
    /// The text of the message that wakes them all.
    marker: String,
}

pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (count, per_device) = (bench.count(10_000), bench.options.per_device as usize);
    crate::limits::require_open_files(count + count.div_ceil(per_device))?;
    let devices = count.div_ceil(per_device);
    let mut outcome = Outcome::new(
        "parked sync",
        &[("parked", count as u64), ("devices", devices as u64)],
    );
    let (mut sender, room, parkers) = prepare(bench, count, devices).await?;
    let memory = || current(&bench.options.pid).map(|usage| usage.map_or(0, |usage| usage.rss_kib));
    rest(&bench.options.pid).await?;
    let empty = memory()?;
    let parkers = parallel::each(AT_ONCE, parkers, connect).await?;
    rest(&bench.options.pid).await?;
    let connected = memory()?;

    let shared = Arc::new(Shared {
        gate: Semaphore::new(AT_ONCE),
        sent: Semaphore::new(0),
        early: AtomicUsize::new(0),
        marker: format!("everybody up {}", bench.run),
    });
    let mut tasks = JoinSet::new();
    for (index, parker) in parkers.into_iter().enumerate() {
        let wait = park(parker, Arc::clone(&shared));
        tasks.spawn(async move { wait.await.map(|result| (index, result)) });
    }
    let all = u32::try_from(count).unwrap_or(u32::MAX);
    let parked = tokio::time::timeout(PARK_LIMIT, shared.sent.acquire_many(all)).await;
    let _all_sent = parked.map_err(|_| BenchError::Timeout {
        what: "all syncs to be sent".into(),
        after: PARK_LIMIT,
    })?;
    rest(&bench.options.pid).await?;
    let waiting = memory()?;

    let measurement = Measurement::begin(&bench.options.pid).await?;
    let event_id = sender.send_text(&room, "wake", &shared.marker).await?;
    let acked_at = Instant::now();
    let mut latencies = Latencies::default();
    let mut bodies = Vec::with_capacity(count);
    for (at, body) in join_ordered(tasks).await? {
        latencies.push(at.saturating_duration_since(acked_at));
        bodies.push(body);
    }
    measurement
        .end(&mut outcome, count as u64, latencies)
        .await?;
    for body in bodies {
        let answer: SyncAnswer = serde_json::from_slice(&body)?;
        let found = vec![event_id.as_str(); answer.count(&room.id, &event_id)];
        outcome
            .verified
            .add(&Verdict::compare(&[vec![event_id.as_str()]], &found));
    }
    let per_sync =
        |later: u64, earlier: u64| later.saturating_sub(earlier) as f64 / count.max(1) as f64;
    if !bench.options.pid.is_empty() {
        outcome.set("parked_with_connection_kib", per_sync(waiting, empty));
        outcome.set("parked_alone_kib", per_sync(waiting, connected));
        outcome.set("connection_kib", per_sync(connected, empty));
    }
    outcome.set("wake_all_ms", outcome.latency.max_ms);
    outcome.set(
        "answers_without_the_message",
        shared.early.load(Ordering::Relaxed) as f64,
    );
    Ok(outcome)
}

/// A sender with its room; `count` connections of `devices` devices in that room, not yet open.
async fn prepare(
    bench: &Bench,
    count: usize,
    devices: usize,
) -> Result<(Client, Arc<Room>, Vec<Parker>)> {
    let (mut owners, rooms) = bench.public_rooms(bench.accounts(1).await?, 1).await?;
    let (Some(sender), Some(room)) = (owners.pop(), rooms.first().cloned()) else {
        return Err(BenchError::Setup("no room was created".into()));
    };
    let waiting = join_all(bench.accounts(devices).await?, rooms).await?;
    let token = |mut client: Client| async move {
        // Twice: the first answer may be followed by what the account's own arrival caused.
        let first = client
            .sync("set_presence=offline&timeout=0")
            .await?
            .next_batch;
        let since = client
            .sync(&format!(
                "set_presence=offline&timeout=0&since={}",
                escape(&first)
            ))
            .await?
            .next_batch;
        Ok((client, since))
    };
    let waiting = parallel::each(SETUP_CONCURRENCY, waiting, token).await?;
    let mut parkers = Vec::with_capacity(count);
    for (device, since) in waiting {
        for _ in 0..count.div_ceil(devices.max(1)) {
            if parkers.len() < count {
                parkers.push(Parker {
                    client: bench.registrar.same_device(&device),
                    since: since.clone(),
                });
            }
        }
    }
    Ok((sender, room, parkers))
}

/// Opens the connection by a cheap request.
async fn connect(mut parker: Parker) -> Result<Parker> {
    parker
        .client
        .call(Method::Get, "/_matrix/client/versions", b"")
        .await?;
    Ok(parker)
}

/// Syncs until an answer has the marker; tells `sent` once the first request
/// is on its way. Returns when the answer came, and its body.
async fn park(mut parker: Parker, shared: Arc<Shared>) -> Result<(Instant, Vec<u8>)> {
    for attempt in 0..=MAX_EARLY {
        let turn = shared.gate.acquire().await;
        let client = &mut parker.client;
        let path = path(&parker.since);
        client
            .connection
            .send(Method::Get, &path, &client.token, b"")
            .await?;
        drop(turn);
        if attempt == 0 {
            shared.sent.add_permits(1);
        }
        let response = client.connection.receive(&path).await?;
        let at = Instant::now();
        let body = success(Method::Get, &path, response)?;
        if contains(&body, shared.marker.as_bytes()) {
            return Ok((at, body));
        }
        shared.early.fetch_add(1, Ordering::Relaxed);
        let answer: SyncAnswer = serde_json::from_slice(&body)?;
        parker.since = answer.next_batch;
    }
    Err(BenchError::Protocol(format!(
        "a parked sync was answered {MAX_EARLY} times before anything happened: \
         does the server allow fewer than --per-device syncs of one device?"
    )))
}

/// A sync that waits. It leaves presence alone: thousands of accounts that come
/// online to each other would wake one another and not park.
fn path(since: &str) -> String {
    format!(
        "/_matrix/client/v3/sync?set_presence=offline&timeout={TIMEOUT_MS}&since={}",
        escape(since)
    )
}
