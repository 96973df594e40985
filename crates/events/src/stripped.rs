//! Stripped state: what somebody who is not in a room may know of it before joining.

use greenroom_model::{StateKey, StoredEvent};
use ruma::UserId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    EventError,
    client_format::{field, into_text, raw},
};

/// The state events that identify a room to someone outside, all with an empty state key.
///
/// See [stripped state](https://spec.matrix.org/v1.19/client-server-api/#stripped-state).
pub const STRIPPED_TYPES: [&str; 7] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
];

/// The places in a room's state that go into the stripped state for `reader`, whom
/// `sender` has invited (or who knocked, and is the sender).
///
/// The reader's own member event is the invite or knock itself; the sender's says who that is.
#[must_use]
pub fn stripped_keys(reader: &UserId, sender: &UserId) -> Vec<StateKey> {
    let mut keys: Vec<StateKey> = STRIPPED_TYPES
        .iter()
        .map(|event_type| ((*event_type).to_owned(), String::new()))
        .collect();
    keys.push(("m.room.member".to_owned(), reader.to_string()));
    if sender != reader {
        keys.push(("m.room.member".to_owned(), sender.to_string()));
    }
    keys
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

/// A state event with nothing but `content`, `sender`, `state_key` and `type`.
///
/// # Errors
///
/// [`EventError::Broken`] if the stored JSON is not an event.
pub fn strip(stored: &StoredEvent) -> Result<Box<RawValue>, EventError> {
    written(stored, false)
}

/// The same with its `origin_server_ts`, as the children of a space are listed.
///
/// # Errors
///
/// As [`strip`].
pub fn strip_with_time(stored: &StoredEvent) -> Result<Box<RawValue>, EventError> {
    written(stored, true)
}

fn written(stored: &StoredEvent, with_time: bool) -> Result<Box<RawValue>, EventError> {
    let Content { content } = serde_json::from_slice(&stored.json)?;
    let mut out = Vec::with_capacity(content.get().len() + 200);
    raw(&mut out, "{\"content\":");
    raw(&mut out, content.get());
    if with_time {
        let sent = stored.origin_server_ts.0;
        raw(&mut out, &format!(",\"origin_server_ts\":{sent}"));
    }
    field(&mut out, "sender", stored.sender.as_str())?;
    field(
        &mut out,
        "state_key",
        stored.state_key.as_deref().unwrap_or_default(),
    )?;
    field(&mut out, "type", &stored.event_type)?;
    raw(&mut out, "}");
    Ok(RawValue::from_string(into_text(out)?)?)
}
