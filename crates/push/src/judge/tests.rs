use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{EventId, MilliSecondsSinceUnixEpoch, RoomId, room_id, uint, user_id};
use serde_json::{Value, json};

use super::*;
use crate::NotificationPower;

const ALICE: &str = "@alice:localhost";

fn event(event_type: &str, state_key: Option<&str>, sender: &str, content: &Value) -> Candidate {
    event_in(
        room_id!("!room:localhost"),
        event_type,
        state_key,
        sender,
        content,
    )
}

fn event_in(
    room_id: &RoomId,
    event_type: &str,
    state_key: Option<&str>,
    sender: &str,
    content: &Value,
) -> Candidate {
    let json = json!({"content": content, "type": event_type, "depth": 7, "sender": sender});
    Candidate::new(Arc::new(StoredEvent {
        position: StreamPosition(7),
        event_id: EventId::parse("$event").unwrap(),
        room_id: room_id.to_owned(),
        event_type: event_type.to_owned(),
        state_key: state_key.map(ToOwned::to_owned),
        sender: UserId::parse(sender).unwrap(),
        origin_server_ts: MilliSecondsSinceUnixEpoch(uint!(9)),
        json: json.to_string().into_bytes().into(),
        redacted_by: None,
        replaces_state: None,
        transaction: None,
    }))
}

fn text(body: &str) -> Candidate {
    message(&json!({"msgtype": "m.text", "body": body}))
}

fn message(content: &Value) -> Candidate {
    event("m.room.message", None, "@bob:localhost", content)
}

fn judge(rules: Value) -> Judge {
    let rules: Ruleset = serde_json::from_value(rules).unwrap();
    Judge::new(user_id!("@alice:localhost"), &rules)
}

fn predefined() -> Judge {
    let alice = user_id!("@alice:localhost");
    Judge::new(alice, &Ruleset::server_default(alice))
}

fn room(joined_members: u64, power_levels: &Value) -> RoomContext {
    let levels = event("m.room.power_levels", Some(""), ALICE, power_levels);
    RoomContext {
        joined_members,
        power: NotificationPower::new(None, Some(levels.event())),
    }
}

/// Whether one condition holds for an event.
fn holds(condition: &Value, candidate: &Candidate) -> bool {
    let rule = json!({
        "rule_id": "r", "default": false, "enabled": true, "actions": ["notify"],
        "conditions": [condition],
    });
    judge(json!({"override": [rule]}))
        .judge(candidate, &room(3, &json!({})), Some("Ali C."))
        .is_some()
}

/// `-` for nothing, `n` for a notification, `h` for a highlighted one, with the sound.
fn said(judge: &Judge, candidate: &Candidate, room: &RoomContext) -> String {
    let Some(verdict) = judge.judge(candidate, room, None) else {
        return "none".to_owned();
    };
    let sound = verdict.actions.iter().find_map(Action::sound);
    let what = match (verdict.notifies, verdict.highlights) {
        (false, _) => "quiet",
        (true, false) => "notify",
        (true, true) => "highlight",
    };
    match sound {
        Some(sound) => format!("{what} {}", sound.as_str()),
        None => what.to_owned(),
    }
}

#[test]
fn the_predefined_rules_say_what_the_specification_says() {
    let rules = predefined();
    let large = room(3, &json!({}));
    let pair = room(2, &json!({}));
    let member = |membership: &str, of: &str| {
        let content = json!({"membership": membership});
        event("m.room.member", Some(of), "@bob:localhost", &content)
    };
    let of_type =
        |event_type: &str, content: Value| event(event_type, None, "@bob:localhost", &content);
    let state = |event_type: &str| event(event_type, Some(""), "@bob:localhost", &json!({}));
    let notice = message(&json!({"msgtype": "m.notice", "body": "x"}));
    let mention = message(&json!({"body": "x", "m.mentions": {"user_ids": ["@x:y", ALICE]}}));
    let edit = message(&json!({
        "body": "x", "m.mentions": {}, "m.relates_to": {"rel_type": "m.replace", "event_id": "$x"},
    }));
    for (candidate, in_large, in_pair) in [
        (&notice, "quiet", "quiet"),
        (&member("invite", ALICE), "notify default", "notify default"),
        (&member("invite", "@carol:localhost"), "quiet", "quiet"),
        (&member("join", "@carol:localhost"), "quiet", "quiet"),
        (&mention, "highlight default", "highlight default"),
        (&state("m.room.tombstone"), "highlight", "highlight"),
        (&of_type("m.room.tombstone", json!({})), "none", "none"),
        (&of_type("m.reaction", json!({})), "quiet", "quiet"),
        (&state("m.room.server_acl"), "quiet", "quiet"),
        (&edit, "quiet", "quiet"),
        (
            &of_type("m.call.invite", json!({})),
            "notify ring",
            "notify ring",
        ),
        (
            &of_type("m.room.encrypted", json!({})),
            "notify",
            "notify default",
        ),
        (&text("hello"), "notify", "notify default"),
        (&of_type("org.example.custom", json!({})), "none", "none"),
        (&state("m.room.topic"), "none", "none"),
        (
            &event("m.room.message", None, ALICE, &json!({"body": "x"})),
            "none",
            "none",
        ),
    ] {
        let what = candidate.event();
        assert_eq!(said(&rules, candidate, &large), in_large, "{what:?}");
        assert_eq!(said(&rules, candidate, &pair), in_pair, "{what:?}");
    }
}

