//! A room's state, now and at any position. Written only by appends.

use async_trait::async_trait;
use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use ruma::{OwnedEventId, RoomId, UserId};

use crate::StorageError;

/// One value that a place in a room's state has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateVersion {
    /// From this position on (the event's own).
    pub position: StreamPosition,
    /// The event.
    pub event_id: OwnedEventId,
}

/// A room's state. Positions are inclusive: the state at an event's position contains the event.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The whole state at `at`, or only the given event types of it if `event_types` is given.
    async fn state_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        event_types: Option<Vec<String>>,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// The whole state at `at` but for the member events, of which there may be very many: the
    /// work does not grow with them.
    async fn state_without_members_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// The events in these places at `at`. Places that are empty are left out.
    async fn state_entries_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        keys: Vec<StateKey>,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// For each place that changed after `after` and not after `upto`: the event in it at `upto`.
    /// In stream order.
    async fn state_changes(
        &self,
        room_id: &RoomId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// What decides over what a user may see of a room, in one question: every event that its
    /// history visibility has held, and every member event of the user's, oldest first.
    async fn reader_history(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>), StorageError>;
}
