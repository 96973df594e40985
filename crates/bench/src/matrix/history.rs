//! Paging back through a room to its beginning.

use serde::Deserialize;

use super::client::{Client, Room, escape};
use crate::error::{BenchError, Result};
use crate::http::Method;
use crate::latency::Latencies;

/// What is kept of an event of the history.
#[derive(Debug, Clone, Deserialize)]
pub struct HistoryEvent {
    /// Its id.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its state key, if it is state.
    pub state_key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    chunk: Vec<HistoryEvent>,
    end: Option<String>,
}

/// Reads a room's history, newest first, in pages of 100; adds each page's
/// latency to `latencies`.
///
/// # Errors
///
/// What the client fails with, or [`BenchError::Protocol`] if the pages do not
/// end after 1,000,000 events.
pub async fn history(
    client: &mut Client,
    room: &Room,
    latencies: &mut Latencies,
) -> Result<Vec<HistoryEvent>> {
    let mut events = Vec::new();
    let mut from = String::new();
    for _ in 0..10_000 {
        let path = format!("{}/messages?dir=b&limit=100{from}", room.path);
        let started = std::time::Instant::now();
        let body = client.call(Method::Get, &path, b"").await?;
        latencies.push(started.elapsed());
        let mut page: Page = serde_json::from_slice(&body)?;
        events.append(&mut page.chunk);
        match page.end {
            Some(end) => from = format!("&from={}", escape(&end)),
            None => return Ok(events),
        }
    }
    Err(BenchError::Protocol(
        "the history of a room does not end".into(),
    ))
}