#[test]
fn a_room_mention_takes_the_power_to_notify_a_room() {
    let rules = predefined();
    let mention = message(&json!({"body": "x", "m.mentions": {"room": true}}));
    for (levels, expected) in [
        (json!({"users": {"@bob:localhost": 50}}), "highlight"),
        (json!({"users": {"@bob:localhost": "50"}}), "highlight"),
        (json!({"users": {"@bob:localhost": 49}}), "notify"),
        (json!({}), "notify"),
        (
            json!({"users_default": 20, "notifications": {"room": 20}}),
            "highlight",
        ),
        (
            json!({"users_default": 20, "notifications": {"room": 21}}),
            "notify",
        ),
    ] {
        assert_eq!(
            said(&rules, &mention, &room(3, &levels)),
            expected,
            "{levels}"
        );
    }
    let not_true = message(&json!({"body": "x", "m.mentions": {"room": "true"}}));
    let mighty = room(3, &json!({"users_default": 100}));
    assert_eq!(said(&rules, &not_true, &mighty), "notify");
}

#[test]
fn creators_may_notify_a_room_by_the_rules_of_its_version() {
    let create = |content: Value| event("m.room.create", Some(""), "@bob:localhost", &content);
    let levels = event(
        "m.room.power_levels",
        Some(""),
        ALICE,
        &json!({"users": {ALICE: 100}}),
    );
    let (bob, carol) = (user_id!("@bob:localhost"), user_id!("@carol:localhost"));
    for (content, without_levels, with_levels) in [
        (
            json!({"room_version": "12", "additional_creators": [carol]}),
            [true, true],
            [true, true],
        ),
        (
            json!({"room_version": "11", "additional_creators": [carol]}),
            [true, false],
            [false, false],
        ),
        (json!({"creator": carol}), [false, true], [false, false]),
    ] {
        let create = create(content);
        for (levels, expected) in [
            (None, without_levels),
            (Some(&**levels.event()), with_levels),
        ] {
            let power = NotificationPower::new(Some(create.event()), levels);
            assert_eq!(
                [bob, carol].map(|user| power.may_notify(user, "room")),
                expected
            );
        }
    }
}

#[test]
fn an_event_match_takes_a_string_and_all_of_it() {
    let lunch = event(
        "m.room.topic",
        Some(""),
        "@bob:localhost",
        &json!({
            "topic": "Lunch plans", "n": 7, "a.b": {"c\\d": "x"}, "o": {}, "null": null,
        }),
    );
    let matches = |key: &str, pattern: &str| {
        holds(
            &json!({"kind": "event_match", "key": key, "pattern": pattern}),
            &lunch,
        )
    };
    assert!(matches("content.topic", "lunc?*") && matches("type", "M.ROOM.*"));
    assert!(
        matches("state_key", "") && matches("sender", "@bob:*") && matches("room_id", "!room:*")
    );
    assert!(matches(r"content.a\.b.c\\d", "x"));
    for absent in [
        "content.n",
        "content.o",
        "content.null",
        "content.nothing",
        "content",
        "content.topic.x",
        "depth",
        "",
    ] {
        assert!(!matches(absent, "*"), "{absent}");
    }
}

#[test]
fn an_event_match_of_the_body_is_of_words() {
    let condition = json!({"kind": "event_match", "key": "content.body", "pattern": "ex*ple"});
    assert!(holds(&condition, &text("An example event.")));
    assert!(!holds(&condition, &text("examples")));
}

