use std::collections::BTreeSet;

use ruma::signatures::reference_hash;
use serde_json::{Value, json};

use crate::{
    EventError, RoomVersion,
    json::parse_object,
    redact::redact,
    tests::{built, draft, event_id, value, version, versions},
};

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn pruned(event_type: &str, content: &Value, version: &RoomVersion) -> Value {
    let pdu = built(draft(event_type, Some(""), content), version);
    value(&redact(&pdu.json, version).unwrap())["content"].clone()
}

/// The content keys that the specification of each version lets a redaction keep.
#[test]
fn b32_content_keeps_what_its_version_lists() {
    let content = json!({
        "membership": "join", "join_authorised_via_users_server": "@a:b",
        "third_party_invite": { "display_name": "x", "signed": { "token": "t" } },
        "creator": "@a:b", "room_version": "9", "type": "m.space", "m.federate": false,
        "join_rule": "public", "allow": [],
        "ban": 1, "events": {}, "events_default": 1, "invite": 1, "kick": 1, "redact": 1,
        "state_default": 1, "users": {}, "users_default": 1, "notifications": { "room": 1 },
        "history_visibility": "joined", "redacts": "$x", "reason": "r", "aliases": ["#a:b"],
        "allow_ip_literals": false, "deny": [],
        "body": "b", "name": "n", "displayname": "d",
    });
    for (number, version) in versions() {
        for event_type in [
            "m.room.message",
            "m.room.name",
            "m.room.server_acl",
            "m.room.history_visibility",
            "m.room.join_rules",
            "m.room.aliases",
            "m.room.redaction",
            "m.room.power_levels",
            "m.room.member",
            "m.room.create",
        ] {
            if event_type == "m.room.create" && number == 12 {
                // It has no room ID; its content is kept as in version 11.
                continue;
            }
            let left = pruned(event_type, &content, &version);
            let expected = match event_type {
                "m.room.create" if number >= 11 => keys(&content),
                _ => kept(event_type, number),
            };
            assert_eq!(keys(&left), expected, "{event_type} in version {number}");
            if event_type == "m.room.member" && number >= 11 {
                let signed = json!({ "signed": { "token": "t" } });
                assert_eq!(left["third_party_invite"], signed);
            }
        }
    }
}

/// Copied by hand from the redaction sections of the room versions.
fn kept(event_type: &str, number: u8) -> BTreeSet<&'static str> {
    let (always, later): (&[&str], &[&str]) = match event_type {
        "m.room.member" if number >= 11 => (
            &["membership"],
            &["join_authorised_via_users_server", "third_party_invite"],
        ),
        "m.room.member" if number >= 9 => (&["membership"], &["join_authorised_via_users_server"]),
        "m.room.member" => (&["membership"], &[]),
        "m.room.create" => (&["creator"], &[]),
        "m.room.join_rules" if number >= 8 => (&["join_rule"], &["allow"]),
        "m.room.join_rules" => (&["join_rule"], &[]),
        "m.room.power_levels" => (
            &[
                "ban",
                "events",
                "events_default",
                "kick",
                "redact",
                "state_default",
                "users",
                "users_default",
            ],
            if number >= 11 { &["invite"] } else { &[] },
        ),
        "m.room.history_visibility" => (&["history_visibility"], &[]),
        "m.room.aliases" if number <= 5 => (&["aliases"], &[]),
        "m.room.redaction" if number >= 11 => (&[], &["redacts"]),
        _ => (&[], &[]),
    };
    always.iter().chain(later).copied().collect()
}

#[test]
fn the_event_keeps_what_its_version_lists() {
    let base = json!({
        "event_id": "$e:a", "type": "m.room.message", "room_id": "!r:a", "sender": "@a:a",
        "state_key": "", "content": { "body": "b" }, "hashes": { "sha256": "h" },
        "signatures": { "a": {} }, "depth": 1, "prev_events": [], "auth_events": [],
        "origin_server_ts": 1, "origin": "a", "membership": "join", "prev_state": [],
        "redacts": "$x", "unsigned": { "age": 1 }, "user_id": "@a:a", "extra": 1,
    });
    let mut kept: BTreeSet<&str> = keys(&base);
    for gone in ["redacts", "unsigned", "user_id", "extra"] {
        kept.remove(gone);
    }
    for (number, version) in versions() {
        if number == 11 {
            for gone in ["origin", "membership", "prev_state"] {
                kept.remove(gone);
            }
        }
        let left = value(&redact(base.to_string().as_bytes(), &version).unwrap());
        assert_eq!(keys(&left), kept, "version {number}");
        assert_eq!(left["content"], json!({}));
    }
}

#[test]
fn a_redacted_event_keeps_its_id_and_is_canonical() {
    for (_, version) in versions() {
        for event_type in [
            "m.room.message",
            "m.room.member",
            "m.room.power_levels",
            "m.room.redaction",
        ] {
            let mut draft = draft(
                event_type,
                Some("@a:b"),
                &json!({ "membership": "join", "users": { "@b:c": 1, "@a:b": 2 }, "body": "b" }),
            );
            draft.redacts = Some(event_id("$x:localhost"));
            let pdu = built(draft, &version);
            let left = redact(&pdu.json, &version).unwrap();
            let (before, after) = (
                parse_object(&pdu.json).unwrap(),
                parse_object(&left).unwrap(),
            );
            assert_eq!(serde_json::to_string(&after).unwrap().as_bytes(), left);
            assert_eq!(
                reference_hash(&before, &version.rules).unwrap(),
                reference_hash(&after, &version.rules).unwrap()
            );
            assert_eq!(before["signatures"], after["signatures"]);
            assert_eq!(redact(&left, &version).unwrap(), left, "twice is once");
        }
    }
}

#[test]
fn what_is_not_an_event_cannot_be_redacted() {
    for bytes in [&b"{}"[..], b"[]", b"", b"{\"type\":1}"] {
        assert!(matches!(
            redact(bytes, &version(12)),
            Err(EventError::Broken(_))
        ));
    }
}
