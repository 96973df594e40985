//! What counts where the levels say nothing, and who counts as the creator.

use serde_json::{Value, json};

use super::*;

/// The highest level that can be said.
const HIGHEST: i64 = 9_007_199_254_740_991;

/// With only these levels said of all there are.
fn only(attempt: &Try, levels: Value) -> Try {
    attempt
        .clone()
        .given(ALICE, "m.room.power_levels", "", levels)
}

/// The acts of Bob and Carol that levels are asked for, each with the level that is its default.
fn acts() -> [(&'static str, Try, i64); 7] {
    let unbanned = member(BOB, BEN, "leave");
    [
        ("5.4.4", member(BOB, STRANGER, "invite"), 0),
        ("5.5.3", unbanned, 50),
        ("5.5.4", member(BOB, CAROL, "leave"), 50),
        ("5.6.2", member(BOB, CAROL, "ban"), 50),
        (
            "7.1",
            event(BOB, "m.room.third_party_invite", Some("t"), json!({})),
            0,
        ),
        ("8", event(BOB, "m.room.name", Some(""), json!({})), 50),
        ("8", event(BOB, "m.room.message", None, json!({})), 0),
    ]
}

#[test]
fn rules_5_to_8_what_the_levels_leave_out_has_its_default() {
    for (name, act, default) in acts() {
        // Whoever is removed has to stand below.
        let with = |level: i64| {
            let users = json!({ ALICE: 100, BOB: level, CAROL: -9, BEN: -9 });
            only(&act, json!({ "users": users }))
        };
        rule(name, 1..=12, &with(default), [with(default - 1)]);
        let by_default = |level: i64| {
            let users = json!({ CAROL: -9, BEN: -9 });
            only(&act, json!({ "users": users, "users_default": level }))
        };
        rule(
            name,
            1..=12,
            &by_default(default),
            [by_default(default - 1)],
        );
        // "If `users_default` is not supplied, it is assumed to be 0."
        let unsaid = only(&act, json!({ "users": { CAROL: -9, BEN: -9 } }));
        match default {
            0 => rule(name, 1..=12, &unsaid, []),
            _ => rejects(name, 1..=12, [unsaid]),
        }
    }
}

#[test]
fn rules_5_to_8_without_levels_the_creator_has_100_and_others_have_0() {
    for (name, act, default) in acts() {
        let by = |sender| act.clone().by(sender).without("m.room.power_levels", "");
        rule(name, 1..=12, &by(ALICE), []);
        match default {
            0 => rule(name, 1..=12, &by(BOB), []),
            _ => rejects(name, 1..=12, [by(BOB)]),
        }
        // Where there are levels, the creator has what they say, which is nothing here: until
        // version 12, where they are above all levels.
        let bare = only(
            &act.clone().by(ALICE),
            json!({ "users": { CAROL: -9, BEN: -9 } }),
        );
        rule(name, [12], &bare, []);
        match default {
            0 => rule(name, 1..=11, &bare, []),
            _ => rejects(name, 1..=11, [bare]),
        }
    }
}

/// "If the only previous event is an `m.room.create` and the `state_key` is the creator, allow":
/// whom its content names, and since version 11 its sender.
#[test]
fn rule_5_3_1_the_creator_is_named_until_version_10_and_is_the_sender_since() {
    for number in 1..=12 {
        let create = json!({ "creator": BOB, "room_version": number.to_string(),
            "additional_creators": [CAROL] });
        let first = |user| Try {
            first: true,
            ..member(user, user, "join").given(ALICE, "m.room.create", "", create.clone())
        };
        let name = |user| {
            let name = event(user, "m.room.name", Some(""), json!({}));
            name.given(ALICE, "m.room.create", "", create.clone())
                .without("m.room.power_levels", "")
        };
        let (creator, other) = if number <= 10 {
            (BOB, ALICE)
        } else {
            (ALICE, BOB)
        };
        rule(
            "5.3.1",
            [number],
            &first(creator),
            [first(other), first(CAROL)],
        );
        rule("8", [number], &name(creator), [name(other)]);
        // Who helped to make a room of version 12 joins like others, and then stands as high.
        match number {
            12 => rule("8", [number], &name(CAROL), []),
            _ => rejects("8", [number], [name(CAROL)]),
        }
    }
}

/// "The power level of room creators is infinitely high."
#[test]
fn rules_8_and_10_nothing_is_too_high_for_a_creator_of_version_12() {
    let create = json!({ "room_version": "12", "additional_creators": [CAROL] });
    let tombstone = |sender| {
        event(sender, "m.room.tombstone", Some(""), json!({}))
            .level(&["events", "m.room.tombstone"], json!(HIGHEST))
    };
    rule("8", [12], &tombstone(ALICE), [tombstone(BOB)]);
    rejects("8", 1..=11, [tombstone(ALICE)]);
    let second = tombstone(CAROL).given(ALICE, "m.room.create", "", create.clone());
    rule("8", [12], &second, [tombstone(CAROL)]);

    let with_creators_left_out = || {
        let mut levels = levels();
        levels["users"].as_object_mut().unwrap().remove(ALICE);
        levels
    };
    for (name, map, key) in [
        ("10.6", None, "ban"),
        ("10.7", Some("events"), "org.example.low"),
        ("10.7", Some("notifications"), "low"),
        ("10.9", Some("users"), BOB),
    ] {
        let (mut high, low) = (with_creators_left_out(), with_creators_left_out());
        match map {
            Some(map) => high[map][key] = json!(HIGHEST),
            None => high[key] = json!(HIGHEST),
        }
        for (now, next) in [(&low, &high), (&high, &low)] {
            let set = |sender| {
                let set = event(sender, "m.room.power_levels", Some(""), next.clone());
                set.given(ALICE, "m.room.power_levels", "", now.clone())
                    .given(ALICE, "m.room.create", "", create.clone())
            };
            rule(name, [12], &set(ALICE), [set(DAN)]);
            rule(name, [12], &set(CAROL), []);
        }
    }
}

/// "Integers": up to the highest that canonical JSON has, and nothing beyond it is taken for one.
#[test]
fn rule_10_1_levels_go_as_far_as_canonical_json() {
    let set = |level: Value| {
        let mut content = levels();
        content["users"].as_object_mut().unwrap().remove(ALICE);
        content["kick"] = level;
        event(ALICE, "m.room.power_levels", Some(""), content)
    };
    rule(
        "10.1",
        [12],
        &set(json!(HIGHEST)),
        [json!(HIGHEST + 1), json!(1.5), json!(null)].map(set),
    );
}

#[test]
fn rule_6_comes_before_what_levels_allow() {
    let allowed = event(LEA, "m.room.third_party_invite", Some("t"), json!({}));
    let allowed = allowed.member_is(LEA, "join");
    let others = ["leave", "invite", "ban", "knock"];
    let others = others.map(|it| allowed.clone().member_is(LEA, it));
    rule("6", 1..=12, &allowed, others);
    let levels = event(LEA, "m.room.power_levels", Some(""), json!({}));
    rejects("6", 1..=12, [levels.without("m.room.power_levels", "")]);
}

/// Redactions need the level of their type, and the level `redact` has no say in whether they are
/// sent.
#[test]
fn rule_8_the_level_to_redact_is_not_asked_for() {
    let target = "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg";
    let redaction = Try {
        redacts: Some(target),
        ..event(
            CAROL,
            "m.room.redaction",
            None,
            json!({ "redacts": target }),
        )
    };
    let of_type = |level: i64| {
        let place = ["events", "m.room.redaction"];
        redaction.clone().level(&place, json!(level))
    };
    rule("8", 3..=12, &of_type(0), [of_type(1)]);
    let redact = redaction.clone().level(&["redact"], json!(HIGHEST));
    rule("8", 3..=12, &redact, []);
}
