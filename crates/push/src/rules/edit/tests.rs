use ruma::{push::AnyPushRule, room_id, user_id};
use serde_json::{Value, json};

use super::*;

fn rules() -> PushRules {
    PushRules::of(user_id!("@alice:localhost"))
}

fn new_rule(kind: &RuleKind, id: &str) -> NewPushRule {
    use ruma::push::{NewConditionalPushRule, NewPatternedPushRule, NewSimplePushRule};
    let (id, actions) = (id.to_owned(), vec![Action::Notify]);
    match kind {
        RuleKind::Override => {
            NewPushRule::Override(NewConditionalPushRule::new(id, vec![], actions))
        }
        RuleKind::Underride => {
            NewPushRule::Underride(NewConditionalPushRule::new(id, vec![], actions))
        }
        RuleKind::Content => {
            NewPushRule::Content(NewPatternedPushRule::new(id, "x".to_owned(), actions))
        }
        RuleKind::Room => {
            NewPushRule::Room(NewSimplePushRule::new(id.try_into().unwrap(), actions))
        }
        _ => NewPushRule::Sender(NewSimplePushRule::new(id.try_into().unwrap(), actions)),
    }
}

fn put(
    rules: &mut PushRules,
    kind: &RuleKind,
    id: &str,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<(), PushError> {
    let standing = Standing {
        before: before.map(ToOwned::to_owned),
        after: after.map(ToOwned::to_owned),
    };
    *rules = rules.changed(RuleChange::Set(new_rule(kind, id), standing))?;
    Ok(())
}

/// The IDs of the user's own rules of a kind, the most important first.
fn order(rules: &PushRules, kind: &str) -> String {
    let global: Value = serde_json::from_str(rules.global().get()).unwrap();
    let ids: Vec<String> = global[kind]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["rule_id"].as_str().unwrap().to_owned())
        .filter(|id| !id.starts_with(".m.rule") || id == ".m.rule.master")
        .collect();
    ids.join(" ").replace(".m.rule.master", "M")
}

const O: RuleKind = RuleKind::Override;

#[test]
fn a_new_rule_is_the_most_important_one_of_the_users_own() {
    let mut rules = rules();
    for id in ["a", "b"] {
        for kind in [O, RuleKind::Underride, RuleKind::Content] {
            put(&mut rules, &kind, id, None, None).unwrap();
        }
    }
    assert_eq!(order(&rules, "override"), "M b a");
    assert_eq!(order(&rules, "content"), "b a");
    let global: Value = serde_json::from_str(rules.global().get()).unwrap();
    let first_three: Vec<&Value> = (0..3).map(|n| &global["underride"][n]["rule_id"]).collect();
    assert_eq!(
        first_three,
        [&json!("b"), &json!("a"), &json!(".m.rule.call")]
    );
    put(&mut rules, &O, "a", None, None).unwrap();
    assert_eq!(
        order(&rules, "override"),
        "M b a",
        "updated where it stands"
    );
}

#[test]
fn a55_a_rule_is_put_before_or_after_another_wherever_it_stood() {
    for (id, before, after, expected) in [
        ("x", Some("b"), None, "M a x b c"),
        ("x", None, Some("b"), "M a b x c"),
        ("x", None, Some("c"), "M a b c x"),
        ("x", Some("a"), None, "M x a b c"),
        ("x", Some("c"), Some("a"), "M a b x c"),
        ("a", None, Some("c"), "M b c a"),
        ("a", Some("c"), None, "M b a c"),
        ("c", Some("a"), None, "M c a b"),
        ("c", None, Some("a"), "M a c b"),
        ("b", Some("c"), Some("a"), "M a b c"),
    ] {
        let mut rules = rules();
        for id in ["c", "b", "a"] {
            put(&mut rules, &O, id, None, None).unwrap();
        }
        put(&mut rules, &O, id, before, after).unwrap();
        assert_eq!(
            order(&rules, "override"),
            expected,
            "{id} {before:?} {after:?}"
        );
    }
}

