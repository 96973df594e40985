//! Rule 10: who may change the levels.

use serde_json::{Value, json};

use super::*;

const NAMED: [&str; 7] = [
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
];

/// Bob, of level 60, sets the levels to these.
fn set(content: Value) -> Try {
    event(BOB, "m.room.power_levels", Some(""), content)
}

/// The levels with one changed, or gone.
fn changed(pointer: &[&str], level: Option<Value>) -> Value {
    let mut levels = levels();
    let (map, key) = match pointer {
        [key] => (&mut levels, key),
        [map, key] => (&mut levels[map], key),
        _ => panic!("a level has one or two names"),
    };
    let map = map.as_object_mut().unwrap();
    match level {
        Some(level) => map.insert((*key).to_owned(), level),
        None => map.remove(*key),
    };
    levels
}

/// In a version the levels as they may be said there: without the creator, who is above them.
fn said(number: u8, mut content: Value) -> Value {
    if number == 12
        && let Some(users) = content["users"].as_object_mut()
    {
        users.remove(ALICE);
    }
    content
}

fn levels_rule(
    name: &str,
    versions: impl IntoIterator<Item = u8>,
    allowed: &Value,
    rejected: &[Value],
) {
    for number in versions {
        let allowed = set(said(number, allowed.clone()));
        let rejected = rejected.iter().map(|it| set(said(number, it.clone())));
        rule(name, [number], &allowed, rejected);
    }
}

#[test]
fn rule_10_1_and_10_2_levels_are_integers_since_version_10() {
    for name in NAMED {
        let as_text = changed(&[name], Some(json!("30")));
        let allowed = changed(&[name], Some(json!(30)));
        levels_rule("10.1", 10..=12, &allowed, std::slice::from_ref(&as_text));
        levels_rule("10.1", 1..=9, &as_text, &[]);
        let others = ["x", "", "1.0", "0x1", "3 0"].map(|text| changed(&[name], Some(json!(text))));
        levels_rule("10.1", 1..=12, &allowed, &others);
        let others = [json!([]), json!({}), json!(true)].map(|it| changed(&[name], Some(it)));
        levels_rule("10.1", 1..=12, &allowed, &others);
    }
    for (map, key, since) in [
        ("events", "org.example.low", 1),
        ("notifications", "low", 6),
    ] {
        let as_text = changed(&[map, key], Some(json!("9")));
        let allowed = changed(&[map, key], Some(json!(9)));
        levels_rule("10.2", 10..=12, &allowed, std::slice::from_ref(&as_text));
        levels_rule("10.2", 1..=9, &as_text, &[]);
        let others = [json!([]), json!(7), json!("x")].map(|it| changed(&[map], Some(it)));
        levels_rule("10.2", since.max(10)..=12, &allowed, &others);
    }
}

#[test]
fn rule_10_3_users_are_users() {
    let allowed = changed(&["users", CAROL], Some(json!(9)));
    let others = [
        changed(&["users"], Some(json!([]))),
        changed(&["users"], Some(json!("x"))),
        changed(&["users", "carol"], Some(json!(9))),
        changed(&["users", "@carol"], Some(json!(9))),
        changed(&["users", CAROL], Some(json!(true))),
        changed(&["users", CAROL], Some(json!("x"))),
    ];
    levels_rule("10.3", 1..=12, &allowed, &others);
    let as_text = changed(&["users", CAROL], Some(json!(" 9 ")));
    levels_rule("10.3", 1..=9, &as_text, &[]);
    levels_rule("10.3", 10..=12, &allowed, &[as_text]);
}

#[test]
fn rule_10_4_creators_of_version_12_have_no_level() {
    let allowed = said(12, levels());
    let mut named = allowed.clone();
    named["users"][ALICE] = json!(1);
    rule("10.4", [12], &set(allowed.clone()), [set(named.clone())]);
    rule("10.4", 1..=11, &set(levels()), []);
    let create = json!({ "room_version": "12", "additional_creators": [DAN] });
    let by_two = |content: Value| set(content).given(ALICE, "m.room.create", "", create.clone());
    let mut without = allowed.clone();
    without["users"].as_object_mut().unwrap().remove(DAN);
    rule("10.4", [12], &by_two(without), [by_two(allowed)]);
}

