//! Why a sync was not answered.

use greenroom_events::EventError;
use greenroom_storage::StorageError;
use greenroom_stream::Unanswered;
use std::sync::Arc;

/// A refusal or failure of a sync.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SyncError {
    /// The since token is not one of this server and user, or lies in the future.
    #[error("unknown since token; start again without one")]
    UnknownToken,
    /// The position of sliding sync is not one of this server, user, device and connection, or is
    /// no longer known: the client has to start afresh.
    #[error("unknown position; start again without one")]
    UnknownPos,
    /// Something in a request is too much, or makes no sense: 400 `M_INVALID_PARAM`.
    #[error("{0}")]
    BadRequest(String),
    /// There is no stored filter with this ID.
    #[error("there is no such filter")]
    NoSuchFilter,
    /// The filter is not one: 400 `M_BAD_JSON`.
    #[error("the filter is not valid: {0}")]
    BadFilter(String),
    /// The user has stored as many filters as they may.
    #[error("too many filters are stored")]
    TooManyFilters,
    /// The room is not the reader's to see.
    #[error("you are not in this room")]
    NotInRoom,
    /// A stored event does not read as one.
    #[error(transparent)]
    Event(Arc<EventError>),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Unanswered> for SyncError {
    fn from(error: Unanswered) -> Self {
        StorageError::Unavailable(error.0).into()
    }
}

impl From<EventError> for SyncError {
    fn from(error: EventError) -> Self {
        Self::Event(Arc::new(error))
    }
}
