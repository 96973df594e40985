//! Account data, global and per room (tags among it).

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use ruma::{OwnedRoomId, RoomId, UserId};
use serde_json::value::RawValue;

use crate::StorageError;

/// One piece of a user's account data.
#[derive(Clone, Debug)]
pub struct AccountDataEntry {
    /// The room it belongs to; `None` for global data.
    pub room_id: Option<OwnedRoomId>,
    /// The event type.
    pub data_type: String,
    /// The content, a JSON object exactly as the client sent it.
    pub content: Box<RawValue>,
    /// When it last changed.
    pub position: StreamPosition,
}

/// Account data.
#[async_trait]
pub trait AccountDataStore: Send + Sync {
    /// Sets one piece of account data and announces it.
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
        content: Box<RawValue>,
    ) -> Result<(), StorageError>;

    /// One piece of account data.
    async fn account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
    ) -> Result<Option<Box<RawValue>>, StorageError>;

    /// Sets or removes one tag of a room within its `m.tag` account data, as one act: two tags
    /// set at once are both kept. `order` and other keys are in `content`.
    async fn set_tag(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        tag: &str,
        content: Option<Box<RawValue>>,
    ) -> Result<(), StorageError>;

    /// Everything of the user's that changed after `after` and not after `upto`, global and of
    /// every room, in stream order.
    async fn account_data_changes(
        &self,
        user_id: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<AccountDataEntry>, StorageError>;
}
