//! The write side of rooms. Only room actors (and room creation) append.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use greenroom_model::{Relation, StateKey, StoredEvent, StreamPosition, TransactionKey};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId,
    OwnedTransactionId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::room::member::MembershipState,
};

use crate::StorageError;

/// One accepted event on its way to the database. Authorization has already happened.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Which load of the room's head this was built on: once an append of a generation has
    /// failed, those behind it fail with [`StorageError::StaleHead`] instead of leaving a hole.
    pub generation: u64,
    /// The event's ID.
    pub event_id: OwnedEventId,
    /// Its type.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its sender.
    pub sender: OwnedUserId,
    /// Its time, as in the JSON.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    /// Whether that is before the time of the event before it in the room.
    pub steps_back: bool,
    /// Its depth, as in the JSON.
    pub depth: u64,
    /// The PDU as signed canonical JSON.
    pub json: Arc<[u8]>,
    /// The state event whose place it takes, if any.
    pub replaces_state: Option<OwnedEventId>,
    /// For a member event: the membership it sets and the one it replaces.
    pub membership: Option<(MembershipState, Option<MembershipState>)>,
    /// What makes a retry the same act, if the client gave a transaction ID.
    pub transaction: Option<(TransactionKey, OwnedDeviceId, OwnedTransactionId)>,
    /// What it says that it relates to, if anything.
    pub relation: Option<Relation>,
    /// For a redaction that applies: the event it empties, already pruned.
    pub redacts: Option<RedactedEvent>,
}

/// What is left of a redacted event.
#[derive(Clone, Debug)]
pub struct RedactedEvent {
    /// The event to be emptied. It is in the same room.
    pub event_id: OwnedEventId,
    /// Its pruned canonical JSON.
    pub json: Arc<[u8]>,
}

/// Where an append came to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The event's position.
    pub position: StreamPosition,
}

/// A room to be created, whole: all its first events and its place in the directory.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersionId,
    /// Who creates it.
    pub creator: OwnedUserId,
    /// Its first events in order, the create event first. They share one `generation`.
    pub events: Vec<Append>,
    /// The alias that points to it, if one was asked for.
    pub alias: Option<OwnedRoomAliasId>,
    /// Whether it is in the published directory.
    pub published: bool,
    /// The transaction that asked for it, so that a retry gets the same room.
    pub transaction: Option<TransactionKey>,
    /// Now, in milliseconds since the Unix epoch.
    pub created_ts_ms: u64,
}

/// Where a room's next event attaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomHeadRow {
    /// The room's version.
    pub version: RoomVersionId,
    /// The newest event: on a straight line the one forward extremity.
    pub newest: Arc<StoredEvent>,
    /// The greatest depth of its events.
    pub depth: u64,
}

/// An append on its way: resolves when it is committed and announced, or has failed.
pub type Committed = Pin<Box<dyn Future<Output = Result<Appended, StorageError>> + Send>>;

/// The write side of rooms, and what an actor needs to start.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// Writes one accepted event with all that it changes: state, memberships, the room's summary,
    /// the emptied event of a redaction, the transaction ID.
    ///
    /// The append has its place in the queue when this returns: appends of a room reach the
    /// database in the order of these calls, whenever their futures are polled.
    ///
    /// # Errors
    ///
    /// [`StorageError::Conflict`] if the transaction ID was used for another event before,
    /// [`StorageError::DuplicateAnnotation`] if the sender has annotated the same event so before,
    /// [`StorageError::StaleHead`] if an append that this one was built on has failed; nothing was
    /// written then.
    fn append(&self, append: Append) -> Committed;

    /// Returns once every append that was queued before is committed or has failed.
    async fn settle(&self) -> Result<(), StorageError>;

    /// Writes a new room as one act.
    ///
    /// # Errors
    ///
    /// [`StorageError::Conflict`] if the alias points somewhere already or the transaction ID was
    /// used before; nothing was written then.
    async fn create_room(&self, room: NewRoom) -> Result<StreamPosition, StorageError>;

    /// Where the room's next event attaches; `None` if there is no such room.
    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHeadRow>, StorageError>;

    /// The current events in these places. Places that are empty are left out.
    async fn current_state(
        &self,
        room_id: &RoomId,
        keys: Vec<StateKey>,
    ) -> Result<Vec<StoredEvent>, StorageError>;

    /// The event that a transaction made, if it was used before.
    async fn event_of_transaction(
        &self,
        transaction: TransactionKey,
    ) -> Result<Option<OwnedEventId>, StorageError>;

    /// The room that a transaction created, if it was used before.
    async fn room_of_transaction(
        &self,
        transaction: TransactionKey,
    ) -> Result<Option<OwnedRoomId>, StorageError>;

    /// A room's version; `None` if there is no such room.
    async fn room_version(&self, room_id: &RoomId) -> Result<Option<RoomVersionId>, StorageError>;

    /// A local joined user who may invite, for a restricted join: the joined local members with
    /// the highest power come from the room's own state, so this only lists candidates.
    async fn local_joined_members(
        &self,
        room_id: &RoomId,
        server_name: &ruma::ServerName,
        limit: u64,
    ) -> Result<Vec<OwnedUserId>, StorageError>;

    /// Whether the user is joined to any of these rooms.
    async fn joined_any(
        &self,
        user_id: &UserId,
        room_ids: &[OwnedRoomId],
    ) -> Result<bool, StorageError>;
}