#[test]
fn a_property_is_a_value_of_its_own_type() {
    let values = json!({"s": "1", "i": 1, "b": true, "n": null, "o": {}, "a": ["1", 1, true, null, {}, 1.5]});
    let candidate = message(&values);
    let is = |key: &str, value: Value| {
        holds(
            &json!({"kind": "event_property_is", "key": format!("content.{key}"), "value": value}),
            &candidate,
        )
    };
    let contains = |key: &str, value: Value| {
        holds(
            &json!({"kind": "event_property_contains", "key": format!("content.{key}"), "value": value}),
            &candidate,
        )
    };
    for (key, value) in [
        ("s", json!("1")),
        ("i", json!(1)),
        ("b", json!(true)),
        ("n", json!(null)),
    ] {
        for (other, _) in [
            ("s", 0),
            ("i", 0),
            ("b", 0),
            ("n", 0),
            ("o", 0),
            ("a", 0),
            ("x", 0),
        ] {
            assert_eq!(is(other, value.clone()), other == key, "{other} {value}");
        }
        assert!(contains("a", value.clone()));
        assert!(!contains(key, value), "no list");
    }
    assert!(!contains("a", json!("")) && !contains("a", json!(false)));
    assert!(holds(
        &json!({"kind": "event_property_is", "key": "type", "value": "m.room.message"}),
        &candidate
    ));
    assert!(holds(
        &json!({"kind": "event_property_is", "key": "origin_server_ts", "value": 9}),
        &candidate
    ));
}

#[test]
fn members_are_counted_with_every_operator() {
    for (is, expected) in [
        ("3", true),
        ("==3", true),
        ("2", false),
        ("<3", false),
        ("<4", true),
        (">3", false),
        (">2", true),
        (">=3", true),
        (">=4", false),
        ("<=3", true),
        ("<=2", false),
    ] {
        let condition = json!({"kind": "room_member_count", "is": is});
        assert_eq!(holds(&condition, &text("x")), expected, "{is}");
    }
}

#[test]
fn a_display_name_is_found_as_words_and_taken_as_it_is() {
    let condition = json!({"kind": "contains_display_name"});
    assert!(holds(&condition, &text("hey ali c.!")));
    assert!(!holds(&condition, &text("hey ali cx")), "the dot is a dot");
    assert!(!holds(&condition, &text("Malik")));
}

#[test]
fn a_kind_of_notification_that_the_levels_do_not_name_takes_50() {
    let rule = json!({
        "rule_id": "r", "default": false, "enabled": true, "actions": ["notify"],
        "conditions": [{"kind": "sender_notification_permission", "key": "org.example"}],
    });
    let judge = judge(json!({"override": [rule]}));
    for (levels, expected) in [
        (json!({"users_default": 49}), false),
        (json!({"users_default": 50}), true),
        (
            json!({"users_default": 5, "notifications": {"org.example": 5}}),
            true,
        ),
    ] {
        let verdict = judge.judge(&text("x"), &room(3, &levels), None);
        assert_eq!(verdict.is_some(), expected, "{levels}");
    }
}

#[test]
fn a_condition_that_nobody_knows_never_holds() {
    assert!(!holds(&json!({"kind": "org.example.moon"}), &text("x")));
    let large = "?".repeat(100_000);
    assert!(!holds(
        &json!({"kind": "event_match", "key": "type", "pattern": large}),
        &text("x")
    ));
}

#[test]
fn kinds_are_checked_in_their_order_and_the_first_match_counts() {
    let conditional = |id: &str, sound: &str| {
        let actions = json!(["notify", {"set_tweak": "sound", "value": sound}]);
        json!({"rule_id": id, "default": false, "enabled": true, "actions": actions, "conditions": []})
    };
    let mut content = conditional("tea", "content");
    content["pattern"] = json!("tea");
    let mut rules = json!({
        "override": [conditional("a", "override"), conditional("b", "second")],
        "content": [content],
        "room": [conditional("!room:localhost", "room")],
        "sender": [conditional("@bob:localhost", "sender")],
        "underride": [conditional("c", "underride")],
    });
    let time_for_tea = text("It's time for tea");
    let in_room = room(3, &json!({}));
    for kind in [
        "override",
        "second",
        "content",
        "room",
        "sender",
        "underride",
    ] {
        assert_eq!(
            said(&judge(rules.clone()), &time_for_tea, &in_room),
            format!("notify {kind}")
        );
        match kind {
            "override" => rules["override"][0]["enabled"] = json!(false),
            "second" => rules["override"][1]["enabled"] = json!(false),
            kind => rules[kind] = json!([]),
        }
    }
    assert_eq!(said(&judge(rules), &time_for_tea, &in_room), "none");
}

