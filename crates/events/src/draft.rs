//! From what somebody wants to send to a signed PDU.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId,
    OwnedRoomId, OwnedUserId, canonical_json::redact_content_in_place, events::TimelineEventType,
    room_version_rules::EventIdFormatVersion, signatures,
};
use serde_json::value::to_raw_value;
use sha2::{Digest as _, Sha256};

use crate::{
    EventError, EventSigner, Pdu, RoomVersion, check,
    envelope::{Envelope, Signature},
    json,
};

/// The greatest `depth` that canonical JSON can write: 2^53 − 1.
const MAX_DEPTH: u64 = (1 << 53) - 1;

/// What somebody wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who.
    pub sender: OwnedUserId,
    /// The event's type, as on the wire.
    pub event_type: String,
    /// For a state event, its state key.
    pub state_key: Option<String>,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// For a redaction, the event it is about. It goes where the room version keeps it.
    pub redacts: Option<OwnedEventId>,
    /// A time other than now, for those who may set one.
    pub origin_server_ts_override: Option<MilliSecondsSinceUnixEpoch>,
}

/// An event that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRef {
    /// Its ID.
    pub event_id: OwnedEventId,
    /// Its reference hash in unpadded base64: room versions 1 and 2 name events with it.
    pub reference_hash: Option<String>,
}

impl EventRef {
    /// How events of this room version name `pdu`.
    ///
    /// # Errors
    ///
    /// [`EventError::Broken`] if a version 1 or 2 event cannot be hashed.
    pub fn to(pdu: &Pdu, version: &RoomVersion) -> Result<Self, EventError> {
        let reference_hash = if version.event_id_in_event() {
            let object = json::parse_stored(&pdu.json)?;
            let hash = signatures::reference_hash(&object, &version.rules)
                .map_err(|error| EventError::Broken(error.to_string().into()))?;
            Some(hash)
        } else {
            None
        };
        Ok(Self {
            event_id: pdu.event_id.clone(),
            reference_hash,
        })
    }
}

/// Where in the room a new event goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room; `None` for the create event of a version 12 room, whose ID is not known before.
    pub room_id: Option<OwnedRoomId>,
    /// The events it follows: at most 20.
    pub prev_events: Vec<EventRef>,
    /// The events that allow it: at most 10.
    pub auth_events: Vec<EventRef>,
    /// One more than the greatest depth of `prev_events`.
    pub depth: u64,
}

/// Makes a PDU: hashed, signed, with its ID.
///
/// Checks sizes and nothing else: what clients send goes through [`check::content`] before, and
/// whether the room allows it is asked with the PDU ([`crate::auth::authorize`]).
///
/// # Errors
///
/// [`EventError::TooLarge`] if the event or one of its fields is over its limit;
/// [`EventError::Broken`] if `place` does not fit the room version.
pub fn build(
    draft: Draft,
    place: &Place,
    version: &RoomVersion,
    signer: &EventSigner,
    now: MilliSecondsSinceUnixEpoch,
) -> Result<Pdu, EventError> {
    check::field_sizes(&draft.event_type, draft.state_key.as_deref(), &draft.sender)?;
    let nameless_room = version.room_id_is_create_hash() && draft.event_type == "m.room.create";
    if nameless_room != place.room_id.is_none() {
        return Err(EventError::Broken(
            "only a version 12 create event has no room ID".into(),
        ));
    }
    let time = draft.origin_server_ts_override.unwrap_or(now);
    let Draft {
        sender,
        event_type,
        state_key,
        mut content,
        redacts,
        ..
    } = draft;
    let redacts = place_redacts(redacts, &event_type, &mut content, version);
    if let Some(target) = &redacts {
        check::identifier_size("redacts", target.as_str())?;
    }
    let raw_content = to_raw_value(&content)?;
    // Nothing that is certainly too large is worth hashing.
    check::event_size(raw_content.get().len())?;

    let with_id = version.event_id_in_event();
    let random_id = with_id.then(|| EventId::new_v1(signer.server_name()));
    let depth = place.depth.min(MAX_DEPTH);
    let envelope = Envelope {
        auth_events: &place.auth_events,
        depth,
        event_id: random_id.as_ref().map(|id| id.as_str()),
        origin_server_ts: time.get().into(),
        prev_events: &place.prev_events,
        redacts: redacts
            .as_ref()
            .filter(|_| !version.redacts_in_content())
            .map(|id| id.as_str()),
        room_id: place.room_id.as_ref().map(|id| id.as_str()),
        sender: sender.as_str(),
        state_key: state_key.as_deref(),
        event_type: &event_type,
        pairs: with_id,
    };
    let Signed {
        json,
        reference_hash,
    } = hash_and_sign(&envelope, raw_content.get(), content, version, signer)?;
    check::event_size(json.len())?;

    let event_id = match random_id {
        Some(event_id) => event_id,
        None => event_id_of_hash(&reference_hash, version)?,
    };
    let room_id = match &place.room_id {
        Some(room_id) => room_id.clone(),
        None => room_id_for_create(&event_id)?,
    };
    Ok(Pdu {
        room_id,
        event_type: TimelineEventType::from(event_type.as_str()),
        type_name: event_type,
        sender,
        state_key,
        origin_server_ts: time,
        depth,
        prev_events: ids(&place.prev_events),
        auth_events: ids(&place.auth_events),
        redacts,
        content: raw_content,
        json: json.into(),
        names_room: place.room_id.is_some(),
        event_id,
    })
}

