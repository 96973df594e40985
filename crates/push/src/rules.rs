//! Push rules: the predefined ones, which every user has.
//!
//! See [predefined rules](https://spec.matrix.org/v1.19/client-server-api/#predefined-rules).

mod edit;

use ruma::{
    UserId,
    push::{AnyPushRule, AnyPushRuleRef, RuleKind, Ruleset},
};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

pub use self::edit::{RuleChange, Standing};

/// The push rules of one user.
#[derive(Clone, Debug)]
pub struct PushRules {
    ruleset: Ruleset,
}

/// A ruleset as clients read it: a kind without rules is an empty list, not absent. Clients index
/// it by kind without looking.
#[derive(Serialize)]
struct Global<'a, O, C, R, S, U> {
    #[serde(rename = "override")]
    override_: &'a O,
    content: &'a C,
    room: &'a R,
    sender: &'a S,
    underride: &'a U,
}

#[derive(Serialize, Deserialize)]
struct Content<G> {
    global: G,
}

impl PushRules {
    /// The rules of this user. Some predefined rules name them.
    #[must_use]
    pub fn of(user_id: &UserId) -> Self {
        Self {
            ruleset: Ruleset::server_default(user_id),
        }
    }

    /// The rules of this user as they are stored. Predefined rules that have come since are among
    /// them. `None` if that does not read.
    #[must_use]
    pub fn stored(user_id: &UserId, content: &RawValue) -> Option<Self> {
        let Content {
            global: mut ruleset,
        } = serde_json::from_str::<Content<Ruleset>>(content.get()).ok()?;
        ruleset.update_with_server_default(Ruleset::server_default(user_id));
        Some(Self { ruleset })
    }

    /// The rules as ruma has them.
    #[must_use]
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// All rulesets, `{"global": …}`: the answer of `pushrules/` and the content of
    /// `m.push_rules`.
    #[must_use]
    pub fn content(&self) -> Box<RawValue> {
        json(&Content {
            global: self.view(),
        })
    }

    /// The rules of the global set by kind.
    #[must_use]
    pub fn global(&self) -> Box<RawValue> {
        json(&self.view())
    }

    /// One rule of the global set.
    #[must_use]
    pub fn rule(&self, kind: RuleKind, rule_id: &str) -> Option<AnyPushRule> {
        self.ruleset
            .get(kind, rule_id)
            .map(AnyPushRuleRef::to_owned)
    }

    fn view(&self) -> impl Serialize {
        let Ruleset {
            override_,
            content,
            room,
            sender,
            underride,
            ..
        } = &self.ruleset;
        Global {
            override_,
            content,
            room,
            sender,
            underride,
        }
    }
}

/// The content of a user's `m.push_rules` account data, as an initial sync delivers it.
#[must_use]
pub fn default_push_rules(user_id: &UserId) -> Box<RawValue> {
    PushRules::of(user_id).content()
}

/// Rules have string keys and no floats, so they always serialize.
fn json(rules: &impl Serialize) -> Box<RawValue> {
    to_raw_value(rules).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::{Value, json};

    use super::*;

    /// The definitions of the specification, version 1.19, in its order, for `@alice:localhost`.
    const PREDEFINED: &str = include_str!("../fixtures/predefined_push_rules.json");

    fn read(json: &RawValue) -> Value {
        serde_json::from_str(json.get()).unwrap()
    }

    #[test]
    fn the_predefined_rules_are_those_of_the_specification_in_its_order() {
        let predefined: Value = serde_json::from_str(PREDEFINED).unwrap();
        let content = read(&default_push_rules(user_id!("@alice:localhost")));
        for kind in ["override", "underride"] {
            assert_eq!(content["global"][kind], predefined[kind], "{kind}");
        }
    }

    #[test]
    fn a_kind_without_rules_is_an_empty_list() {
        let rules = PushRules::of(user_id!("@alice:localhost"));
        for kind in ["content", "room", "sender"] {
            assert_eq!(read(&rules.global())[kind], json!([]), "{kind}");
        }
        assert_eq!(
            read(&rules.content()),
            json!({ "global": read(&rules.global()) })
        );
        let ids = rules.ruleset().iter();
        assert!(
            ids.map(AnyPushRuleRef::rule_id)
                .all(|id| id.starts_with('.')),
            "predefined rules are known by their dot"
        );
    }

    #[test]
    fn a_rule_is_found_by_its_kind_and_id_only() {
        let rules = PushRules::of(user_id!("@alice:localhost"));
        let master = rules.rule(RuleKind::Override, ".m.rule.master").unwrap();
        assert!(!master.enabled());
        assert!(rules.rule(RuleKind::Underride, ".m.rule.master").is_none());
        assert!(rules.rule(RuleKind::Override, ".m.rule.none").is_none());
        assert!(
            rules
                .rule(RuleKind::from("nonsense"), ".m.rule.master")
                .is_none()
        );
    }
}