#[test]
fn rules_of_rooms_and_senders_are_for_exactly_these() {
    let rule =
        |id: &str| json!({"rule_id": id, "default": false, "enabled": true, "actions": ["notify"]});
    let rules = judge(json!({
        "room": [rule("!Room:localhost"), rule("!*:localhost")],
        "sender": [rule("@*:localhost")],
    }));
    let context = room(3, &json!({}));
    assert_eq!(said(&rules, &text("x"), &context), "none");
    let elsewhere = room_id!("!Room:localhost");
    let there = event_in(
        elsewhere,
        "m.room.message",
        None,
        "@bob:localhost",
        &json!({}),
    );
    assert_eq!(said(&rules, &there, &context), "notify");
}

#[test]
fn b04_what_nests_deep_is_judged_all_the_same() {
    let nested = format!("{}{}", "[".repeat(900), "]".repeat(900));
    let deep: Value = {
        let mut deserializer = serde_json::Deserializer::from_str(&nested);
        deserializer.disable_recursion_limit();
        serde::Deserialize::deserialize(&mut deserializer).unwrap()
    };
    let candidate = message(&json!({"body": "x", "deep": deep}));
    assert_eq!(
        said(&predefined(), &candidate, &room(3, &json!({}))),
        "notify"
    );
}

#[test]
fn the_master_rule_silences_all_once_it_is_enabled_also_what_is_the_users_own() {
    let alice = user_id!("@alice:localhost");
    let mut rules = Ruleset::server_default(alice);
    let own = json!({
        "rule_id": "own", "default": false, "enabled": true, "actions": ["notify"], "conditions": [],
    });
    let own: Ruleset = serde_json::from_value(json!({"override": [own]})).unwrap();
    let own = own.override_.first().unwrap().clone();
    rules.override_.shift_insert(1, own);
    let context = room(3, &json!({}));
    let notice = message(&json!({"msgtype": "m.notice", "body": "x"}));
    let before = Judge::new(alice, &rules);
    assert_eq!(
        said(&before, &notice, &context),
        "notify",
        "rules of one's own come before predefined ones"
    );
    let master = ruma::push::RuleKind::Override;
    rules.set_enabled(master, ".m.rule.master", true).unwrap();
    let after = Judge::new(alice, &rules);
    let mention = message(&json!({"body": "x", "m.mentions": {"user_ids": [ALICE]}}));
    for candidate in [&notice, &mention, &text("x")] {
        assert_eq!(said(&after, candidate, &context), "quiet");
    }
}

#[test]
fn historical_actions_are_ignored_and_unknown_tweaks_are_passed_on() {
    let rule = |actions: Value| {
        judge(json!({"underride": [{
            "rule_id": "r", "default": false, "enabled": true, "conditions": [], "actions": actions,
        }]}))
    };
    let context = room(3, &json!({}));
    for (actions, expected) in [
        (json!([]), "quiet"),
        (json!(["dont_notify"]), "quiet"),
        (json!(["coalesce"]), "quiet"),
        (json!(["dont_notify", "notify"]), "notify"),
        (json!(["notify", {"set_tweak": "highlight"}]), "highlight"),
        (
            json!(["notify", {"set_tweak": "highlight", "value": false}]),
            "notify",
        ),
    ] {
        assert_eq!(
            said(&rule(actions.clone()), &text("x"), &context),
            expected,
            "{actions}"
        );
    }
    let tweak = json!({"set_tweak": "org.example.light", "value": {"blink": 3}});
    let rule = rule(json!(["notify", tweak]));
    let verdict = rule.judge(&text("x"), &context, None).unwrap();
    assert_eq!(
        serde_json::to_value(&verdict.actions[..]).unwrap(),
        json!(["notify", tweak])
    );
}

#[test]
fn the_power_levels_are_asked_for_only_where_they_decide() {
    let rules = predefined();
    let context = room(3, &json!({}));
    let mention = message(&json!({"body": "x", "m.mentions": {"room": true}}));
    assert!(rules.asks_power(&mention, &context, None));
    assert!(!rules.asks_power(&text("x"), &context, None));
}
