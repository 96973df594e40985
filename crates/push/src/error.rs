//! Why push rules were not changed, or nothing can be said of what is unread.

use greenroom_storage::StorageError;
use greenroom_stream::Unanswered;

/// A refusal or failure of this crate.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// There is no such rule.
    #[error("there is no such push rule")]
    NoSuchRule,
    /// The rule cannot be made or changed like this.
    #[error("{0}")]
    InvalidParam(String),
    /// The rule that this one is to stand before or after is not there, or is predefined.
    #[error("before/after rule not found: {0}")]
    NoSuchNeighbor(String),
    /// There would be more rules, or more searches in events, than one user may have.
    #[error("{0}")]
    TooMany(String),
    /// The rules would take more than this many bytes.
    #[error("all push rules together may have at most {max_bytes} bytes")]
    TooLarge {
        /// What they may have.
        max_bytes: usize,
    },
    /// The token is not one of ours for this user.
    #[error("unknown token; start again without one")]
    UnknownToken,
    /// A stored event does not read as one.
    #[error("a stored event does not read: {0}")]
    Event(String),
    /// Another part could not answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<PushError> for Unanswered {
    fn from(error: PushError) -> Self {
        Self(error.to_string())
    }
}
