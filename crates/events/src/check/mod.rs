//! What a client may put into an event: sizes, and the shape of content the server acts on.

mod content;
mod power_levels;

use ruma::UserId;

pub use self::content::{canonical_aliases, content};
use crate::EventError;

/// The most bytes a PDU may have as canonical JSON with its signatures.
///
/// "The complete event MUST NOT be larger than 65536 bytes, when formatted with the federation
/// event format, including any signatures, and encoded as Canonical JSON."
/// ([size limits](https://spec.matrix.org/v1.19/client-server-api/#size-limits))
pub const MAX_EVENT_BYTES: usize = 65_536;

/// The most bytes an event's type, its state key, and any identifier may have.
pub const MAX_FIELD_BYTES: usize = 255;

/// Checks the size of a complete event.
///
/// # Errors
///
/// [`EventError::TooLarge`].
pub fn event_size(bytes: usize) -> Result<(), EventError> {
    limit("event", bytes, MAX_EVENT_BYTES)
}

/// Checks the sizes of the fields a client chooses. They are counted in bytes, not characters.
///
/// # Errors
///
/// [`EventError::TooLarge`].
pub fn field_sizes(
    event_type: &str,
    state_key: Option<&str>,
    sender: &UserId,
) -> Result<(), EventError> {
    limit("type", event_type.len(), MAX_FIELD_BYTES)?;
    limit("state_key", state_key.map_or(0, str::len), MAX_FIELD_BYTES)?;
    limit("sender", sender.as_str().len(), MAX_FIELD_BYTES)
}

/// Checks the size of an identifier that a client names in an event.
///
/// ruma's types check it too, but not in every kind of ID.
///
/// # Errors
///
/// [`EventError::TooLarge`].
pub fn identifier_size(what: &'static str, id: &str) -> Result<(), EventError> {
    limit(what, id.len(), MAX_FIELD_BYTES)
}

fn limit(what: &'static str, bytes: usize, limit: usize) -> Result<(), EventError> {
    if bytes > limit {
        return Err(EventError::TooLarge { what, limit });
    }
    Ok(())
}
