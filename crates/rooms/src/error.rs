//! Why a room did not do what was asked.

use std::sync::Arc;

use greenroom_events::EventError;
use greenroom_storage::StorageError;
use greenroom_stream::Unanswered;
use ruma::{OwnedRoomAliasId, OwnedUserId, RoomVersionId};

/// A refusal or failure, told apart by who can do something about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RoomError {
    /// There is no such room, or nothing that the requester may know of.
    #[error("there is no such room")]
    NoSuchRoom,
    /// There is no such event, or none that the requester may see.
    #[error("there is no such event")]
    NoSuchEvent,
    /// The room has nothing in this place of its state.
    #[error("the room has no state with this type and key")]
    NoSuchState,
    /// There is no such room alias.
    #[error("there is no room with this alias")]
    NoSuchAlias,
    /// There is no such local user.
    #[error("there is no user {0} on this server")]
    NoSuchUser(OwnedUserId),
    /// A user wants no invites (`M_INVITE_BLOCKED`).
    #[error("{0} does not accept invites")]
    InviteBlocked(OwnedUserId),
    /// The requester is not in the room, or was not at that time.
    #[error("you are not in this room")]
    NotInRoom,
    /// A room can only be forgotten once it is left.
    #[error("you are still in this room; leave it first")]
    StillInRoom,
    /// The room's rules do not allow it. The text is fit for the client.
    #[error("{0}")]
    Forbidden(String),
    /// The event itself is not right.
    #[error(transparent)]
    Event(Arc<EventError>),
    /// The membership is not one that this can change (`M_BAD_STATE`).
    #[error("{0}")]
    BadState(&'static str),
    /// The sender has annotated the event in these words before (`M_DUPLICATE_ANNOTATION`).
    #[error("you have sent the same reaction to this event before")]
    DuplicateAnnotation,
    /// A thread can only begin at an event that relates to no other.
    #[error("a thread cannot begin at an event that relates to another event")]
    NestedThread,
    /// An alias in `m.room.canonical_alias` does not point to this room (`M_BAD_ALIAS`).
    #[error("the alias {0} does not point to this room")]
    BadAlias(OwnedRoomAliasId),
    /// The alias points to a room already.
    #[error("the alias {0} is taken")]
    AliasTaken(OwnedRoomAliasId),
    /// The alias or user belongs to another server, which this one cannot reach.
    #[error("{0} belongs to another server, and this server does not federate yet")]
    NotLocal(String),
    /// A room cannot be made of this version (`M_UNSUPPORTED_ROOM_VERSION`).
    #[error("this server does not know room version {0}")]
    UnsupportedVersion(RoomVersionId),
    /// The state asked for cannot be a room's first (`M_INVALID_ROOM_STATE`).
    #[error("{0}")]
    InvalidRoomState(String),
    /// A parameter has a value that makes no sense (`M_INVALID_PARAM`).
    #[error("{0}")]
    InvalidParam(&'static str),
    /// Too many requests wait for this room. A retry later may succeed.
    #[error("the room is busy")]
    Busy,
    /// The room's actor ended before it answered. A retry may succeed.
    #[error("the room's actor stopped")]
    Stopped,
    /// This server has a bug, and what was asked for has found it. Nothing was done, or all of it.
    #[error("the room's actor panicked")]
    Panicked,
    /// Storage failed.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<Unanswered> for RoomError {
    fn from(error: Unanswered) -> Self {
        StorageError::Unavailable(error.0).into()
    }
}

impl From<EventError> for RoomError {
    fn from(error: EventError) -> Self {
        Self::Event(Arc::new(error))
    }
}

impl From<StorageError> for RoomError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::DuplicateAnnotation => Self::DuplicateAnnotation,
            error => Self::Storage(error),
        }
    }
}
