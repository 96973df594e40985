//! A room's events in order.

use async_trait::async_trait;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{EventId, OwnedEventId, RoomId};

use crate::StorageError;

/// Which way to read a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards newer events.
    Forward,
    /// Towards older events.
    Backward,
}

/// Events by room and position, and by ID.
#[async_trait]
pub trait TimelineStore: Send + Sync {
    /// At most `limit` events of a room after `after` and not after `upto`: the oldest of them
    /// first when read forward, the newest of them first when read backward.
    async fn events_between(
        &self,
        room_id: &RoomId,
        after: StreamPosition,
        upto: StreamPosition,
        direction: Direction,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// Events of all `room_ids` after `after` and not after `upto`, oldest first, `limit` at most.
    async fn events_in_rooms(
        &self,
        room_ids: &[ruma::OwnedRoomId],
        after: StreamPosition,
        upto: StreamPosition,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// One event of any room.
    async fn event(&self, event_id: &EventId) -> Result<Option<StoredEvent>, StorageError>;

    /// Those of the events that exist, in no particular order.
    async fn events(&self, event_ids: Vec<OwnedEventId>) -> Result<Vec<StoredEvent>, StorageError>;

    /// The position of a room's newest event; `None` if there is no such room.
    async fn newest_position(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<StreamPosition>, StorageError>;

    /// The positions of many rooms' newest events. Rooms that do not exist are left out.
    async fn newest_positions(
        &self,
        room_ids: Vec<ruma::OwnedRoomId>,
    ) -> Result<Vec<(ruma::OwnedRoomId, StreamPosition)>, StorageError>;
}
