//! Room aliases and the published room directory.

use async_trait::async_trait;
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};

use crate::StorageError;

/// A room as the directory shows it. See [published room
/// directory](https://spec.matrix.org/v1.19/client-server-api/#published-room-directory).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// `m.room.name`, if it has one that is not empty.
    pub name: Option<String>,
    /// `m.room.topic`.
    pub topic: Option<String>,
    /// `m.room.canonical_alias`.
    pub canonical_alias: Option<String>,
    /// `m.room.avatar`.
    pub avatar_url: Option<String>,
    /// `m.room.join_rules`.
    pub join_rule: Option<String>,
    /// `m.room.create`'s `type`.
    pub room_type: Option<String>,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// Whether anyone may read.
    pub world_readable: bool,
    /// How many have joined.
    pub joined_members: u64,
}

/// What part of the directory is asked for.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsQuery {
    /// Only rooms whose name, topic or canonical alias contains this, ignoring case.
    pub search_term: Option<String>,
    /// Only these room types; `None` inside means rooms without one.
    pub room_types: Option<Vec<Option<String>>>,
    /// At most so many.
    pub limit: u64,
    /// Go on after the room with this member count and ID (forwards), or before it (backwards).
    pub from: Option<(u64, OwnedRoomId)>,
    /// Towards the rooms with more members instead of fewer.
    pub backwards: bool,
}

/// A page of the directory: most members first, room ID breaking ties.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsPage {
    /// The rooms, always most members first.
    pub rooms: Vec<PublicRoom>,
    /// Whether there are more in the direction asked.
    pub more: bool,
    /// An estimate of all rooms that match.
    pub total: u64,
}

/// Aliases and the directory.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// Points an alias at a room. [`StorageError::Conflict`] if it points somewhere already.
    async fn create_alias(
        &self,
        alias: &RoomAliasId,
        room_id: &RoomId,
        creator: &UserId,
    ) -> Result<(), StorageError>;

    /// Where an alias points, and who made it.
    async fn alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Option<(OwnedRoomId, OwnedUserId)>, StorageError>;

    /// Removes an alias. False if there was none.
    async fn delete_alias(&self, alias: &RoomAliasId) -> Result<bool, StorageError>;

    /// A room's local aliases, ordered.
    async fn aliases(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>, StorageError>;

    /// Publishes a room or takes it out of the directory. False if there is no such room.
    async fn publish(&self, room_id: &RoomId, published: bool) -> Result<bool, StorageError>;

    /// Whether a room is published; `None` if there is no such room.
    async fn published(&self, room_id: &RoomId) -> Result<Option<bool>, StorageError>;

    /// A page of the published rooms.
    async fn public_rooms(&self, query: PublicRoomsQuery) -> Result<PublicRoomsPage, StorageError>;
}
