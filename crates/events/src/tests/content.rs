use serde_json::{Value, json};

use crate::{
    Draft, EventError,
    check::{canonical_aliases, content},
    tests::{draft, event_id, object, version},
};

fn check(
    event_type: &str,
    state_key: Option<&str>,
    body: &Value,
    number: u8,
) -> Result<(), EventError> {
    content(&draft(event_type, state_key, body), &version(number))
}

#[track_caller]
fn fine(event_type: &str, state_key: Option<&str>, body: &Value, number: u8) {
    check(event_type, state_key, body, number).unwrap_or_else(|error| panic!("{body}: {error}"));
}

#[track_caller]
fn bad(event_type: &str, state_key: Option<&str>, body: &Value, number: u8) {
    let result = check(event_type, state_key, body, number);
    assert!(
        matches!(result, Err(EventError::BadJson(_))),
        "{body}: {result:?}"
    );
}

#[test]
fn a_message_has_a_msgtype_and_a_textual_body() {
    fine(
        "m.room.message",
        None,
        &json!({ "msgtype": "org.example.x", "body": "" }),
        12,
    );
    for body in [
        json!({}),
        json!({ "body": "b" }),
        json!({ "msgtype": "m.text" }),
        json!({ "msgtype": "m.text", "body": 1 }),
        json!({ "msgtype": null, "body": "b" }),
        json!({ "msgtype": "m.text", "body": ["b"] }),
    ] {
        bad("m.room.message", None, &body, 12);
    }
    fine("org.example.message", None, &json!({}), 12);
    fine("m.room.encrypted", None, &json!({ "algorithm": 1 }), 12);
}

#[test]
fn no_client_sends_a_create_event() {
    for state_key in [None, Some(""), Some("x")] {
        let result = check(
            "m.room.create",
            state_key,
            &json!({ "creator": "@alice:localhost" }),
            11,
        );
        assert!(matches!(result, Err(EventError::Forbidden(_))));
    }
}

#[test]
fn a_member_event_has_a_known_membership_and_a_user() {
    let bob = Some("@bob:localhost");
    for membership in ["invite", "join", "knock", "leave", "ban"] {
        fine(
            "m.room.member",
            bob,
            &json!({ "membership": membership, "x": [1] }),
            12,
        );
    }
    fine(
        "m.room.member",
        bob,
        &json!({ "membership": "join", "displayname": null, "avatar_url": null }),
        12,
    );
    for body in [
        json!({}),
        json!({ "membership": "lurk" }),
        json!({ "membership": 1 }),
        json!({ "membership": null }),
        json!({ "membership": "join", "displayname": 1 }),
        json!({ "membership": "join", "avatar_url": {} }),
        json!({ "membership": "join", "reason": [] }),
        json!({ "membership": "join", "join_authorised_via_users_server": 1 }),
    ] {
        bad("m.room.member", bob, &body, 12);
    }
    for state_key in [
        None,
        Some(""),
        Some("bob"),
        Some("@bob"),
        Some("!r:localhost"),
    ] {
        bad(
            "m.room.member",
            state_key,
            &json!({ "membership": "join" }),
            12,
        );
    }
}

#[test]
fn b20_power_levels_are_integers_of_users() {
    let users = json!({ "@a:b": 100 });
    for key in [
        "ban",
        "events_default",
        "invite",
        "kick",
        "redact",
        "state_default",
        "users_default",
    ] {
        fine(
            "m.room.power_levels",
            Some(""),
            &json!({ "users": users, key: -5 }),
            12,
        );
        for number in [9, 10, 12] {
            for level in [
                json!(null),
                json!(true),
                json!([]),
                json!({}),
                json!("x"),
                json!("1.5"),
                json!(""),
            ] {
                bad(
                    "m.room.power_levels",
                    Some(""),
                    &json!({ "users": users, key: level }),
                    number,
                );
            }
        }
        let text = json!({ "users": users, key: " +0100 " });
        fine("m.room.power_levels", Some(""), &text, 9);
        bad("m.room.power_levels", Some(""), &text, 10);
    }
    for key in ["events", "notifications", "users"] {
        let with = |value: Value| {
            let mut body = json!({ "users": { "@a:b": 1 } });
            body[key] = value;
            body
        };
        fine(
            "m.room.power_levels",
            Some(""),
            &with(json!({ "@a:b": 50 })),
            12,
        );
        fine(
            "m.room.power_levels",
            Some(""),
            &with(json!({ "@a:b": "-50" })),
            9,
        );
        for value in [
            json!({ "@a:b": "50" }),
            json!([]),
            json!(null),
            json!(1),
            json!({ "@a:b": {} }),
        ] {
            bad("m.room.power_levels", Some(""), &with(value), 10);
        }
        bad(
            "m.room.power_levels",
            Some(""),
            &with(json!({ "@a:b": "9007199254740992" })),
            9,
        );
    }
    for user in ["alice", "", "@alice", "#a:b", "@a:b:c d"] {
        bad(
            "m.room.power_levels",
            Some(""),
            &json!({ "users": { user: 1 } }),
            12,
        );
    }
}

#[test]
fn b20_power_levels_without_users_leave_nobody_in_charge() {
    bad("m.room.power_levels", Some(""), &json!({}), 11);
    fine("m.room.power_levels", Some(""), &json!({}), 12);
    // Only the event with the empty state key has power.
    fine("m.room.power_levels", Some("x"), &json!({ "ban": "x" }), 12);
    fine("m.room.power_levels", None, &json!({ "ban": "x" }), 12);
}