fn ids(refs: &[EventRef]) -> Vec<OwnedEventId> {
    refs.iter().map(|event| event.event_id.clone()).collect()
}

/// Puts the target of a redaction where the room version keeps it, and says what it is.
fn place_redacts(
    redacts: Option<OwnedEventId>,
    event_type: &str,
    content: &mut CanonicalJsonObject,
    version: &RoomVersion,
) -> Option<OwnedEventId> {
    if !version.redacts_in_content() {
        return redacts;
    }
    if let Some(target) = redacts {
        content.insert(
            "redacts".to_owned(),
            CanonicalJsonValue::String(target.to_string()),
        );
        return Some(target);
    }
    // Clients may also send a redaction like any other event and name its target themselves.
    match content.get("redacts") {
        Some(CanonicalJsonValue::String(target)) if event_type == "m.room.redaction" => {
            EventId::parse(target).ok()
        }
        _ => None,
    }
}

/// A finished event.
struct Signed {
    json: Vec<u8>,
    reference_hash: [u8; 32],
}

/// Hashes and signs an event as the [federation API] says.
///
/// [federation API]: https://spec.matrix.org/v1.19/server-server-api/#signing-events
fn hash_and_sign(
    envelope: &Envelope<'_>,
    raw_content: &str,
    mut content: CanonicalJsonObject,
    version: &RoomVersion,
    signer: &EventSigner,
) -> Result<Signed, EventError> {
    let hashed = envelope.write(raw_content, None, true, None)?;
    let content_hash = STANDARD_NO_PAD.encode(Sha256::digest(&hashed));

    redact_content_in_place(&mut content, &version.rules.redaction, envelope.event_type);
    let pruned_content = serde_json::to_string(&content)?;
    let pruned = envelope.write(&pruned_content, Some(&content_hash), false, None)?;
    let signature = Signature {
        server_name: signer.server_name().as_str(),
        key_id: signer.key_id(),
        base64: &signer.sign(&pruned),
    };
    let json = envelope.write(raw_content, Some(&content_hash), true, Some(&signature))?;
    // The reference hash covers the same bytes as the signature.
    Ok(Signed {
        json,
        reference_hash: Sha256::digest(&pruned).into(),
    })
}

/// The ID of the version 12 room that this create event opens.
///
/// # Errors
///
/// [`EventError::Broken`] if it is not the ID of such an event.
pub fn room_id_for_create(event_id: &EventId) -> Result<OwnedRoomId, EventError> {
    let hash = event_id.as_str().strip_prefix('$').unwrap_or_default();
    OwnedRoomId::try_from(format!("!{hash}"))
        .map_err(|error| EventError::Broken(error.to_string().into()))
}

fn event_id_of_hash(hash: &[u8], version: &RoomVersion) -> Result<OwnedEventId, EventError> {
    let mut id = String::with_capacity(44);
    id.push('$');
    match version.rules.event_id_format {
        EventIdFormatVersion::V1 | EventIdFormatVersion::V2 => {
            STANDARD_NO_PAD.encode_string(hash, &mut id);
        }
        _ => URL_SAFE_NO_PAD.encode_string(hash, &mut id),
    }
    OwnedEventId::try_from(id).map_err(|error| EventError::Broken(error.to_string().into()))
}
