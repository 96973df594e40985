//! What needs no traffic: memory at rest, start-up, the commit of comparison.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::Bench;
use crate::commit;
use crate::error::{BenchError, Result};
use crate::http::Method;
use crate::latency::Latencies;
use crate::measure::{current, rest};
use crate::outcome::{Outcome, ServerUse};

/// The longest wait for a server's first answer.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Resident memory of a server at rest.
pub(super) async fn memory(bench: &Bench) -> Result<Outcome> {
    rest(&bench.options.pid).await?;
    let usage = current(&bench.options.pid)?
        .ok_or_else(|| BenchError::Setup("memory needs --pid".into()))?;
    let mut outcome = Outcome::new("look at memory", &[]);
    outcome.operations = 1;
    outcome.server = Some(ServerUse {
        rss_before_kib: usage.rss_kib,
        rss_after_kib: usage.rss_kib,
        hwm_kib: usage.hwm_kib,
        processes: usage.processes,
        ..ServerUse::default()
    });
    outcome.set("rss_mib", usage.rss_kib as f64 / 1024.0);
    Ok(outcome)
}

/// From launch to the first answer, asking every 2 ms.
pub(super) async fn start_up(bench: &Bench) -> Result<Outcome> {
    let launched = bench
        .options
        .launched_at
        .ok_or_else(|| BenchError::Setup("start-up needs --launched-at".into()))?;
    let waiting = Instant::now();
    let mut connection = bench.registrar.connection();
    loop {
        let answer = connection
            .request(Method::Get, "/_matrix/client/versions", "", b"")
            .await;
        if answer.as_ref().is_ok_and(crate::http::Response::is_success) {
            break;
        }
        if waiting.elapsed() > START_LIMIT {
            return Err(BenchError::Timeout {
                what: "a first answer".into(),
                after: START_LIMIT,
            });
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let now = UNIX_EPOCH
        .elapsed()
        .map_err(|error| BenchError::Setup(error.to_string()))?;
    let seconds = (now.as_secs_f64() - launched).max(0.0);
    let mut latencies = Latencies::default();
    latencies.push(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let mut outcome = Outcome::new("start", &[]);
    outcome.operations = 1;
    outcome.elapsed_seconds = seconds;
    outcome.latency = latencies.summary();
    outcome.set("first_answer_ms", seconds * 1_000.0);
    Ok(outcome)
}

/// One SQLite commit; this blocks the thread, which has nothing else to do.
pub(super) fn commit_latency(bench: &Bench) -> Result<Outcome> {
    let count = u32::try_from(bench.count(3_000)).unwrap_or(u32::MAX);
    let limit = Duration::from_secs(u64::from(bench.options.seconds.unwrap_or(5)));
    let commits = commit::measure(&bench.options.dir, count, limit)?;
    let mut outcome = Outcome::new("SQLite commit", &[]);
    let (fdatasync, in_place) = (
        commits.fdatasync.summary(),
        commits.fdatasync_in_place.summary(),
    );
    outcome.latency = commits.sqlite.summary();
    outcome.operations = outcome.latency.count;
    outcome.elapsed_seconds = outcome.latency.mean_ms * outcome.latency.count as f64 / 1_000.0;
    outcome.per_second = 1_000.0 / outcome.latency.mean_ms.max(f64::MIN_POSITIVE);
    outcome.set("fdatasync_append_p50_ms", fdatasync.p50_ms);
    outcome.set("fdatasync_append_p99_ms", fdatasync.p99_ms);
    outcome.set("fdatasync_in_place_p50_ms", in_place.p50_ms);
    outcome.set("fdatasync_in_place_p99_ms", in_place.p99_ms);
    Ok(outcome)
}
