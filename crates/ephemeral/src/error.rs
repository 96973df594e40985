//! Why typing, presence or a receipt was not read or set.

use greenroom_storage::StorageError;

/// A failure of this crate. Every variant but the last is the client's to mend.
#[derive(Debug, thiserror::Error)]
pub enum EphemeralError {
    /// The act concerns another user. 403 `M_FORBIDDEN`.
    #[error("you may not do this for another user")]
    AnotherUser,
    /// The user is not joined to the room. 403 `M_FORBIDDEN`.
    #[error("you are not joined to this room")]
    NotJoined,
    /// The two users share no room. 403 `M_FORBIDDEN`.
    #[error("you are not allowed to see their presence")]
    PresenceHidden,
    /// The event does not exist in this room. 404 `M_NOT_FOUND`.
    #[error("event not found in this room")]
    UnknownEvent,
    /// A parameter has a value it cannot have. 400 `M_INVALID_PARAM`.
    #[error("{0}")]
    InvalidParam(String),
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] StorageError),
}
