//! Who is in which room now. Written only by appends.

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState,
};

use crate::StorageError;

/// A user's current membership in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomMembership {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Joined, invited, knocking, left or banned.
    pub membership: MembershipState,
    /// The member event's position.
    pub position: StreamPosition,
    /// The member event.
    pub event_id: OwnedEventId,
    /// Who sent it: not the user themselves when it was a kick.
    pub sender: OwnedUserId,
    /// Whether the user has forgotten the room since they left.
    pub forgotten: bool,
}

/// One member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: OwnedUserId,
    /// Their membership.
    pub membership: MembershipState,
    /// The display name in the member event.
    pub display_name: Option<String>,
    /// The avatar in the member event.
    pub avatar_url: Option<String>,
    /// The member event's position.
    pub position: StreamPosition,
}

/// How many are in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberCounts {
    /// Joined members.
    pub joined: u64,
    /// Invited members.
    pub invited: u64,
}

/// What a room is named after and how many are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomSummary {
    /// How many are joined and invited.
    pub counts: MemberCounts,
    /// The room's heroes, as of [`MemberStore::heroes`]; `None` if it has a name or a canonical
    /// alias of its own.
    pub heroes: Option<Vec<OwnedUserId>>,
}

/// Who is in which room now.
#[async_trait]
pub trait MemberStore: Send + Sync {
    /// All rooms of a user with these memberships, forgotten ones left out, ordered by position.
    async fn rooms_of(
        &self,
        user_id: &UserId,
        memberships: &[MembershipState],
    ) -> Result<Vec<RoomMembership>, StorageError>;

    /// Rooms that the user left or was banned from after `after` and not after `upto`, forgotten
    /// ones left out.
    async fn left_rooms(
        &self,
        user_id: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>, StorageError>;

    /// The forgotten ones among the rooms that the user left or was banned from after `after` and
    /// not after `upto`: a device that does not know of the leaving has to be told.
    async fn forgotten_rooms(
        &self,
        user_id: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>, StorageError>;

    /// A user's membership in a room; `None` if there is no member event.
    async fn membership(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<RoomMembership>, StorageError>;

    /// Members of a room with this membership, in the order in which they got it, `limit` at most
    /// (all if `None`).
    async fn members(
        &self,
        room_id: &RoomId,
        membership: MembershipState,
        limit: Option<u64>,
    ) -> Result<Vec<Member>, StorageError>;

    /// How many are joined and invited.
    async fn member_counts(&self, room_id: &RoomId) -> Result<MemberCounts, StorageError>;

    /// The first five other members for a room without a name: joined and invited ones first,
    /// otherwise those who left. See [room
    /// summary](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync).
    async fn heroes(
        &self,
        room_id: &RoomId,
        reader: &UserId,
    ) -> Result<Vec<OwnedUserId>, StorageError>;

    /// How to name and count a room at a position, in one question. It costs no more than that of
    /// now where nothing has changed since.
    async fn room_summary(
        &self,
        room_id: &RoomId,
        reader: &UserId,
        at: StreamPosition,
    ) -> Result<RoomSummary, StorageError>;

    /// Whether two users are joined to a common room.
    async fn share_room(&self, one: &UserId, other: &UserId) -> Result<bool, StorageError>;

    /// All rooms that two users are joined to, by their IDs.
    async fn mutual_rooms(
        &self,
        one: &UserId,
        other: &UserId,
    ) -> Result<Vec<OwnedRoomId>, StorageError>;

    /// Forgets a room that the user has left. False if they are still in it (or invited or
    /// knocking), or never were.
    async fn forget(&self, room_id: &RoomId, user_id: &UserId) -> Result<bool, StorageError>;
}
