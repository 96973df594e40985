//! Rules 1 to 4, 6 to 9, and those that only old versions have.

use ruma::state_res::check_state_independent_auth_rules;
use serde_json::json;

use super::*;

/// What the rules say of a create event.
fn created(number: u8, change: impl FnOnce(&mut Pdu)) -> Result<(), String> {
    let mut room = Room::new(number);
    let content = json!({ "creator": ALICE, "room_version": number.to_string() });
    let mut pdu = room.pdu(ALICE, "m.room.create", Some(""), &content);
    change(&mut pdu);
    authorize(pdu, &room.version, |_, _| None::<Pdu>).map_err(|rejected| rejected.reason)
}

fn content(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

#[test]
fn rule_1_a_room_begins_with_its_create_event() {
    for number in 1..=12 {
        assert_eq!(created(number, |_| {}), Ok(()), "version {number}");
        let follows = created(number, |pdu| pdu.prev_events = vec![pdu.event_id.clone()]);
        assert!(follows.is_err(), "rule 1.1, version {number}");
        let named = created(number, |pdu| {
            pdu.room_id = "!room:b".try_into().unwrap();
            pdu.names_room = true;
        });
        assert!(named.is_err(), "rule 1.2, version {number}");
        for unknown in [json!("13"), json!("org.example"), json!(""), json!(1)] {
            let created = created(number, |pdu| {
                pdu.content = content(&json!({ "creator": ALICE, "room_version": unknown }));
            });
            assert!(created.is_err(), "rule 1.3, version {number}: {unknown}");
        }
        let nobodys = created(number, |pdu| {
            pdu.content = content(&json!({ "room_version": number.to_string() }));
        });
        assert_eq!(nobodys.is_err(), number <= 10, "rule 1.4, version {number}");
        for (creators, right) in [
            (json!([]), true),
            (json!([BOB, CAROL]), true),
            (json!("@bob:a"), false),
            (json!(["bob"]), false),
            (json!([1]), false),
            (json!({}), false),
        ] {
            let created = created(number, |pdu| {
                pdu.content = content(&json!({ "creator": ALICE,
                    "room_version": number.to_string(), "additional_creators": creators }));
            });
            let right = right || number < 12;
            assert_eq!(
                created.is_ok(),
                right,
                "rule 1.4, version {number}: {creators}"
            );
        }
    }
}

/// What the rules say of an event's `auth_events`, which `change` may change, together with the
/// events that are known.
fn chosen(number: u8, change: impl FnOnce(&mut Pdu, &mut Vec<Pdu>)) -> Result<(), String> {
    let mut room = Room::furnished(number);
    let name = json!({ "name": "n" });
    let mut pdu = room.pdu(BOB, "m.room.name", Some(""), &name);
    let mut known: Vec<Pdu> = room.state.values().map(|pdu| (**pdu).clone()).collect();
    let named = |pdu: &&Pdu| match pdu.type_name.as_str() {
        "m.room.power_levels" => true,
        "m.room.create" => number < 12,
        _ => pdu.state_key.as_deref() == Some(BOB),
    };
    pdu.auth_events = known
        .iter()
        .filter(named)
        .map(|pdu| pdu.event_id.clone())
        .collect();
    change(&mut pdu, &mut known);
    let rules = &room.version.rules.authorization;
    check_state_independent_auth_rules(rules, pdu, |event_id| {
        known.iter().find(|pdu| pdu.event_id == *event_id).cloned()
    })
}

fn id_of(known: &[Pdu], event_type: &str, state_key: &str) -> OwnedEventId {
    let pdu = known.iter().find(|pdu| pdu.is_state(event_type, state_key));
    pdu.unwrap().event_id.clone()
}

#[test]
fn b37_rules_2_and_3_the_events_that_allow_it_are_the_right_ones() {
    for number in 1..=12 {
        assert_eq!(chosen(number, |_, _| {}), Ok(()), "version {number}");
        let twice = chosen(number, |pdu, known| {
            let mut second = Room::furnished(number);
            second.made = 500;
            let levels = second.pdu(ALICE, "m.room.power_levels", Some(""), &levels());
            pdu.auth_events.push(levels.event_id.clone());
            known.push(levels);
        });
        assert!(twice.is_err(), "rule 3.1, version {number}");
        for (event_type, state_key) in [("m.room.join_rules", ""), ("m.room.member", CAROL)] {
            let unasked = chosen(number, |pdu, known| {
                pdu.auth_events.push(id_of(known, event_type, state_key));
            });
            assert!(unasked.is_err(), "rule 3.2, version {number}");
        }
        let create = chosen(number, |pdu, known| {
            let create = id_of(known, "m.room.create", "");
            match number {
                12 => pdu.auth_events.push(create),
                _ => pdu.auth_events.retain(|it| *it != create),
            }
        });
        assert!(create.is_err(), "rules 3.2 and 3.4, version {number}");
        // One that was rejected is not kept.
        let unknown = chosen(number, |_, known| {
            let levels = id_of(known, "m.room.power_levels", "");
            known.retain(|known| known.event_id != levels);
        });
        assert!(unknown.is_err(), "rule 3.3, version {number}");
        let elsewhere = chosen(number, |_, known| {
            for pdu in known.iter_mut() {
                if pdu.type_name == "m.room.power_levels" {
                    pdu.room_id = "!other:a".try_into().unwrap();
                }
            }
        });
        assert!(elsewhere.is_err(), "rule 3.5, version {number}");
    }
    let unopened = chosen(12, |_, known| {
        known.retain(|pdu| pdu.type_name != "m.room.create");
    });
    assert!(unopened.is_err(), "rule 2, version 12");
}

#[test]
fn b76_rule_4_a_room_that_stays_on_its_server() {
    let allowed = event(BOB, "m.room.message", None, json!({}));
    for number in 1..=12 {
        let create = |federate: Value| json!({ "creator": ALICE, "room_version": number.to_string(), "m.federate": federate });
        let closed = allowed.clone();
        let closed = closed.given(ALICE, "m.room.create", "", create(json!(false)));
        rule("4", [number], &closed, [closed.clone().by(CAROL)]);
        let open = allowed.clone().by(CAROL);
        let open = open.given(ALICE, "m.room.create", "", create(json!(true)));
        rule("4", [number], &open, []);
    }
}

#[test]
fn rule_4_of_versions_1_to_5_aliases_are_their_server_s() {
    let aliases = |sender, state_key| event(sender, "m.room.aliases", state_key, json!({}));
    let allowed = aliases(STRANGER, Some("a"));
    let others = [
        aliases(STRANGER, None),
        aliases(STRANGER, Some("b")),
        aliases(CAROL, Some("a")),
        aliases(STRANGER, Some("")),
    ];
    rule("4", 1..=5, &allowed, others);
    // Since then they are state like any other.
    rejects("6", 6..=12, [allowed, aliases(CAROL, Some("b"))]);
    rule("8", 6..=12, &aliases(BOB, Some("b")), []);
}

#[test]
fn rule_6_who_is_not_joined_sends_nothing() {
    let allowed = event(LEA, "org.example", None, json!({})).member_is(LEA, "join");
    let others = ["leave", "invite", "ban", "knock"];
    let others = others.map(|it| allowed.clone().member_is(LEA, it));
    rule("6", 1..=12, &allowed, others);
    let unknown = allowed.clone().without("m.room.member", LEA);
    rule("6", 1..=12, &allowed, [unknown]);
}

#[test]
fn rule_7_invites_of_addresses_need_the_level_to_invite() {
    let allowed = event(DAN, "m.room.third_party_invite", Some("token"), json!({}));
    let others = [
        allowed.clone().by(CAROL),
        allowed.clone().level(&["invite"], json!(31)),
    ];
    rule("7", 1..=12, &allowed, others);
    // Whatever other state needs.
    rule(
        "7",
        1..=12,
        &allowed.clone().level(&["state_default"], json!(99)),
        [],
    );
}

#[test]
fn rule_8_every_type_has_its_level() {
    for (event_type, state_key, pointer) in [
        ("org.example.low", None, &["events", "org.example.low"][..]),
        ("org.example.low", Some(""), &["events", "org.example.low"]),
        ("org.example", None, &["events_default"]),
        ("org.example", Some(""), &["state_default"]),
        (
            "m.room.tombstone",
            Some(""),
            &["events", "m.room.tombstone"],
        ),
        ("m.room.redaction", None, &["events", "m.room.redaction"]),
    ] {
        let attempt = event(BOB, event_type, state_key, json!({}));
        let allowed = attempt.clone().level(pointer, json!(60));
        rule("8", 1..=12, &allowed, [attempt.level(pointer, json!(61))]);
    }
    // "If there is no `state_default`, or there is no `m.room.power_levels` event, it is 50."
    let name = event(ALICE, "m.room.name", Some(""), json!({}));
    let name = name.without("m.room.power_levels", "");
    rule(
        "8",
        1..=12,
        &name,
        [BOB, CAROL].map(|it| name.clone().by(it)),
    );
    let said = event(CAROL, "org.example", None, json!({}));
    rule("8", 1..=12, &said.without("m.room.power_levels", ""), []);
}

#[test]
fn rule_9_a_state_key_with_an_at_is_its_owner_s() {
    let allowed = event(BOB, "org.example", Some(BOB), json!({}));
    let others = ["@", "@bob", "@bob:b", ALICE, CAROL].map(|key| allowed.clone().about(key));
    rule("9", 1..=12, &allowed, others);
    for key in ["", "bob:a", " @carol:b"] {
        rule("9", 1..=12, &allowed.clone().about(key), []);
    }
}

#[test]
fn a47_rule_11_of_versions_1_and_2_a_redaction_is_of_ones_own_server() {
    let redaction = |sender, target| Try {
        redacts: Some(target),
        ..event(sender, "m.room.redaction", None, json!({}))
    };
    // Of level 60, which is the one to redact.
    rule("11.1", 1..=2, &redaction(BOB, "$x:b"), []);
    let allowed = redaction(CAROL, "$x:b");
    rule("11.2", 1..=2, &allowed, [redaction(CAROL, "$x:a")]);
    let levels = redaction(BOB, "$x:b").level(&["redact"], json!(61));
    rejects("11.3", 1..=2, [levels]);
    // Later the rules let it pass, and whether it applies is asked apart.
    let target = "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg";
    rule("11", 3..=12, &redaction(CAROL, target), []);
}
