use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedUserId, UInt,
    serde::Base64,
    signatures::{PublicKeyMap, Verified, reference_hash, verify_event},
    state_res::{Event as _, check_pdu_format},
};
use serde_json::{Value, json};

use crate::{
    EventError, EventRef, Pdu, Place, RoomVersion, build,
    check::{MAX_EVENT_BYTES, MAX_FIELD_BYTES},
    json::parse_object,
    room_id_for_create,
    tests::{
        Seeded, built, created, draft, event_id, message, now, place, signer, stored, value,
        version, versions,
    },
};

const STATE_TYPES: &[&str] = &[
    "m.room.create",
    "m.room.member",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.history_visibility",
    "m.room.aliases",
    "m.room.redaction",
    "m.room.name",
    "m.room.server_acl",
    "org.example.\"quoted\"",
];

fn keys() -> PublicKeyMap {
    let signer = signer();
    let key = Base64::parse(signer.public_key_base64()).unwrap();
    let set = BTreeMap::from([(signer.key_id().to_owned(), key)]);
    PublicKeyMap::from([(signer.server_name().to_string(), set)])
}

fn parsed(pdu: &Pdu) -> CanonicalJsonObject {
    parse_object(&pdu.json).unwrap()
}

/// Everything another server would check, by code that is not ours.
fn assert_sound(pdu: &Pdu, version: &RoomVersion) {
    let object = parsed(pdu);
    assert_eq!(
        serde_json::to_string(&object).unwrap().as_bytes(),
        &*pdu.json,
        "canonical"
    );
    let verified = verify_event(&keys(), &object, &version.rules).unwrap();
    assert!(verified == Verified::All, "hash and signature");
    if !version.event_id_in_event() {
        let hash = reference_hash(&object, &version.rules).unwrap();
        assert_eq!(pdu.event_id.as_str(), format!("${hash}"));
    }
    check_pdu_format(&object, &version.rules.event_format).unwrap();
}

#[test]
fn every_version_makes_events_that_others_verify() {
    let mut seeded = Seeded(1);
    for (_, version) in versions() {
        assert_sound(&built(message("hi"), &version), &version);
        for event_type in STATE_TYPES {
            if *event_type == "m.room.create" && version.room_id_is_create_hash() {
                continue;
            }
            for state_key in [None, Some(""), Some("@bob:localhost"), Some("\u{0}\"日\\")] {
                let draft = draft(event_type, state_key, &retained(seeded.object(3)));
                assert_sound(&built(draft, &version), &version);
            }
        }
    }
    assert_sound(&created(), &version(12));
}

/// Random content that also has keys which redactions keep.
fn retained(mut content: Value) -> Value {
    let object = content.as_object_mut().unwrap();
    for key in [
        "membership",
        "join_rule",
        "allow",
        "users",
        "invite",
        "creator",
        "aliases",
    ] {
        object.insert(key.to_owned(), json!({ "z": 1, "a": [null] }));
    }
    object.insert("membership".to_owned(), json!("join"));
    object.insert(
        "third_party_invite".to_owned(),
        json!({ "signed": { "mxid": "@a:b" }, "x": 1 }),
    );
    content
}

#[test]
fn random_content_survives_in_every_version() {
    let mut seeded = Seeded(2);
    for _ in 0..300 {
        let number = u8::try_from(seeded.below(12)).unwrap() + 1;
        let version = version(number);
        let content = seeded.object(4);
        let pdu = built(draft("m.room.message", None, &content), &version);
        assert_sound(&pdu, &version);
        assert_eq!(value(&pdu.json)["content"], content);
    }
}

#[test]
fn versions_1_and_2_carry_their_id_and_name_events_with_hashes() {
    for number in [1, 2] {
        let version = version(number);
        let pdu = built(message("hi"), &version);
        let json = value(&pdu.json);
        assert_eq!(json["event_id"], pdu.event_id.as_str());
        assert!(pdu.event_id.as_str().ends_with(":localhost"));
        assert_eq!(
            json["prev_events"],
            json!([["$one:localhost", { "sha256": "hlcOV7sqXVLYJJ1zvMNhWBrmLJk5bJJTQbIbTnRPCO0" }]])
        );
        assert_ne!(
            pdu.event_id,
            built(message("hi"), &version).event_id,
            "random"
        );

        let reference = EventRef::to(&pdu, &version).unwrap();
        let hash = reference_hash(&parsed(&pdu), &version.rules).unwrap();
        assert_eq!(
            reference,
            EventRef {
                event_id: pdu.event_id,
                reference_hash: Some(hash)
            }
        );

        let mut place = place(&version);
        place.prev_events[0].reference_hash = None;
        let refused = build(message("hi"), &place, &version, &signer(), now());
        assert!(matches!(refused, Err(EventError::Broken(_))));
    }
}

