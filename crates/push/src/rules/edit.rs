//! How a user's rules are changed.

use ruma::{
    RoomId,
    push::{Action, NewPushRule, PushCondition, RuleKind, Ruleset, SimplePushRule},
};

use super::PushRules;
use crate::{PushError, judge::Condition};

/// Where a rule is to stand among those of its kind.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Just before this rule of the user's: the next more important one.
    pub before: Option<String>,
    /// Just after this rule of the user's: the next less important one.
    pub after: Option<String>,
}

/// A wish to change the rules.
#[derive(Clone, Debug)]
pub enum RuleChange {
    /// Makes a rule, or another one of it.
    Set(NewPushRule, Standing),
    /// Removes a rule of the user's own.
    Remove(RuleKind, String),
    /// Enables or disables a rule, predefined or not.
    Enable(RuleKind, String, bool),
    /// Changes what a rule says, predefined or not.
    SetActions(RuleKind, String, Vec<Action>),
}

/// Puts a rule where it belongs among those of its kind. (A macro, for each kind is a type.)
macro_rules! put {
    ($set:expr, $rule:expr, $first:expr, $standing:expr) => {{
        let mut rule = $rule;
        let (set, standing) = ($set, $standing);
        let id = rule.rule_id.to_string();
        let place = |id: &str| set.iter().position(|it| it.rule_id.as_str() == id);
        let known = place(&id);
        if let Some(known) = known.and_then(|known| set.shift_remove_index(known)) {
            rule.enabled = known.enabled;
        }
        let neighbor = |id: &str| {
            let found = set
                .iter()
                .position(|it| it.rule_id.as_str() == id && !it.default);
            found.ok_or_else(|| PushError::NoSuchNeighbor(id.to_owned()))
        };
        let before = standing.before.as_deref().map(neighbor).transpose()?;
        let after = standing.after.as_deref().map(neighbor).transpose()?;
        let to = match (before, after) {
            (Some(before), Some(after)) if before <= after => {
                let text = "before names a more important rule than after";
                return Err(PushError::InvalidParam(text.to_owned()));
            }
            (Some(before), _) => before,
            (None, Some(after)) => after + 1,
            (None, None) => known.unwrap_or($first),
        };
        set.shift_insert(to.min(set.len()), rule);
    }};
}

impl PushRules {
    /// The rules after a change.
    ///
    /// # Errors
    ///
    /// [`PushError::NoSuchRule`], [`PushError::NoSuchNeighbor`], [`PushError::InvalidParam`] for an
    /// ID that is reserved or not allowed, a pattern that would take too much memory, and for the
    /// removal of a predefined rule.
    pub fn changed(&self, change: RuleChange) -> Result<Self, PushError> {
        let mut ruleset = self.ruleset.clone();
        match change {
            RuleChange::Set(rule, standing) => set(&mut ruleset, rule, &standing)?,
            RuleChange::Remove(kind, rule_id) => {
                let rule = ruleset.get(kind.clone(), &rule_id);
                if rule.ok_or(PushError::NoSuchRule)?.is_server_default() {
                    return invalid("a predefined rule can be disabled, not deleted");
                }
                ruleset
                    .remove(kind, rule_id)
                    .map_err(|_| PushError::NoSuchRule)?;
            }
            RuleChange::Enable(kind, rule_id, enabled) => ruleset
                .set_enabled(kind, rule_id, enabled)
                .map_err(|_| PushError::NoSuchRule)?,
            RuleChange::SetActions(kind, rule_id, actions) => ruleset
                .set_actions(kind, rule_id, actions)
                .map_err(|_| PushError::NoSuchRule)?,
        }
        Ok(Self { ruleset })
    }

    /// The rules with those for one room copied to another, which has taken its place; `None` if
    /// there are none, or the other room has its own.
    #[must_use]
    pub fn carried_over(&self, from: &RoomId, to: &RoomId) -> Option<Self> {
        let rules = &self.ruleset.room;
        let has = |room_id: &RoomId| rules.iter().find(|rule| rule.rule_id == room_id);
        let rule = has(from)?;
        if has(to).is_some() {
            return None;
        }
        let mut rule = rule.clone();
        to.clone_into(&mut rule.rule_id);
        let mut ruleset = self.ruleset.clone();
        ruleset.room.shift_insert(0, rule);
        Some(Self { ruleset })
    }
}

fn set(ruleset: &mut Ruleset, rule: NewPushRule, standing: &Standing) -> Result<(), PushError> {
    let rule_id = rule.rule_id();
    if rule_id.starts_with('.') {
        return invalid("IDs that start with a dot are reserved for predefined rules");
    }
    if rule_id.contains(['/', '\\']) {
        return invalid("the ID of a rule has neither slashes nor backslashes");
    }
    match rule {
        NewPushRule::Override(rule) => {
            check(&rule.conditions)?;
            // After the master rule, which has a higher priority than any other.
            put!(
                &mut ruleset.override_,
                ruma::push::ConditionalPushRule::from(rule),
                1,
                standing
            );
        }
        NewPushRule::Underride(rule) => {
            check(&rule.conditions)?;
            put!(
                &mut ruleset.underride,
                ruma::push::ConditionalPushRule::from(rule),
                0,
                standing
            );
        }
        NewPushRule::Content(rule) => {
            if !Condition::is_body_pattern(&rule.pattern) {
                return invalid("the pattern is too large");
            }
            put!(
                &mut ruleset.content,
                ruma::push::PatternedPushRule::from(rule),
                0,
                standing
            );
        }
        NewPushRule::Room(rule) => {
            put!(&mut ruleset.room, SimplePushRule::from(rule), 0, standing);
        }
        NewPushRule::Sender(rule) => {
            put!(&mut ruleset.sender, SimplePushRule::from(rule), 0, standing);
        }
        _ => return invalid("there is no such kind of rule"),
    }
    Ok(())
}

/// Conditions of a kind that we do not know are kept, and never hold.
fn check(conditions: &[PushCondition]) -> Result<(), PushError> {
    let too_large = conditions.iter().any(|condition| {
        matches!(condition, PushCondition::EventMatch(_)) && !Condition::new(condition).can_hold()
    });
    match too_large {
        true => invalid("the pattern of a condition is too large"),
        false => Ok(()),
    }
}

fn invalid<T>(text: &str) -> Result<T, PushError> {
    Err(PushError::InvalidParam(text.to_owned()))
}

#[cfg(test)]
mod tests;
