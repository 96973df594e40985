//! How clients read an event: spliced out of its canonical JSON, never rebuilt from a tree.
//!
//! Everything that is the same for all readers is prepared once ([`ClientEvent::new`]); `unsigned`
//! and the shape are the reader's.

use std::borrow::Cow;

use greenroom_model::StoredEvent;
use ruma::{
    EventId, OwnedRoomId, OwnedUserId, TransactionId, UserId, events::room::member::MembershipState,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::EventError;

/// The shape of an event in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The format of today's client-server API.
    Client,
    /// As [`Self::Client`], and member events say `membership` at the top, as `/sync` did when its
    /// path began with `r0`.
    ClientR0,
    /// As [`Self::Client`], with `user_id` (the sender) and the fields of `unsigned` that the first
    /// API had there repeated at the top: `age`, `prev_content`, `replaces_state`,
    /// `redacted_because`. For `/events`, `/initialSync`, and what else is that old.
    Legacy,
    /// The PDU as servers exchange it (`event_format: federation` in filters).
    Federation,
}

/// How an event is written for one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its shape.
    pub shape: Shape,
    /// Whether it says its `room_id`. Where the room is clear from what is around, it does not.
    pub room_id: bool,
}

impl Format {
    /// In `/sync`, where the room's ID is the key of the room's object.
    pub const SYNC: Self = Self {
        shape: Shape::Client,
        room_id: false,
    };
    /// In `/sync` under `r0`.
    pub const SYNC_R0: Self = Self {
        shape: Shape::ClientR0,
        room_id: false,
    };
    /// Everywhere else.
    pub const CLIENT: Self = Self {
        shape: Shape::Client,
        room_id: true,
    };
    /// In the oldest endpoints.
    pub const LEGACY: Self = Self {
        shape: Shape::Legacy,
        room_id: true,
    };
    /// For filters with `event_format: federation`.
    pub const FEDERATION: Self = Self {
        shape: Shape::Federation,
        room_id: true,
    };
}

/// What the server adds to an event for one reader. Nothing of it is signed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsigned<'a> {
    /// Milliseconds since the event was sent; negative if its server's clock runs ahead.
    pub age_ms: Option<i64>,
    /// The transaction ID, only if the reader's device sent the event with it.
    pub transaction_id: Option<&'a TransactionId>,
    /// The content of the state event it replaced, only if the reader may see that.
    pub prev_content: Option<&'a RawValue>,
    /// The sender of the state event it replaced.
    pub prev_sender: Option<&'a UserId>,
    /// The state event it replaced.
    pub replaces_state: Option<&'a EventId>,
    /// The redaction that emptied it, rendered for this reader.
    pub redacted_because: Option<&'a RawValue>,
    /// The reader's membership at the event.
    pub membership: Option<&'a MembershipState>,
    /// What relates to it, summed up for this reader: `m.relations`.
    pub relations: Option<&'a RawValue>,
}

/// An event made ready for clients: what is the same for all of them.
#[derive(Clone, Debug)]
pub struct ClientEvent {
    content: Box<RawValue>,
    /// What follows the content up to `unsigned`: `,"event_id":...,"type":"..."`.
    fields: Box<str>,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    /// Of a member event: the membership it sets.
    membership: Option<MembershipState>,
    pdu: std::sync::Arc<[u8]>,
}

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow)]
    redacts: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RedactsField<'a> {
    #[serde(borrow)]
    redacts: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct MembershipField {
    membership: MembershipState,
}

impl ClientEvent {
    /// Prepares an event.
    ///
    /// A redaction says what it redacts both at the top and in its content, whatever its room
    /// version: ["servers should add a `redacts` property to the top level"][v11] for older
    /// clients, and to the content for newer ones.
    ///
    /// # Errors
    ///
    /// [`EventError::Broken`] if the stored JSON is not an event.
    ///
    /// [v11]: https://spec.matrix.org/v1.19/rooms/v11/#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property
    pub fn new(stored: &StoredEvent) -> Result<Self, EventError> {
        let Parts { content, redacts } = serde_json::from_slice(&stored.json)?;
        let (content, redacts) = match stored.event_type.as_str() {
            "m.room.redaction" => name_target_twice(content, redacts)?,
            _ => (content.to_owned(), None),
        };
        let membership = match stored.event_type.as_str() {
            "m.room.member" if stored.state_key.is_some() => serde_json::from_str(content.get())
                .ok()
                .map(|field: MembershipField| field.membership),
            _ => None,
        };
        let mut fields = Vec::with_capacity(200);
        field(&mut fields, "event_id", stored.event_id.as_str())?;
        raw(&mut fields, ",\"origin_server_ts\":");
        serde_json::to_writer(&mut fields, &stored.origin_server_ts.get())?;
        if let Some(redacts) = redacts {
            field(&mut fields, "redacts", &redacts)?;
        }
        field(&mut fields, "sender", stored.sender.as_str())?;
        if let Some(state_key) = &stored.state_key {
            field(&mut fields, "state_key", state_key)?;
        }
        field(&mut fields, "type", &stored.event_type)?;
        Ok(Self {
            content,
            fields: into_text(fields)?.into_boxed_str(),
            room_id: stored.room_id.clone(),
            sender: stored.sender.clone(),
            membership,
            pdu: std::sync::Arc::clone(&stored.json),
        })
    }

    /// Its content, for the `prev_content` of the event that takes its place.
    #[must_use]
    pub fn content(&self) -> &RawValue {
        &self.content
    }