#[test]
fn a_place_beside_a_rule_that_is_not_the_users_own_is_refused() {
    let mut rules = rules();
    put(&mut rules, &O, "a", None, None).unwrap();
    put(&mut rules, &O, "b", None, None).unwrap();
    for neighbor in ["none", ".m.rule.master", ".m.rule.reaction", "a"] {
        for (before, after) in [(Some(neighbor), None), (None, Some(neighbor))] {
            let outcome = put(&mut rules, &O, "a", before, after);
            assert!(
                matches!(outcome, Err(PushError::NoSuchNeighbor(_))),
                "{neighbor}"
            );
        }
    }
    let contradiction = put(&mut rules, &O, "x", Some("b"), Some("a"));
    assert!(matches!(contradiction, Err(PushError::InvalidParam(_))));
    assert_eq!(order(&rules, "override"), "M b a", "nothing has changed");
}

#[test]
fn ids_are_not_predefined_ones_and_have_no_slashes() {
    let mut rules = rules();
    for id in [".m.rule.master", ".x", "a/b", "a\\b"] {
        let outcome = put(&mut rules, &O, id, None, None);
        assert!(matches!(outcome, Err(PushError::InvalidParam(_))), "{id}");
    }
}

#[test]
fn a_rule_is_enabled_when_it_is_made_and_stays_as_it_is_when_it_is_changed() {
    let mut rules = rules();
    let enabled = |rules: &PushRules| rules.rule(O, "a").map(|rule| rule.enabled());
    put(&mut rules, &O, "a", None, None).unwrap();
    assert_eq!(enabled(&rules), Some(true));
    rules = rules
        .changed(RuleChange::Enable(O, "a".to_owned(), false))
        .unwrap();
    put(&mut rules, &O, "a", None, None).unwrap();
    assert_eq!(enabled(&rules), Some(false));
}

#[test]
fn a_predefined_rule_is_changed_and_not_removed() {
    let master = || ".m.rule.master".to_owned();
    let mut rules = rules();
    rules = rules
        .changed(RuleChange::Enable(O, master(), true))
        .unwrap();
    rules = rules
        .changed(RuleChange::SetActions(O, master(), vec![Action::Notify]))
        .unwrap();
    let rule = rules.rule(O, ".m.rule.master").unwrap();
    assert!(rule.enabled() && rule.actions().len() == 1 && rule.is_server_default());
    let removed = rules.changed(RuleChange::Remove(O, master()));
    assert!(matches!(removed, Err(PushError::InvalidParam(_))));
    let stored = PushRules::stored(user_id!("@alice:localhost"), &rules.content()).unwrap();
    assert_eq!(stored.content().get(), rules.content().get());
    for change in [
        RuleChange::Remove(O, "x".to_owned()),
        RuleChange::Enable(O, "x".to_owned(), true),
        RuleChange::SetActions(RuleKind::Room, master(), vec![]),
        RuleChange::Remove(RuleKind::from("nonsense"), master()),
    ] {
        assert!(matches!(rules.changed(change), Err(PushError::NoSuchRule)));
    }
}

#[test]
fn a_pattern_that_takes_too_much_memory_is_refused() {
    use ruma::push::{EventMatchConditionData, NewConditionalPushRule, NewPatternedPushRule};
    let large = "?*x".repeat(50_000);
    let content = NewPatternedPushRule::new("a".to_owned(), large.clone(), vec![]);
    let condition = EventMatchConditionData::new("type".to_owned(), large);
    let conditions = vec![PushCondition::EventMatch(condition)];
    let conditional = NewConditionalPushRule::new("a".to_owned(), conditions, vec![]);
    for rule in [
        NewPushRule::Content(content),
        NewPushRule::Override(conditional),
    ] {
        let outcome = rules().changed(RuleChange::Set(rule, Standing::default()));
        assert!(matches!(outcome, Err(PushError::InvalidParam(_))));
    }
}

#[test]
fn the_rules_of_a_room_are_carried_over_once() {
    let (old, new) = (room_id!("!old:localhost"), room_id!("!new:localhost"));
    let mut rules = rules();
    assert!(rules.carried_over(old, new).is_none());
    put(&mut rules, &RuleKind::Room, old.as_str(), None, None).unwrap();
    rules = rules
        .changed(RuleChange::SetActions(
            RuleKind::Room,
            old.to_string(),
            vec![],
        ))
        .unwrap();
    rules = rules.carried_over(old, new).unwrap();
    let rule = |room: &RoomId| rules.rule(RuleKind::Room, room.as_str());
    assert!(rule(new).is_some_and(|rule: AnyPushRule| rule.actions().is_empty()));
    assert!(rule(old).is_some());
    assert!(rules.carried_over(old, new).is_none());
}

