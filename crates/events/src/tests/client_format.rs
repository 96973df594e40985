use greenroom_model::StoredEvent;
use ruma::{event_id, events::room::member::MembershipState, user_id};
use serde_json::{Value, json, value::to_raw_value};

use crate::{
    ClientEvent, Format, Unsigned,
    redact::redact,
    stripped::{strip, stripped_keys},
    tests::{Seeded, built, created, draft, message, stored, value, version, versions},
};

fn rendered(stored: &StoredEvent, unsigned: &Unsigned<'_>, format: Format) -> Value {
    let event = ClientEvent::new(stored).unwrap();
    serde_json::from_str(event.render(unsigned, format).unwrap().get()).unwrap()
}

fn member() -> StoredEvent {
    let content = json!({ "membership": "join", "displayname": "Al \"x\" \u{0}" });
    stored(
        &built(
            draft("m.room.member", Some("@alice:localhost"), &content),
            &version(12),
        ),
        1,
    )
}

#[test]
fn a_message_as_in_sync() {
    let event = stored(&built(message("hello"), &version(12)), 1);
    let unsigned = Unsigned {
        age_ms: Some(1234),
        ..Unsigned::default()
    };
    assert_eq!(
        rendered(&event, &unsigned, Format::SYNC),
        json!({
            "content": { "body": "hello", "msgtype": "m.text" },
            "event_id": event.event_id,
            "origin_server_ts": 1_460_653_499_699_u64,
            "sender": "@alice:localhost",
            "type": "m.room.message",
            "unsigned": { "age": 1234 },
        })
    );
    assert_eq!(
        rendered(&event, &unsigned, Format::SYNC_R0),
        rendered(&event, &unsigned, Format::SYNC)
    );
    let with_room = rendered(&event, &unsigned, Format::CLIENT);
    assert_eq!(with_room["room_id"], event.room_id.as_str());
    assert_eq!(with_room.as_object().unwrap().len(), 7);
    let bare = rendered(&event, &Unsigned::default(), Format::SYNC);
    assert_eq!(bare.get("unsigned"), None, "nothing to say");
}

