//! Tests of the crate, a file per subject, and what they share.

mod auth;
mod client_format;
mod content;
mod drafts;
mod event_fields;
mod json;
mod redaction;
mod relations;
mod rules;
mod signing;
mod visibility;

use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, RoomVersionId,
    UInt, server_name, user_id,
};
use serde_json::{Value, json};

use crate::{Draft, EventRef, EventSigner, Pdu, Place, RoomVersion, build};

/// The seed that the specification's test vectors use.
pub(super) const SPEC_KEY: &str = "ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

pub(super) fn version(number: u8) -> RoomVersion {
    RoomVersion::new(&RoomVersionId::try_from(number.to_string()).unwrap()).unwrap()
}

pub(super) fn versions() -> impl Iterator<Item = (u8, RoomVersion)> {
    (1..=12).map(|number| (number, version(number)))
}

pub(super) fn signer() -> EventSigner {
    EventSigner::load(server_name!("localhost"), SPEC_KEY).unwrap()
}

pub(super) fn object(value: &Value) -> CanonicalJsonObject {
    crate::json::parse_object(value.to_string().as_bytes()).unwrap()
}

pub(super) fn now() -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::try_from(1_460_653_499_699_u64).unwrap())
}

pub(super) fn draft(event_type: &str, state_key: Option<&str>, content: &Value) -> Draft {
    Draft {
        sender: user_id!("@alice:localhost").to_owned(),
        event_type: event_type.to_owned(),
        state_key: state_key.map(ToOwned::to_owned),
        content: object(content),
        redacts: None,
        origin_server_ts_override: None,
    }
}

pub(super) fn message(body: &str) -> Draft {
    draft(
        "m.room.message",
        None,
        &json!({ "msgtype": "m.text", "body": body }),
    )
}

/// A place in the middle of a room of this version.
pub(super) fn place(version: &RoomVersion) -> Place {
    let (room_id, one, two) = if version.event_id_in_event() {
        ("!room:localhost", "$one:localhost", "$two:localhost")
    } else {
        (
            "!room:localhost",
            "$acR1l0raoZnm60CBwAVgqbZqoO_mYU81xysh1u7XcJk",
            "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg",
        )
    };
    let room_id = if version.room_id_is_create_hash() {
        "!n8f893n9dJ2MoURFyqAyJ2gJNmvm5vJcXlAU3bdhyeQ"
    } else {
        room_id
    };
    let reference = |id: &str| EventRef {
        event_id: EventId::parse(id).unwrap(),
        reference_hash: version
            .event_id_in_event()
            .then(|| "hlcOV7sqXVLYJJ1zvMNhWBrmLJk5bJJTQbIbTnRPCO0".to_owned()),
    };
    Place {
        room_id: Some(RoomId::parse(room_id).unwrap()),
        prev_events: vec![reference(one)],
        auth_events: vec![reference(one), reference(two)],
        depth: 7,
    }
}

pub(super) fn built(draft: Draft, version: &RoomVersion) -> Pdu {
    build(draft, &place(version), version, &signer(), now()).unwrap()
}

/// A version 12 create event.
pub(super) fn created() -> Pdu {
    let place = Place {
        room_id: None,
        prev_events: vec![],
        auth_events: vec![],
        depth: 1,
    };
    let draft = draft("m.room.create", Some(""), &json!({ "room_version": "12" }));
    build(draft, &place, &version(12), &signer(), now()).unwrap()
}

pub(super) fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

pub(super) fn stored(pdu: &Pdu, position: i64) -> StoredEvent {
    StoredEvent {
        position: StreamPosition(position),
        event_id: pdu.event_id.clone(),
        room_id: pdu.room_id.clone(),
        event_type: pdu.type_name.clone(),
        state_key: pdu.state_key.clone(),
        sender: pdu.sender.clone(),
        origin_server_ts: pdu.origin_server_ts,
        json: pdu.json.clone(),
        redacted_by: None,
        replaces_state: None,
        transaction: None,
    }
}

pub(super) fn event_id(text: &str) -> OwnedEventId {
    EventId::parse(text).unwrap()
}

/// A small generator of numbers that are the same in every run.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64);
        &from[usize::try_from(at).unwrap()]
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a", "Z", "é", "日", "😀", "\u{ff5e}", "\"", "\\", "\n", "\u{0}", "\u{7f}", "/",
            "\u{2028}",
        ];
        (0..self.below(6)).map(|_| *self.pick(PIECES)).collect()
    }

    /// A JSON value of canonical JSON.
    pub(super) fn value(&mut self, depth: u32) -> Value {
        let kinds = if depth == 0 { 4 } else { 6 };
        match self.below(kinds) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(i64::try_from(self.below(1 << 54)).unwrap() / 2 - (1 << 52)),
            3 => json!(self.text()),
            4 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }

    pub(super) fn object(&mut self, depth: u32) -> Value {
        let fields = (0..self.below(5)).map(|_| (self.text(), self.value(depth)));
        Value::Object(fields.collect())
    }
}
