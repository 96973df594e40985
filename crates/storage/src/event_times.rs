//! A room's events by the time at which they say they were sent.

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use ruma::RoomId;

use crate::{Direction, StorageError};

/// Where a room's timeline is on which side of a time.
#[async_trait]
pub trait EventTimeStore: Send + Sync {
    /// The stretches of a room's timeline up to `upto` that hold its events of `ts_ms` and later
    /// (forward) or of `ts_ms` and earlier (backward), and no others: each from behind its first
    /// position up to and with its second, oldest first.
    ///
    /// Within a stretch time never goes back, so the event that is closest to `ts_ms` is the first
    /// of it (forward) or the last (backward).
    async fn stretches_by_time(
        &self,
        room_id: &RoomId,
        ts_ms: u64,
        direction: Direction,
        upto: StreamPosition,
    ) -> Result<Vec<(StreamPosition, StreamPosition)>, StorageError>;
}