fn all_of_unsigned(check: impl Fn(&Unsigned<'_>)) {
    let prev_content = to_raw_value(&json!({ "membership": "invite" })).unwrap();
    let redacted_because = to_raw_value(&json!({ "type": "m.room.redaction" })).unwrap();
    let relations = to_raw_value(&json!({ "m.reference": { "chunk": [] } })).unwrap();
    check(&Unsigned {
        age_ms: Some(-5),
        transaction_id: Some("t\"1".into()),
        prev_content: Some(&prev_content),
        prev_sender: Some(user_id!("@bob:localhost")),
        replaces_state: Some(event_id!("$before")),
        redacted_because: Some(&redacted_because),
        membership: Some(&MembershipState::Invite),
        relations: Some(&relations),
    });
}

#[test]
fn unsigned_says_what_the_server_knows() {
    all_of_unsigned(|unsigned| {
        let event = rendered(&member(), unsigned, Format::SYNC);
        assert_eq!(
            event["unsigned"],
            json!({
                "age": -5, "transaction_id": "t\"1", "prev_content": { "membership": "invite" },
                "prev_sender": "@bob:localhost", "replaces_state": "$before",
                "redacted_because": { "type": "m.room.redaction" }, "membership": "invite",
                "m.relations": { "m.reference": { "chunk": [] } },
            })
        );
        assert_eq!(event["state_key"], "@alice:localhost");
        assert_eq!(event["content"]["displayname"], "Al \"x\" \u{0}");
        assert_eq!(event.get("membership"), None);
    });
}

#[test]
fn each_field_of_unsigned_can_stand_alone() {
    let content = to_raw_value(&json!({})).unwrap();
    for (unsigned, expected) in [
        (
            Unsigned {
                membership: Some(&MembershipState::Ban),
                ..Unsigned::default()
            },
            json!({ "membership": "ban" }),
        ),
        (
            Unsigned {
                relations: Some(&content),
                ..Unsigned::default()
            },
            json!({ "m.relations": {} }),
        ),
        (
            Unsigned {
                prev_content: Some(&content),
                ..Unsigned::default()
            },
            json!({ "prev_content": {} }),
        ),
        (
            Unsigned {
                transaction_id: Some("t".into()),
                ..Unsigned::default()
            },
            json!({ "transaction_id": "t" }),
        ),
        (
            Unsigned {
                replaces_state: Some(event_id!("$b")),
                ..Unsigned::default()
            },
            json!({ "replaces_state": "$b" }),
        ),
    ] {
        assert_eq!(
            rendered(&member(), &unsigned, Format::SYNC)["unsigned"],
            expected
        );
    }
}

#[test]
fn r0_sync_repeats_membership_at_the_top() {
    let event = rendered(&member(), &Unsigned::default(), Format::SYNC_R0);
    assert_eq!(event["membership"], "join");
    assert_eq!(event["content"]["membership"], "join");
    let not_state = stored(
        &built(
            draft("m.room.member", None, &json!({ "membership": "join" })),
            &version(12),
        ),
        1,
    );
    assert_eq!(
        rendered(&not_state, &Unsigned::default(), Format::SYNC_R0).get("membership"),
        None
    );
}

#[test]
fn the_oldest_shape_repeats_unsigned_at_the_top() {
    all_of_unsigned(|unsigned| {
        let event = rendered(&member(), unsigned, Format::LEGACY);
        assert_eq!(event["user_id"], "@alice:localhost");
        assert_eq!(event["sender"], "@alice:localhost");
        assert_eq!(event["room_id"], member().room_id.as_str());
        for key in ["age", "prev_content", "replaces_state", "redacted_because"] {
            assert_eq!(event[key], event["unsigned"][key], "{key}");
            assert_ne!(event[key], Value::Null, "{key}");
        }
        assert_eq!(event.get("transaction_id"), None);
    });
    let bare = rendered(&member(), &Unsigned::default(), Format::LEGACY);
    assert_eq!(bare["user_id"], "@alice:localhost");
    assert_eq!(bare.get("age"), None);
}

#[test]
fn the_federation_format_is_the_pdu() {
    let event = member();
    let unsigned = Unsigned {
        age_ms: Some(1),
        ..Unsigned::default()
    };
    let mut expected = value(&event.json);
    assert_eq!(
        rendered(&event, &Unsigned::default(), Format::FEDERATION),
        expected
    );
    expected["unsigned"] = json!({ "age": 1 });
    assert_eq!(rendered(&event, &unsigned, Format::FEDERATION), expected);
}

#[test]
fn a_version_12_create_event_has_its_room_for_clients() {
    let event = stored(&created(), 1);
    assert_eq!(
        rendered(&event, &Unsigned::default(), Format::CLIENT)["room_id"],
        event.room_id.as_str()
    );
}

#[test]
fn a_redaction_names_its_target_twice() {
    for (number, version) in versions() {
        for content in [json!({}), json!({ "reason": "spam \u{0}" })] {
            let mut draft = draft("m.room.redaction", None, &content);
            draft.redacts = Some(crate::tests::event_id("$target:localhost"));
            let mut event = stored(&built(draft, &version), 1);
            let seen = rendered(&event, &Unsigned::default(), Format::SYNC);
            assert_eq!(seen["redacts"], "$target:localhost", "version {number}");
            let mut expected = content.clone();
            expected["redacts"] = json!("$target:localhost");
            assert_eq!(seen["content"], expected, "version {number}");

            event.json = redact(&event.json, &version).unwrap().into();
            let seen = rendered(&event, &Unsigned::default(), Format::SYNC);
            let left = if number >= 11 {
                json!({ "redacts": "$target:localhost" })
            } else {
                json!({})
            };
            assert_eq!(seen["content"], left, "version {number}");
        }
    }
    let other = stored(
        &built(
            draft("m.other", None, &json!({ "redacts": "$x" })),
            &version(12),
        ),
        1,
    );
    assert_eq!(
        rendered(&other, &Unsigned::default(), Format::SYNC).get("redacts"),
        None
    );
}

#[test]
fn whatever_is_in_an_event_it_renders() {
    let mut seeded = Seeded(3);
    for _ in 0..200 {
        let content = seeded.object(4);
        let state_key = (seeded.below(2) == 0).then_some("\"\\\u{0}😀");
        let pdu = built(draft("org.\"x\"", state_key, &content), &version(12));
        for format in [
            Format::SYNC,
            Format::SYNC_R0,
            Format::CLIENT,
            Format::LEGACY,
            Format::FEDERATION,
        ] {
            all_of_unsigned(|unsigned| {
                let event = rendered(&stored(&pdu, 1), unsigned, format);
                assert_eq!(event["content"], content);
                assert_eq!(event["type"], "org.\"x\"");
                assert_eq!(
                    event.get("state_key"),
                    state_key.map(|key| json!(key)).as_ref()
                );
            });
        }
    }
}

#[test]
fn stripped_state_has_four_fields() {
    let event = member();
    let stripped: Value = serde_json::from_str(strip(&event).unwrap().get()).unwrap();
    assert_eq!(
        stripped,
        json!({
            "content": { "membership": "join", "displayname": "Al \"x\" \u{0}" },
            "sender": "@alice:localhost", "state_key": "@alice:localhost", "type": "m.room.member",
        })
    );
}

#[test]
fn stripped_state_identifies_the_room_and_the_inviter() {
    let (alice, bob) = (user_id!("@alice:localhost"), user_id!("@bob:localhost"));
    let keys = stripped_keys(bob, alice);
    assert_eq!(keys.len(), 9);
    for event_type in [
        "m.room.create",
        "m.room.name",
        "m.room.avatar",
        "m.room.topic",
        "m.room.join_rules",
        "m.room.canonical_alias",
        "m.room.encryption",
    ] {
        assert!(
            keys.contains(&(event_type.to_owned(), String::new())),
            "{event_type}"
        );
    }
    for user in [alice, bob] {
        assert!(keys.contains(&("m.room.member".to_owned(), user.to_string())));
    }
    assert_eq!(
        stripped_keys(bob, bob).len(),
        8,
        "a knock is its own sender"
    );
}
