//! An event with the fields the room rules look at.

use std::{borrow::Cow, fmt, sync::Arc};

use greenroom_model::StoredEvent;
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::TimelineEventType, state_res,
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{EventError, RoomVersion};

/// A PDU: its canonical JSON, and what the room rules read of it.
#[derive(Clone, Debug)]
pub struct Pdu {
    /// Its ID.
    pub event_id: OwnedEventId,
    /// Its room, known also for a version 12 create event, whose own JSON has none.
    pub room_id: OwnedRoomId,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// Its type as ruma knows it. Two spellings of one type are the same here: what is stored or
    /// compared with text is [`Self::type_name`].
    pub event_type: TimelineEventType,
    /// Its type, as on the wire.
    pub type_name: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// When its server says it was sent.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    /// One more than the greatest depth of its `prev_events`.
    pub depth: u64,
    /// The events it follows.
    pub prev_events: Vec<OwnedEventId>,
    /// The events that allow it.
    pub auth_events: Vec<OwnedEventId>,
    /// The event it redacts, wherever its room version keeps that.
    pub redacts: Option<OwnedEventId>,
    /// Its content.
    pub content: Box<RawValue>,
    /// All of it, signed, as canonical JSON.
    pub json: Arc<[u8]>,
    /// Whether the JSON names the room: a version 12 create event does not.
    pub(crate) names_room: bool,
}

/// What only the JSON of a stored event says.
#[derive(Deserialize)]
struct Fields<'a> {
    auth_events: Vec<Reference>,
    #[serde(borrow)]
    content: &'a RawValue,
    depth: u64,
    prev_events: Vec<Reference>,
    redacts: Option<OwnedEventId>,
    #[serde(borrow)]
    room_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RedactionContent {
    redacts: Option<OwnedEventId>,
}

impl Pdu {
    /// Reads what the JSON of a stored event says beside its columns.
    ///
    /// # Errors
    ///
    /// [`EventError::Broken`] if the stored JSON is not a PDU.
    pub fn from_stored(stored: &StoredEvent, version: &RoomVersion) -> Result<Self, EventError> {
        let fields: Fields<'_> = serde_json::from_slice(&stored.json)?;
        let event_type = TimelineEventType::from(stored.event_type.as_str());
        let redacts = match event_type {
            // A redacted redaction may have lost it.
            TimelineEventType::RoomRedaction if version.redacts_in_content() => {
                serde_json::from_str::<RedactionContent>(fields.content.get())
                    .ok()
                    .and_then(|content| content.redacts)
            }
            TimelineEventType::RoomRedaction => fields.redacts,
            _ => None,
        };
        Ok(Self {
            event_id: stored.event_id.clone(),
            room_id: stored.room_id.clone(),
            sender: stored.sender.clone(),
            event_type,
            type_name: stored.event_type.clone(),
            state_key: stored.state_key.clone(),
            origin_server_ts: stored.origin_server_ts,
            depth: fields.depth,
            prev_events: fields
                .prev_events
                .into_iter()
                .map(|reference| reference.0)
                .collect(),
            auth_events: fields
                .auth_events
                .into_iter()
                .map(|reference| reference.0)
                .collect(),
            redacts,
            content: fields.content.to_owned(),
            json: Arc::clone(&stored.json),
            names_room: fields.room_id.is_some(),
        })
    }

    /// Whether this is a state event with this type and state key.
    #[must_use]
    pub fn is_state(&self, event_type: &str, state_key: &str) -> bool {
        self.type_name == event_type && self.state_key.as_deref() == Some(state_key)
    }
}

impl state_res::Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.names_room.then_some(&*self.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    fn content(&self) -> &RawValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.redacts.as_ref()
    }

    /// Rejected events are not stored, so there is none to be asked about.
    fn rejected(&self) -> bool {
        false
    }
}

/// An event named by another: its ID, or in versions 1 and 2 a pair of ID and hashes.
struct Reference(OwnedEventId);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event ID, or an event ID and hashes")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Reference, E> {
        <&EventId>::try_from(value)
            .map(|id| Reference(id.to_owned()))
            .map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reference, A::Error> {
        let id = seq
            .next_element::<OwnedEventId>()?
            .ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Reference(id))
    }
}