fn set_json(rules: &mut PushRules, kind: &RuleKind, rule: &Value) -> Result<(), PushError> {
    use ruma::push::{NewConditionalPushRule, NewPatternedPushRule};
    let id = rule["rule_id"].as_str().unwrap().to_owned();
    let actions: Vec<Action> = serde_json::from_value(rule["actions"].clone()).unwrap();
    let conditions = || serde_json::from_value(rule["conditions"].clone()).unwrap();
    let rule = match kind {
        RuleKind::Content => {
            let pattern = rule["pattern"].as_str().unwrap().to_owned();
            NewPushRule::Content(NewPatternedPushRule::new(id, pattern, actions))
        }
        RuleKind::Underride => {
            NewPushRule::Underride(NewConditionalPushRule::new(id, conditions(), actions))
        }
        _ => NewPushRule::Override(NewConditionalPushRule::new(id, conditions(), actions)),
    };
    *rules = rules.changed(RuleChange::Set(rule, Standing::default()))?;
    Ok(())
}

#[test]
fn what_one_rule_may_hold_is_bounded() {
    let mut rules = rules();
    let conditional = |conditions: usize, actions: usize| {
        json!({
            "rule_id": "r",
            "conditions": vec![json!({"kind": "room_member_count", "is": "2"}); conditions],
            "actions": vec!["notify"; actions],
        })
    };
    for kind in [O, RuleKind::Underride] {
        set_json(&mut rules, &kind, &conditional(MAX_CONDITIONS, MAX_ACTIONS)).unwrap();
        for over in [
            conditional(MAX_CONDITIONS + 1, 1),
            conditional(1, MAX_ACTIONS + 1),
        ] {
            let refused = set_json(&mut rules, &kind, &over).unwrap_err();
            assert!(matches!(refused, PushError::InvalidParam(_)), "{refused}");
            assert!(refused.to_string().contains("at most 32"), "{refused}");
        }
    }
    let actions = vec![Action::Notify; MAX_ACTIONS + 1];
    let change = RuleChange::SetActions(O, ".m.rule.master".to_owned(), actions);
    assert!(matches!(
        rules.changed(change),
        Err(PushError::InvalidParam(_))
    ));
    for (pattern, fits) in [
        ("x".repeat(MAX_PATTERN), true),
        ("x".repeat(MAX_PATTERN + 1), false),
        ("?".repeat(MAX_WILDCARDS), true),
        ("?*x".repeat(MAX_WILDCARDS), false),
    ] {
        let content = json!({"rule_id": "r", "actions": [], "pattern": pattern});
        let in_content = set_json(&mut rules, &RuleKind::Content, &content);
        let condition = json!({"kind": "event_match", "key": "type", "pattern": pattern});
        let conditional = json!({"rule_id": "r", "actions": [], "conditions": [condition]});
        let in_condition = set_json(&mut rules, &O, &conditional);
        assert_eq!(in_content.is_ok(), fits, "{pattern}");
        assert_eq!(in_condition.is_ok(), fits, "{pattern}");
    }
    let id = "x".repeat(MAX_ID + 1);
    assert!(put(&mut rules, &O, &id, None, None).is_err());
}

#[test]
fn what_one_user_may_have_events_held_against_is_bounded() {
    let mut rules = rules();
    let searching = |id: usize| {
        let pattern = json!({"kind": "event_match", "key": "content.body", "pattern": "x"});
        let compared = json!({"kind": "event_match", "key": "room_id", "pattern": "!room:x"});
        json!({"rule_id": id.to_string(), "actions": [], "conditions": [pattern, compared]})
    };
    for id in 1..MAX_SEARCHES {
        set_json(&mut rules, &O, &searching(id)).unwrap();
    }
    put(&mut rules, &RuleKind::Content, "last", None, None).unwrap();
    let refused = put(&mut rules, &RuleKind::Content, "more", None, None).unwrap_err();
    assert!(matches!(refused, PushError::TooMany(_)), "{refused}");
    set_json(&mut rules, &O, &searching(1)).unwrap();
    // A room costs nothing but its place.
    put(&mut rules, &RuleKind::Room, "!room:localhost", None, None).unwrap();
    assert!(not_more("rules", 0, MAX_RULES, MAX_RULES).is_ok());
    assert!(not_more("rules", MAX_RULES, MAX_RULES + 1, MAX_RULES).is_err());
    assert!(not_more("rules", MAX_RULES + 5, MAX_RULES + 5, MAX_RULES).is_ok());
}