#[test]
fn later_versions_name_events_by_their_hash() {
    for (number, version) in versions().filter(|(number, _)| *number >= 3) {
        let pdu = built(message("hi"), &version);
        let json = value(&pdu.json);
        assert_eq!(json.get("event_id"), None);
        assert_eq!(json["prev_events"], json!([pdu.prev_events[0].as_str()]));
        assert_eq!(json["auth_events"].as_array().unwrap().len(), 2);
        assert_eq!(pdu.event_id.as_str().len(), 44);
        assert_eq!(
            pdu.event_id,
            built(message("hi"), &version).event_id,
            "the same event"
        );
        let reference = EventRef::to(&pdu, &version).unwrap();
        assert_eq!(
            reference,
            EventRef {
                event_id: pdu.event_id.clone(),
                reference_hash: None
            }
        );
        let urls_only = (0..40).all(|n| {
            !built(message(&n.to_string()), &version)
                .event_id
                .as_str()
                .contains(['+', '/'])
        });
        assert_eq!(
            urls_only,
            number >= 4,
            "version 3 alone has the standard alphabet"
        );
    }
}

#[test]
fn a_version_12_room_is_named_by_its_create_event() {
    let pdu = created();
    let json = value(&pdu.json);
    assert_eq!(json.get("room_id"), None);
    assert_eq!(
        pdu.room_id().map(ToOwned::to_owned),
        None,
        "the event does not say it"
    );
    assert_eq!(
        pdu.room_id.as_str(),
        pdu.event_id.as_str().replace('$', "!")
    );
    assert_eq!(room_id_for_create(&pdu.event_id).unwrap(), pdu.room_id);

    let refused = build(
        message("hi"),
        &Place {
            room_id: None,
            ..place(&version(12))
        },
        &version(12),
        &signer(),
        now(),
    );
    assert!(matches!(refused, Err(EventError::Broken(_))));
    let create = draft("m.room.create", Some(""), &json!({}));
    let refused = build(
        create.clone(),
        &place(&version(12)),
        &version(12),
        &signer(),
        now(),
    );
    assert!(matches!(refused, Err(EventError::Broken(_))));
    assert!(value(&built(create, &version(11)).json)["room_id"].is_string());
}

#[test]
fn a_redaction_names_its_target_where_its_version_keeps_it() {
    for (number, version) in versions() {
        let target = event_id("$target:localhost");
        let mut draft = draft("m.room.redaction", None, &json!({ "reason": "spam" }));
        draft.redacts = Some(target.clone());
        let pdu = built(draft, &version);
        assert_sound(&pdu, &version);
        let json = value(&pdu.json);
        let (kept, other) = if number >= 11 {
            (&json["content"], &json)
        } else {
            (&json, &json["content"])
        };
        assert_eq!(kept["redacts"], target.as_str(), "version {number}");
        assert_eq!(other.get("redacts"), None, "version {number}");
        assert_eq!(pdu.redacts.as_ref(), Some(&target));
        assert_eq!(crate::redact::redaction_target(&pdu), Some(&target));

        // A client may name it in the content itself, where that means something.
        let content = json!({ "redacts": target.as_str() });
        let pdu = built(self::draft("m.room.redaction", None, &content), &version);
        assert_eq!(
            pdu.redacts,
            (number >= 11).then(|| target.clone()),
            "version {number}"
        );
        let pdu = built(self::draft("m.room.other", None, &content), &version);
        assert_eq!(pdu.redacts, None);
    }
}

