//! What a redaction leaves of an event.

use ruma::{CanonicalJsonValue, OwnedEventId, canonical_json::RedactingSerializer};

use crate::{EventError, Pdu, RoomVersion, json};

/// The event without everything that its room version's redaction takes away, as canonical JSON.
///
/// Its ID, its hashes and its signatures stay true: they cover what is left.
///
/// # Errors
///
/// [`EventError::Broken`] if `json` is not an event.
pub fn redact(json: &[u8], version: &RoomVersion) -> Result<Vec<u8>, EventError> {
    let event = json::parse_stored(json)?;
    if !matches!(event.get("type"), Some(CanonicalJsonValue::String(_))) {
        return Err(EventError::Broken("the event has no type".into()));
    }
    let pruned = RedactingSerializer::new()
        .rules(&version.rules.redaction)
        .serialize(&event)?;
    Ok(pruned.into_bytes())
}

/// The event that `pdu` redacts, if it is a redaction.
#[must_use]
pub fn redaction_target(pdu: &Pdu) -> Option<&OwnedEventId> {
    pdu.redacts.as_ref()
}
