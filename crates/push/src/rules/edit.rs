//! How a user's rules are changed.

use ruma::{
    RoomId,
    push::{Action, NewPushRule, PushCondition, RuleKind, Ruleset, SimplePushRule},
};

use super::PushRules;
use crate::{PushError, judge::Condition};

/// How many rules of their own a user may have. Clients make one for each room that is muted.
const MAX_RULES: usize = 3000;
/// How many conditions a rule may have.
const MAX_CONDITIONS: usize = 32;
/// How many actions a rule may have.
const MAX_ACTIONS: usize = 32;
/// The longest ID of a rule, in bytes, as for other IDs, and a keyword may be one.
const MAX_ID: usize = 512;
/// The longest pattern, in bytes: room IDs and keywords are shorter.
const MAX_PATTERN: usize = 512;
/// How many `?` and `*` a pattern may have: each may take a kilobyte when it is compiled.
const MAX_WILDCARDS: usize = 32;
/// How many patterns all rules of a user may search for. Each event is held against all of them.
const MAX_SEARCHES: usize = 256;

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
    /// ID that is reserved or not allowed, a rule that is too large, and for the removal of a
    /// predefined rule; [`PushError::TooMany`].
    pub fn changed(&self, change: RuleChange) -> Result<Self, PushError> {
        let mut ruleset = self.ruleset.clone();
        match change {
            RuleChange::Set(rule, standing) => {
                let before = (own_rules(&ruleset), searches(&ruleset));
                set(&mut ruleset, rule, &standing)?;
                let after = (own_rules(&ruleset), searches(&ruleset));
                not_more("rules of their own", before.0, after.0, MAX_RULES)?;
                not_more("patterns to search for", before.1, after.1, MAX_SEARCHES)?;
            }
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
            RuleChange::SetActions(kind, rule_id, actions) => {
                check_actions(&actions)?;
                ruleset
                    .set_actions(kind, rule_id, actions)
                    .map_err(|_| PushError::NoSuchRule)?;
            }
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
    if rule_id.len() > MAX_ID {
        return invalid(&format!("the ID of a rule has at most {MAX_ID} bytes"));
    }
    match rule {
        NewPushRule::Override(rule) => {
            check_actions(&rule.actions)?;
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
            check_actions(&rule.actions)?;
            check(&rule.conditions)?;
            put!(
                &mut ruleset.underride,
                ruma::push::ConditionalPushRule::from(rule),
                0,
                standing
            );
        }
        NewPushRule::Content(rule) => {
            check_actions(&rule.actions)?;
            check_pattern(&rule.pattern)?;
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
            check_actions(&rule.actions)?;
            put!(&mut ruleset.room, SimplePushRule::from(rule), 0, standing);
        }
        NewPushRule::Sender(rule) => {
            check_actions(&rule.actions)?;
            put!(&mut ruleset.sender, SimplePushRule::from(rule), 0, standing);
        }
        _ => return invalid("there is no such kind of rule"),
    }
    Ok(())
}

/// Conditions of a kind that we do not know are kept, and never hold.
fn check(conditions: &[PushCondition]) -> Result<(), PushError> {
    if conditions.len() > MAX_CONDITIONS {
        return invalid(&format!("a rule has at most {MAX_CONDITIONS} conditions"));
    }
    for condition in conditions {
        if let PushCondition::EventMatch(it) = condition {
            check_pattern(&it.pattern)?;
        }
    }
    let too_large = conditions.iter().any(|condition| {
        matches!(condition, PushCondition::EventMatch(_)) && !Condition::new(condition).can_hold()
    });
    match too_large {
        true => invalid("the pattern of a condition is too large"),
        false => Ok(()),
    }
}

fn check_pattern(pattern: &str) -> Result<(), PushError> {
    if pattern.len() > MAX_PATTERN {
        return invalid(&format!("a pattern has at most {MAX_PATTERN} bytes"));
    }
    if pattern.matches(['*', '?']).count() > MAX_WILDCARDS {
        return invalid(&format!("a pattern has at most {MAX_WILDCARDS} wildcards"));
    }
    Ok(())
}

fn check_actions(actions: &[Action]) -> Result<(), PushError> {
    match actions.len() > MAX_ACTIONS {
        true => invalid(&format!("a rule has at most {MAX_ACTIONS} actions")),
        false => Ok(()),
    }
}

/// How many rules are not predefined.
fn own_rules(ruleset: &Ruleset) -> usize {
    let own = ruleset.iter().filter(|rule| !rule.is_server_default());
    own.count()
}

/// How many searches in texts an event may take.
fn searches(ruleset: &Ruleset) -> usize {
    let conditional = ruleset.override_.iter().chain(&ruleset.underride);
    let conditions = conditional.flat_map(|rule| &rule.conditions);
    let in_conditions = conditions.filter(|it| Condition::searches(it)).count();
    in_conditions + ruleset.content.len()
}

/// Who has more, from before there was a limit, can still change what they have.
fn not_more(what: &str, before: usize, after: usize, most: usize) -> Result<(), PushError> {
    match after > most.max(before) {
        true => Err(PushError::TooMany(format!(
            "one user may have at most {most} {what}"
        ))),
        false => Ok(()),
    }
}

fn invalid<T>(text: &str) -> Result<T, PushError> {
    Err(PushError::InvalidParam(text.to_owned()))
}

#[cfg(test)]
mod tests;
