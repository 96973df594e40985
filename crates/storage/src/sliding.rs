//! What sliding sync asks beyond the questions of the other subjects.

use async_trait::async_trait;
use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use ruma::{OwnedRoomId, RoomId, UserId};

use crate::{AccountDataEntry, Receipt, RoomMembership, StorageError};

/// Questions of sliding sync. Those without a position read what is committed now.
#[async_trait]
pub trait SlidingStore: Send + Sync {
    /// The events that hold these places of each room's state at a position. Places that are empty
    /// are left out.
    async fn entries_of_rooms(
        &self,
        room_ids: Vec<OwnedRoomId>,
        keys: Vec<StateKey>,
        at: StreamPosition,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// The rooms that others have removed the user from, by a kick, a ban or a withdrawn invite,
    /// newest first, `limit` of either kind at most. Forgotten ones are left out.
    async fn removed_rooms(
        &self,
        user_id: &UserId,
        limit: u64,
    ) -> Result<Vec<RoomMembership>, StorageError>;

    /// Where the newest of a room's events of these types stands, among the newest `look_at` of all
    /// its events. If none of them is one, where the oldest of those stands; `None` if there is no
    /// such room.
    async fn newest_of_types(
        &self,
        room_id: &RoomId,
        event_types: &'static [&'static str],
        look_at: u64,
    ) -> Result<Option<StreamPosition>, StorageError>;

    /// The user's own receipts in a room, private ones too, in no particular order.
    async fn own_receipts(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Vec<Receipt>, StorageError>;

    /// All of the user's account data in a room.
    async fn room_account_data(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
    ) -> Result<Vec<AccountDataEntry>, StorageError>;
}
