//! The measured phase: time, the server's CPU and memory, the generator's own CPU.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::latency::Latencies;
use crate::outcome::{Outcome, ServerUse};
use crate::process::{Usage, own_usage, usage};

/// How often to look whether the server has come to rest.
const REST_STEP: Duration = Duration::from_millis(200);
/// The longest wait for the server to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(5);
/// CPU time in one step below which a server rests, in seconds (10% of a core).
const REST_CPU: f64 = 0.02;

/// A measured phase that has begun.
#[derive(Debug)]
pub struct Measurement {
    pids: Vec<u32>,
    server: Option<Usage>,
    own: Usage,
    started: Instant,
}

impl Measurement {
    /// Waits until the server rests and begins.
    ///
    /// # Errors
    ///
    /// If one of `pids` is not running.
    pub async fn begin(pids: &[u32]) -> Result<Self> {
        rest(pids).await?;
        Ok(Self {
            pids: pids.to_vec(),
            server: current(pids)?,
            own: own_usage()?,
            started: Instant::now(),
        })
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Ends the phase and writes it into `outcome`.
    ///
    /// What the server still does afterwards on behalf of the operations is
    /// part of their CPU time, so that is read once it rests; the elapsed time
    /// ends now.
    ///
    /// # Errors
    ///
    /// If the server has stopped.
    pub async fn end(
        self,
        outcome: &mut Outcome,
        operations: u64,
        latencies: Latencies,
    ) -> Result<()> {
        let elapsed = self.started.elapsed().as_secs_f64();
        let own = own_usage()? - self.own;
        rest(&self.pids).await?;
        let per_operation = 1_000.0 / operations.max(1) as f64;
        if let (Some(before), Some(after)) = (self.server, current(&self.pids)?) {
            let cpu_seconds = after - before;
            outcome.server = Some(ServerUse {
                cpu_seconds,
                cpu_ms: cpu_seconds * per_operation,
                rss_before_kib: before.rss_kib,
                rss_after_kib: after.rss_kib,
                hwm_kib: after.hwm_kib,
                processes: after.processes,
            });
        }
        outcome.operations = operations;
        outcome.elapsed_seconds = elapsed;
        outcome.per_second = operations as f64 / elapsed.max(f64::MIN_POSITIVE);
        outcome.bench_cpu_ms = own * per_operation;
        outcome.latency = latencies.summary();
        Ok(())
    }
}

/// Waits until the server uses next to no CPU time, for a bounded time.
///
/// # Errors
///
/// If one of `pids` is not running.
pub async fn rest(pids: &[u32]) -> Result<()> {
    let Some(mut before) = current(pids)? else {
        return Ok(());
    };
    let started = Instant::now();
    while started.elapsed() < REST_LIMIT {
        tokio::time::sleep(REST_STEP).await;
        let Some(after) = current(pids)? else {
            return Ok(());
        };
        if after - before < REST_CPU {
            break;
        }
        before = after;
    }
    Ok(())
}

/// What the server has used, if its process was named.
///
/// # Errors
///
/// If one of `pids` is not running.
pub fn current(pids: &[u32]) -> Result<Option<Usage>> {
    if pids.is_empty() {
        Ok(None)
    } else {
        usage(pids).map(Some)
    }
}