#[test]
fn a_stored_event_reads_back_as_it_was_built() {
    for (number, version) in versions() {
        let mut redaction = draft("m.room.redaction", None, &json!({}));
        redaction.redacts = Some(event_id("$target:localhost"));
        let state = draft("m.room.name", Some(""), &json!({ "name": "a \u{0} \"b\"" }));
        let mut pdus = vec![
            built(message("hi"), &version),
            built(redaction, &version),
            built(state, &version),
        ];
        if number == 12 {
            pdus.push(created());
        }
        for pdu in pdus {
            let read = Pdu::from_stored(&stored(&pdu, 1), &version).unwrap();
            assert_eq!(format!("{read:?}"), format!("{pdu:?}"), "version {number}");
        }
    }
    let mut damaged = stored(&built(message("hi"), &version(12)), 1);
    damaged.json = b"{\"content\":{}}".as_slice().into();
    assert!(matches!(
        Pdu::from_stored(&damaged, &version(12)),
        Err(EventError::Broken(_))
    ));
}

#[test]
fn time_and_depth_are_what_was_asked_for() {
    let mut draft = message("hi");
    let past = MilliSecondsSinceUnixEpoch(UInt::from(5_u32));
    draft.origin_server_ts_override = Some(past);
    let place = Place {
        depth: u64::MAX,
        ..place(&version(12))
    };
    let pdu = build(draft, &place, &version(12), &signer(), now()).unwrap();
    assert_eq!(value(&pdu.json)["origin_server_ts"], 5);
    assert_eq!(pdu.origin_server_ts, past);
    assert_eq!(value(&pdu.json)["depth"], (1_i64 << 53) - 1);
    assert_eq!(value(&built(message("hi"), &version(12)).json)["depth"], 7);
}

/// Bodies of one- to four-byte characters, so that bytes and not characters must be counted.
#[test]
fn b11_an_event_has_at_most_65536_bytes_with_its_signatures() {
    for (_, version) in versions() {
        for filler in ["x", "é", "日", "😀"] {
            let empty = built(message(""), &version).json.len();
            let room = MAX_EVENT_BYTES - empty;
            let body = filler.repeat(room / filler.len()) + &"x".repeat(room % filler.len());
            let pdu = built(message(&body), &version);
            assert_eq!(pdu.json.len(), MAX_EVENT_BYTES);
            let too_large = build(
                message(&(body + "x")),
                &place(&version),
                &version,
                &signer(),
                now(),
            );
            assert!(matches!(
                too_large,
                Err(EventError::TooLarge { what: "event", .. })
            ));
        }
    }
    assert_eq!(MAX_EVENT_BYTES, 65_536);
    let huge = build(
        message(&"x".repeat(1_000_000)),
        &place(&version(12)),
        &version(12),
        &signer(),
        now(),
    );
    assert!(matches!(
        huge,
        Err(EventError::TooLarge { what: "event", .. })
    ));
}

#[test]
fn b12_fields_have_at_most_255_bytes() {
    let fits = ["t".repeat(MAX_FIELD_BYTES), "😀".repeat(63) + "abc"];
    let too_long = [
        "t".repeat(MAX_FIELD_BYTES + 1),
        "😀".repeat(64),
        "é".repeat(MAX_FIELD_BYTES),
    ];
    let version = version(12);
    let build = |event_type: &str, state_key: &str| {
        build(
            draft(event_type, Some(state_key), &json!({})),
            &place(&version),
            &version,
            &signer(),
            now(),
        )
    };
    for text in &fits {
        assert_eq!(text.len(), 255);
        assert_sound(&build(text, text).unwrap(), &version);
    }
    for text in &too_long {
        assert!(matches!(
            build(text, ""),
            Err(EventError::TooLarge {
                what: "type",
                limit: 255
            })
        ));
        assert!(matches!(
            build("t", text),
            Err(EventError::TooLarge {
                what: "state_key",
                ..
            })
        ));
    }
    let long_user = format!("@{}:localhost", "a".repeat(244));
    assert!(OwnedUserId::try_from(long_user).is_ok(), "255 bytes");
    for (length, fits) in [(254, true), (255, false)] {
        let mut draft = draft("m.room.redaction", None, &json!({}));
        draft.redacts = Some(EventId::parse(format!("${}", "a".repeat(length))).unwrap());
        let result = crate::build(draft, &place(&version), &version, &signer(), now());
        assert_eq!(result.is_ok(), fits);
    }
}
