//! Read receipts.

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use ruma::{OwnedEventId, OwnedUserId, RoomId, UserId};

use crate::StorageError;

/// How far a user has read, in a room or one of its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who has read.
    pub user_id: OwnedUserId,
    /// `m.read` or `m.read.private`.
    pub receipt_type: String,
    /// The thread (`main` or a root's event ID); `None` for an unthreaded receipt.
    pub thread_id: Option<String>,
    /// The event read up to.
    pub event_id: OwnedEventId,
    /// Where that event stands.
    pub event_position: StreamPosition,
    /// When, in milliseconds since the Unix epoch.
    pub ts_ms: u64,
}

/// Read receipts.
#[async_trait]
pub trait ReceiptStore: Send + Sync {
    /// Moves receipts forward and, in the same act, sets `m.fully_read` account data if given.
    /// A receipt for an event at or before the one it stands on changes nothing.
    async fn set_receipts(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        receipts: Vec<Receipt>,
        fully_read: Option<OwnedEventId>,
    ) -> Result<(), StorageError>;

    /// Receipts of a room set after `after` and not after `upto`, those of `m.read.private` only
    /// if they are `reader`'s own.
    async fn receipts(
        &self,
        room_id: &RoomId,
        reader: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<Receipt>, StorageError>;
}