#[test]
fn join_rules_are_those_that_the_version_supports() {
    for (rule, since) in [
        ("public", 1),
        ("invite", 1),
        ("private", 1),
        ("knock", 7),
        ("restricted", 8),
        ("knock_restricted", 10),
    ] {
        for number in 1..=12 {
            let result = check(
                "m.room.join_rules",
                Some(""),
                &json!({ "join_rule": rule }),
                number,
            );
            assert_eq!(
                result.is_ok(),
                number >= since,
                "{rule} in version {number}"
            );
        }
    }
    let allow = |allow: Value| json!({ "join_rule": "restricted", "allow": allow });
    for conditions in [
        json!([]),
        json!([{ "type": "m.room_membership", "room_id": "!r:localhost" }]),
        json!([{ "type": "org.example.moon_phase", "room_id": 1 }]),
        // Improper ones let nobody in, and are no mistake of form.
        json!("public"),
        json!([1, {}, { "type": "m.room_membership" }]),
    ] {
        fine("m.room.join_rules", Some(""), &allow(conditions), 12);
    }
    bad("m.room.join_rules", Some(""), &json!({}), 12);
    bad(
        "m.room.join_rules",
        Some(""),
        &json!({ "join_rule": "anarchy" }),
        12,
    );
    bad(
        "m.room.join_rules",
        Some(""),
        &json!({ "join_rule": ["public"] }),
        12,
    );
}

#[test]
fn enumerated_state_is_one_of_its_values() {
    for (event_type, key, values) in [
        (
            "m.room.history_visibility",
            "history_visibility",
            &["invited", "joined", "shared", "world_readable"][..],
        ),
        (
            "m.room.guest_access",
            "guest_access",
            &["can_join", "forbidden"],
        ),
    ] {
        for value in values {
            fine(event_type, Some(""), &json!({ key: value }), 12);
        }
        for value in [json!("other"), json!(null), json!(1), json!([values[0]])] {
            bad(event_type, Some(""), &json!({ key: value }), 12);
        }
        bad(event_type, Some(""), &json!({}), 12);
        fine(event_type, Some("elsewhere"), &json!({}), 12);
    }
}

#[test]
fn texts_are_texts() {
    for (event_type, key) in [
        ("m.room.name", "name"),
        ("m.room.topic", "topic"),
        ("m.room.avatar", "url"),
        ("m.room.tombstone", "replacement_room"),
    ] {
        fine(event_type, Some(""), &json!({ key: "x" }), 12);
        fine(event_type, Some(""), &json!({ key: null }), 12);
        fine(event_type, Some(""), &json!({}), 12);
        bad(event_type, Some(""), &json!({ key: 1 }), 12);
        bad(event_type, Some(""), &json!({ key: {} }), 12);
    }
    fine(
        "m.room.encryption",
        Some(""),
        &json!({ "algorithm": "m.megolm.v1.aes-sha2" }),
        12,
    );
    bad("m.room.encryption", Some(""), &json!({}), 12);
    bad(
        "m.room.encryption",
        Some(""),
        &json!({ "algorithm": 1 }),
        12,
    );
    fine(
        "m.room.server_acl",
        Some(""),
        &json!({ "allow": ["*"], "deny": [] }),
        12,
    );
    bad("m.room.server_acl", Some(""), &json!({ "allow": "*" }), 12);
    bad("m.room.server_acl", Some(""), &json!({ "deny": [1] }), 12);
}

#[test]
fn canonical_aliases_have_alias_syntax() {
    let aliases = |body: &Value| canonical_aliases(&object(body));
    let both = json!({ "alias": "#a:localhost", "alt_aliases": ["#b:localhost", "#c:other"] });
    let found: Vec<String> = aliases(&both)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, ["#a:localhost", "#b:localhost", "#c:other"]);
    for body in [
        json!({}),
        json!({ "alias": null }),
        json!({ "alias": "" }),
        json!({ "alt_aliases": [] }),
    ] {
        assert_eq!(
            aliases(&body).unwrap(),
            Vec::<ruma::OwnedRoomAliasId>::new()
        );
        fine("m.room.canonical_alias", Some(""), &body, 12);
    }
    for body in [
        json!({ "alias": 1 }),
        json!({ "alt_aliases": "#a:b" }),
        json!({ "alt_aliases": [1] }),
    ] {
        bad("m.room.canonical_alias", Some(""), &body, 12);
    }
    for body in [
        json!({ "alias": "a" }),
        json!({ "alias": "#a" }),
        json!({ "alt_aliases": ["!a:b"] }),
    ] {
        assert!(
            matches!(aliases(&body), Err(EventError::InvalidParam(_))),
            "{body}"
        );
    }
}

#[test]
fn a_redaction_names_one_event() {
    let target = event_id("$target:localhost");
    let with = |redacts: Option<_>, body: &Value, number| {
        let draft = Draft {
            redacts,
            ..draft("m.room.redaction", None, body)
        };
        content(&draft, &version(number))
    };
    let inside = json!({ "redacts": "$target:localhost" });
    for number in [1, 10, 11, 12] {
        assert!(with(Some(target.clone()), &json!({ "reason": "r" }), number).is_ok());
        assert!(with(Some(target.clone()), &inside, number).is_ok());
        assert!(with(Some(target.clone()), &json!({ "redacts": "$x:y" }), number).is_err());
        assert!(with(None, &json!({}), number).is_err());
        assert!(with(None, &json!({ "redacts": 1 }), number).is_err());
        assert!(with(None, &json!({ "redacts": "target" }), number).is_err());
        assert_eq!(
            with(None, &inside, number).is_ok(),
            number >= 11,
            "version {number}"
        );
    }
}
