//! Why a pusher was not set.

use greenroom_storage::StorageError;

/// Why a pusher was not set or listed. Never says a pushkey.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PusherError {
    /// Parameters that must be there are not.
    #[error("missing parameters: {0}")]
    Missing(String),
    /// A parameter has a value that it cannot have.
    #[error("{0}")]
    Invalid(String),
    /// A kind of pusher that this server does not serve.
    #[error("`kind` must be `http` or null: this server sends no e-mail and knows no other kind")]
    Kind,
    /// The user has as many as one may have.
    #[error("you have as many pushers as one user may")]
    TooMany,
    /// The device was logged out meanwhile.
    #[error("this device has been logged out")]
    LoggedOut,
    /// Storage did not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
