//! What somebody may be told of rooms that they are not in, and how spaces hang together. Written
//! only by appends.

use async_trait::async_trait;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{OwnedRoomId, RoomId, RoomVersionId, UserId, events::room::member::MembershipState};

use crate::{PublicRoom, StorageError};

/// A room as it is shown before somebody joins, and what decides whether it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPreview {
    /// What the directory would show.
    pub room: PublicRoom,
    /// Its version.
    pub version: RoomVersionId,
    /// The algorithm in `m.room.encryption`, if it is encrypted.
    pub encryption: Option<String>,
    /// The rooms that `m.room.join_rules` allows members of, if it names any: whatever the rule.
    pub allowed_rooms: Vec<OwnedRoomId>,
    /// The reader's membership; `None` without a reader, or if they have no member event.
    pub membership: Option<MembershipState>,
    /// Whether the reader is joined to one of [`Self::allowed_rooms`].
    pub in_allowed_room: bool,
}

/// Rooms by what they show, and the children of spaces.
#[async_trait]
pub trait SpaceStore: Send + Sync {
    /// What these rooms show, and what `reader` is to them, in no order: some questions for all of
    /// them, however many they are. Rooms that do not exist are left out.
    async fn room_previews(
        &self,
        room_ids: Vec<OwnedRoomId>,
        reader: Option<&UserId>,
    ) -> Result<Vec<RoomPreview>, StorageError>;

    /// The `m.space.child` events that held their places at `at`, the `limit` oldest at most, in no
    /// order.
    async fn space_children(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StorageError>;
}