#[test]
fn rule_10_5_the_first_levels_are_free() {
    // Whoever may send them may choose them, themselves above others.
    for number in 1..=12 {
        let mut content = said(number, levels());
        content["ban"] = json!(1_000);
        content["users"][BOB] = json!(1_000);
        let first = set(content.clone())
            .by(ALICE)
            .without("m.room.power_levels", "");
        rule("10.5", [number], &first, [set(content)]);
    }
}

#[test]
fn rule_10_6_the_named_levels_change_below_ones_own() {
    for name in NAMED {
        let allowed = changed(&[name], Some(json!(60)));
        levels_rule(
            "10.6.2",
            1..=12,
            &allowed,
            &[changed(&[name], Some(json!(61)))],
        );
        for number in 1..=12 {
            // What stands above one's own level is not lowered, or left to its default.
            for now in [Some(json!(59)), None] {
                let content = said(number, changed(&[name], now));
                let within = set(content.clone()).level(&[name], json!(60));
                let above = set(content).level(&[name], json!(61));
                let above = above.level_of_type("m.room.power_levels", 60);
                rule("10.6.1", [number], &within, [above]);
            }
        }
    }
}

#[test]
fn rule_10_6_what_was_not_said_before_is_said_at_ones_own_level_at_most() {
    for number in 1..=12 {
        let now = json!({ "users": { ALICE: 100, BOB: 60 } });
        for name in NAMED {
            let with = |level: i64| {
                let mut content = said(number, now.clone());
                content[name] = json!(level);
                set(content).given(ALICE, "m.room.power_levels", "", now.clone())
            };
            rule("10.6.2", [number], &with(60), [with(61)]);
        }
    }
}

impl Try {
    /// With the type's own level, whatever else the levels given say.
    fn level_of_type(mut self, event_type: &str, level: i64) -> Self {
        if let Some((_, _, _, Some(content))) = self.state.last_mut() {
            content["events"][event_type] = json!(level);
            self.content["events"][event_type] = json!(level);
        }
        self
    }
}

#[test]
fn rules_10_7_and_10_8_the_levels_of_types_and_notifications() {
    for (map, high, low, judged) in [
        ("events", "org.example.high", "org.example.low", 1..=12),
        ("notifications", "room", "low", 6..=12),
    ] {
        let same = levels();
        let others = [Some(json!(60)), Some(json!(71)), None].map(|it| changed(&[map, high], it));
        levels_rule("10.7", judged.clone(), &same, &others);
        let allowed = changed(&[map, low], Some(json!(60)));
        levels_rule(
            "10.8",
            judged.clone(),
            &allowed,
            &[changed(&[map, low], Some(json!(61)))],
        );
        let allowed = changed(&[map, "new"], Some(json!(60)));
        levels_rule(
            "10.8",
            judged.clone(),
            &allowed,
            &[changed(&[map, "new"], Some(json!(61)))],
        );
        levels_rule("10.7", judged.clone(), &changed(&[map, low], None), &[]);
        for not_judged in others {
            levels_rule("10.7", 1..*judged.start(), &not_judged, &[]);
        }
    }
}

#[test]
fn rules_10_9_and_10_10_the_levels_of_users() {
    for target in [LEA, BOB] {
        let lowered = changed(&["users", target], Some(json!(59)));
        let gone = changed(&["users", target], None);
        if target == BOB {
            // One's own level may go down, whatever it is.
            levels_rule("10.9", 1..=12, &lowered, &[]);
            levels_rule("10.9", 1..=12, &gone, &[]);
        } else {
            levels_rule("10.9", 1..=12, &levels(), &[lowered, gone]);
        }
    }
    for target in [DAN, CAROL, BOB] {
        let allowed = changed(&["users", target], Some(json!(60)));
        let raised = changed(&["users", target], Some(json!(61)));
        levels_rule("10.10", 1..=12, &allowed, &[raised]);
    }
    levels_rule("10.9", 1..=12, &changed(&["users", DAN], None), &[]);
    // Above one's own level: changed by nobody but who stands above it too.
    let alice = changed(&["users", ALICE], Some(json!(50)));
    rule("10.9", 1..=11, &set(levels()), [set(alice.clone())]);
    rule("10.9", 1..=11, &set(alice).by(ALICE), []);
}
