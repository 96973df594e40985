//! `/health/live` and `/health/ready`.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use actix_web::{HttpResponse, web};
use greenroom_storage_sql::Db;
use serde_json::json;

/// A write that committed this recently proves that writes commit.
const RECENT: Duration = Duration::from_secs(2);
/// How long a probe may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the server can do its work.
pub(super) struct Health {
    database: Db,
    started: Instant,
    /// When a probe last committed, in milliseconds after the start, plus one; zero for never.
    proven: AtomicU64,
    /// Whether the last probe failed: the log says when that changes, not how often somebody asks.
    failing: AtomicBool,
}

impl Health {
    pub(super) fn new(database: Db) -> Self {
        Self {
            database,
            started: Instant::now(),
            proven: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether writes commit: one has in the last seconds, or does now.
    async fn writes_commit(&self) -> bool {
        let proven = self.proven.load(Ordering::Relaxed);
        let recent = u64::try_from(RECENT.as_millis()).unwrap_or(u64::MAX);
        if proven > 0 && self.now_ms() < proven.saturating_add(recent) {
            return true;
        }
        match tokio::time::timeout(PATIENCE, self.database.probe()).await {
            Ok(Ok(())) => {
                self.proven
                    .store(self.now_ms().saturating_add(1), Ordering::Relaxed);
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("ready again: writes commit");
                }
                true
            }
            Ok(Err(error)) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "not ready: a write does not commit");
                }
                false
            }
            Err(_) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!("not ready: a write does not commit in time");
                }
                false
            }
        }
    }
}

/// Adds both.
pub(super) fn configure(cfg: &mut web::ServiceConfig, health: web::Data<Health>) {
    cfg.app_data(health)
        .route("/health/live", web::get().to(live))
        .route("/health/ready", web::get().to(ready));
}

/// The process answers.
async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// A write has committed in the last seconds, or does now.
async fn ready(health: web::Data<Health>) -> HttpResponse {
    if health.writes_commit().await {
        HttpResponse::Ok().json(json!({ "status": "ready" }))
    } else {
        HttpResponse::ServiceUnavailable()
            .json(json!({ "status": "not ready", "reason": "the database does not take writes" }))
    }
}
