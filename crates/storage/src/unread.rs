//! What is unread, and the push rules that say so.

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use ruma::{OwnedRoomId, RoomId, UserId};
use serde_json::value::RawValue;

use crate::StorageError;

/// What was found unread by one user in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptUnread {
    /// The events up to here were judged.
    pub judged_upto: StreamPosition,
    /// Those that notify, in the form of whoever judges.
    pub events: Vec<u8>,
}

/// How far a user has read, by one of their receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadUpto {
    /// The thread (`main` or a root's event ID); `None` for the whole room.
    pub thread_id: Option<String>,
    /// The position of the event that the receipt is for.
    pub event_position: StreamPosition,
    /// When it was set.
    pub position: StreamPosition,
}

/// What is kept of a user's reading in one room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What was found unread, if it was ever kept.
    pub unread: Option<KeptUnread>,
    /// The user's receipts, public and private.
    pub receipts: Vec<ReadUpto>,
}

/// What is unread. Only the judge of push rules writes here.
#[async_trait]
pub trait UnreadStore: Send + Sync {
    /// What is kept of a user's reading in a room.
    async fn reading(&self, user_id: &UserId, room_id: &RoomId) -> Result<Reading, StorageError>;

    /// How far events were judged for a user, by room, as kept.
    async fn judged_upto(
        &self,
        user_id: &UserId,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>, StorageError>;

    /// The positions of these rooms' newest events at or before `upto`. Rooms without one are left
    /// out.
    async fn newest_events(
        &self,
        room_ids: Vec<OwnedRoomId>,
        upto: StreamPosition,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>, StorageError>;

    /// Keeps what was found unread by a user in rooms. A row that reaches further stays.
    async fn keep_unread(
        &self,
        user_id: &UserId,
        unread: Vec<(OwnedRoomId, KeptUnread)>,
    ) -> Result<(), StorageError>;

    /// Sets the user's `m.push_rules` account data and, in the same act, keeps what the rules
    /// before had found unread. Gives the position of the change.
    async fn set_push_rules(
        &self,
        user_id: &UserId,
        content: Box<RawValue>,
        unread: Vec<(OwnedRoomId, KeptUnread)>,
    ) -> Result<StreamPosition, StorageError>;
}
