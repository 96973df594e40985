//! Why something is not an event we make or keep.

use std::borrow::Cow;

use crate::JsonError;

/// Why an event was refused. The variants are what the sender can do about it.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The event or one of its fields is over its limit: 413 `M_TOO_LARGE`.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large, named as on the wire (`event`, `type`, `state_key`, ...).
        what: &'static str,
        /// The most bytes it may have.
        limit: usize,
    },
    /// The event's content does not have the shape its type demands: 400 `M_BAD_JSON`.
    #[error("{0}")]
    BadJson(Cow<'static, str>),
    /// A value has its shape but is not one the specification allows: 400 `M_INVALID_PARAM`.
    #[error("{0}")]
    InvalidParam(Cow<'static, str>),
    /// No client may send this event: 403 `M_FORBIDDEN`.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// The event cannot be made or read for a reason that is not the client's: 500.
    #[error("broken event: {0}")]
    Broken(Cow<'static, str>),
}

impl EventError {
    /// [`Self::BadJson`] with a fixed text.
    pub(crate) const fn bad(text: &'static str) -> Self {
        Self::BadJson(Cow::Borrowed(text))
    }
}

impl From<JsonError> for EventError {
    fn from(error: JsonError) -> Self {
        Self::BadJson(error.to_string().into())
    }
}

/// For JSON that we wrote ourselves and could not read back.
impl From<serde_json::Error> for EventError {
    fn from(error: serde_json::Error) -> Self {
        Self::Broken(error.to_string().into())
    }
}
