//! Why something of an account was not read or written.

use greenroom_storage::StorageError;

/// A failure of this crate. Every variant but the last is the client's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The act concerns another user. 403 `M_FORBIDDEN`.
    #[error("you may not do this for another user")]
    Forbidden,
    /// There is no such thing. 404 `M_NOT_FOUND`.
    #[error("{what} not found")]
    NotFound {
        /// What was looked for, as the client reads it.
        what: &'static str,
    },
    /// A parameter has a value it cannot have. 400 `M_INVALID_PARAM`.
    #[error("{0}")]
    InvalidParam(String),
    /// The body is JSON, but not of the right shape. 400 `M_BAD_JSON`.
    #[error("{0}")]
    BadJson(String),
    /// The server manages this type of account data itself. 405 `M_BAD_JSON`.
    #[error("{data_type} cannot be set through this API")]
    ManagedByServer {
        /// The type of account data.
        data_type: &'static str,
    },
    /// The profile would grow beyond its limit. 400 `M_PROFILE_TOO_LARGE`.
    #[error("the profile would be larger than {max_bytes} bytes")]
    ProfileTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The name of a profile field is too long. 400 `M_KEY_TOO_LARGE`.
    #[error("the name of a profile field is at most {max_bytes} bytes long")]
    KeyTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The content is too large. 413 `M_TOO_LARGE`.
    #[error("the content is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] StorageError),
}