    /// The event for one reader, appended to `out`.
    ///
    /// # Errors
    ///
    /// [`EventError::Broken`] if a stored PDU is not an object.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        unsigned: &Unsigned<'_>,
        format: Format,
    ) -> Result<(), EventError> {
        if format.shape == Shape::Federation {
            let open = self.pdu.strip_suffix(b"}").filter(|open| open.len() > 1);
            let open = open.ok_or(EventError::Broken("the PDU is not an object".into()))?;
            out.extend_from_slice(open);
        } else {
            raw(out, "{\"content\":");
            raw(out, self.content.get());
            raw(out, &self.fields);
            if format.room_id {
                field(out, "room_id", self.room_id.as_str())?;
            }
        }
        match format.shape {
            Shape::Client | Shape::Federation => {}
            Shape::ClientR0 => {
                if let Some(membership) = &self.membership {
                    field(out, "membership", membership.as_str())?;
                }
            }
            Shape::Legacy => {
                field(out, "user_id", self.sender.as_str())?;
                unsigned.write_since_the_first_api(out)?;
            }
        }
        unsigned.write(out)?;
        raw(out, "}");
        Ok(())
    }

    /// The event for one reader.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn render(
        &self,
        unsigned: &Unsigned<'_>,
        format: Format,
    ) -> Result<Box<RawValue>, EventError> {
        let capacity = self.content.get().len() + self.fields.len() + 300;
        let mut out = Vec::with_capacity(capacity);
        self.write(&mut out, unsigned, format)?;
        Ok(RawValue::from_string(into_text(out)?)?)
    }
}

impl Unsigned<'_> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EventError> {
        const OPEN: &str = ",\"unsigned\":{";
        let start = out.len();
        raw(out, OPEN);
        self.write_since_the_first_api_in(out, start + OPEN.len())?;
        let empty = start + OPEN.len();
        if let Some(relations) = self.relations {
            member(out, empty, "m.relations");
            raw(out, relations.get());
        }
        if let Some(membership) = self.membership {
            member(out, empty, "membership");
            serde_json::to_writer(&mut *out, membership.as_str())?;
        }
        if let Some(prev_sender) = self.prev_sender {
            member(out, empty, "prev_sender");
            serde_json::to_writer(&mut *out, prev_sender)?;
        }
        if let Some(transaction_id) = self.transaction_id {
            member(out, empty, "transaction_id");
            serde_json::to_writer(&mut *out, transaction_id)?;
        }
        if out.len() == empty {
            out.truncate(start);
        } else {
            raw(out, "}");
        }
        Ok(())
    }

    /// The fields that the first API had at the top of an event, each with a comma before it.
    fn write_since_the_first_api(&self, out: &mut Vec<u8>) -> Result<(), EventError> {
        self.write_since_the_first_api_in(out, 0)
    }

    fn write_since_the_first_api_in(
        &self,
        out: &mut Vec<u8>,
        empty: usize,
    ) -> Result<(), EventError> {
        if let Some(age) = self.age_ms {
            member(out, empty, "age");
            serde_json::to_writer(&mut *out, &age)?;
        }
        if let Some(prev_content) = self.prev_content {
            member(out, empty, "prev_content");
            raw(out, prev_content.get());
        }
        if let Some(redacted_because) = self.redacted_because {
            member(out, empty, "redacted_because");
            raw(out, redacted_because.get());
        }
        if let Some(replaces_state) = self.replaces_state {
            member(out, empty, "replaces_state");
            serde_json::to_writer(&mut *out, replaces_state)?;
        }
        Ok(())
    }
}

/// The content and the top-level `redacts` of a redaction, each naming its target.
///
/// Room versions up to 10 keep it at the top, later ones in the content; what a redaction of the
/// redaction took away stays away.
fn name_target_twice<'a>(
    content: &'a RawValue,
    top: Option<Cow<'a, str>>,
) -> Result<(Box<RawValue>, Option<Cow<'a, str>>), EventError> {
    let inner = serde_json::from_str::<RedactsField<'a>>(content.get())
        .ok()
        .and_then(|field| field.redacts);
    match (top, inner) {
        (Some(top), None) => {
            let rest = content.get().strip_prefix('{').map(str::trim_start);
            let rest = rest.ok_or(EventError::Broken("the content is not an object".into()))?;
            let mut out = Vec::with_capacity(rest.len() + top.len() + 16);
            raw(&mut out, "{\"redacts\":");
            serde_json::to_writer(&mut out, &top)?;
            if !rest.starts_with('}') {
                raw(&mut out, ",");
            }
            raw(&mut out, rest);
            Ok((RawValue::from_string(into_text(out)?)?, Some(top)))
        }
        (top, inner) => Ok((content.to_owned(), top.or(inner))),
    }
}

/// A member of an object that is empty while `out` ends at `empty`.
fn member(out: &mut Vec<u8>, empty: usize, key: &str) {
    if out.len() != empty {
        raw(out, ",");
    }
    raw(out, "\"");
    raw(out, key);
    raw(out, "\":");
}

pub(crate) fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A text field behind another one.
pub(crate) fn field(out: &mut Vec<u8>, key: &str, text: &str) -> Result<(), EventError> {
    raw(out, ",\"");
    raw(out, key);
    raw(out, "\":");
    Ok(serde_json::to_writer(out, text)?)
}

pub(crate) fn into_text(bytes: Vec<u8>) -> Result<String, EventError> {
    String::from_utf8(bytes).map_err(|error| EventError::Broken(error.to_string().into()))
}
