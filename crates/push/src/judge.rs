//! What a user's rules make of an event.
//!
//! The rules are ruma's; the matching is ours. It has to hold against every event that may be
//! stored and every rule that may be set: no pattern is compiled twice, none takes longer than its
//! text is long, and nothing nests deeper than the stack.

use std::{collections::HashMap, ops::RangeBounds, sync::Arc};

use ruma::{
    OwnedRoomId, OwnedUserId, UInt, UserId,
    push::{Action, AnyPushRuleRef, PushCondition, RoomMemberCountIs, Ruleset, ScalarJsonValue},
};

use crate::{
    event::{Candidate, PropertyPath},
    glob::Glob,
    room::RoomContext,
};

const BODY: &str = "content.body";

/// What the first rule that matches says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its actions.
    pub actions: Arc<[Action]>,
    /// Whether the event notifies.
    pub notifies: bool,
    /// Whether it is highlighted.
    pub highlights: bool,
}

impl Verdict {
    fn of(rule: AnyPushRuleRef<'_>) -> Arc<Self> {
        Arc::new(Self {
            actions: rule.actions().into(),
            notifies: rule.triggers_notification(),
            highlights: rule.triggers_highlight(),
        })
    }
}

/// One user's rules, ready to judge.
#[derive(Debug)]
pub struct Judge {
    user_id: OwnedUserId,
    /// `override` and `content`.
    before: Vec<Rule>,
    rooms: HashMap<OwnedRoomId, Arc<Verdict>>,
    senders: HashMap<OwnedUserId, Arc<Verdict>>,
    /// `underride`.
    after: Vec<Rule>,
    asks_display_name: bool,
    /// Whether any rule asks for the sender's power.
    asks_power: bool,
}

#[derive(Debug)]
struct Rule {
    conditions: Vec<Condition>,
    verdict: Arc<Verdict>,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Matches(PropertyPath, Glob),
    Is(PropertyPath, ScalarJsonValue),
    Contains(PropertyPath, ScalarJsonValue),
    DisplayName(PropertyPath),
    MemberCount(RoomMemberCountIs),
    SenderMay(String),
    /// What we do not know, or what would take too much memory, never matches.
    Never,
}

impl Condition {
    /// Whether this can ever hold.
    pub(crate) fn can_hold(&self) -> bool {
        !matches!(self, Self::Never)
    }

    /// Whether a pattern for bodies can ever match.
    pub(crate) fn is_body_pattern(pattern: &str) -> bool {
        Self::matches(BODY, pattern).can_hold()
    }

    /// Whether asking this takes a search in a text: other conditions compare at most.
    pub(crate) fn searches(condition: &PushCondition) -> bool {
        match condition {
            PushCondition::EventMatch(it) => it.key == BODY || it.pattern.contains(['*', '?']),
            other => other.kind() == "contains_display_name",
        }
    }

    fn matches(path: &str, pattern: &str) -> Self {
        let glob = match path == BODY {
            true => Glob::words(pattern),
            false => Glob::whole(pattern),
        };
        glob.map_or(Self::Never, |glob| {
            Self::Matches(PropertyPath::new(path), glob)
        })
    }

    pub(crate) fn new(condition: &PushCondition) -> Self {
        match condition {
            PushCondition::EventMatch(it) => Self::matches(&it.key, &it.pattern),
            PushCondition::EventPropertyIs(it) => {
                Self::Is(PropertyPath::new(&it.key), it.value.clone())
            }
            PushCondition::EventPropertyContains(it) => {
                Self::Contains(PropertyPath::new(&it.key), it.value.clone())
            }
            PushCondition::RoomMemberCount(it) => Self::MemberCount(it.is),
            PushCondition::SenderNotificationPermission(it) => {
                Self::SenderMay(it.key.as_str().to_owned())
            }
            // Deprecated, not removed, and so a kind that ruma knows by name only.
            other if other.kind() == "contains_display_name" => {
                Self::DisplayName(PropertyPath::new(BODY))
            }
            _ => Self::Never,
        }
    }

    fn holds(&self, event: &Candidate, room: &RoomContext, display_name: Option<&str>) -> bool {
        match self {
            Self::Matches(path, glob) => event.text(path).is_some_and(|text| glob.matches(text)),
            Self::Is(path, value) => event.is(path, value),
            Self::Contains(path, value) => event.contains(path, value),
            Self::DisplayName(path) => display_name
                .filter(|name| !name.is_empty())
                .zip(event.text(path))
                .is_some_and(|(name, text)| {
                    Glob::literal_words(name).is_some_and(|glob| glob.matches(text))
                }),
            Self::MemberCount(range) => {
                UInt::try_from(room.joined_members).is_ok_and(|count| range.contains(&count))
            }
            Self::SenderMay(key) => room.power.may_notify(&event.event().sender, key),
            Self::Never => false,
        }
    }
}

impl Rule {
    fn new(rule: AnyPushRuleRef<'_>, conditions: Vec<Condition>) -> Self {
        Self {
            conditions,
            verdict: Verdict::of(rule),
        }
    }

    fn conditional(rule: AnyPushRuleRef<'_>, conditions: &[PushCondition]) -> Self {
        Self::new(rule, conditions.iter().map(Condition::new).collect())
    }
}

impl Judge {
    /// Compiles a user's rules.
    #[must_use]
    pub fn new(user_id: &UserId, rules: &Ruleset) -> Self {
        let mut judge = Self {
            user_id: user_id.to_owned(),
            before: Vec::new(),
            rooms: HashMap::new(),
            senders: HashMap::new(),
            after: Vec::new(),
            asks_display_name: false,
            asks_power: false,
        };
        for rule in rules.iter().filter(|rule| rule.enabled()) {
            match rule {
                AnyPushRuleRef::Override(it) => {
                    judge.before.push(Rule::conditional(rule, &it.conditions));
                }
                AnyPushRuleRef::Content(it) => {
                    let condition = Condition::matches(BODY, &it.pattern);
                    judge.before.push(Rule::new(rule, vec![condition]));
                }
                AnyPushRuleRef::Room(it) => {
                    let verdict = Verdict::of(rule);
                    judge.rooms.entry(it.rule_id.clone()).or_insert(verdict);
                }
                AnyPushRuleRef::Sender(it) => {
                    let verdict = Verdict::of(rule);
                    judge.senders.entry(it.rule_id.clone()).or_insert(verdict);
                }
                AnyPushRuleRef::Underride(it) => {
                    judge.after.push(Rule::conditional(rule, &it.conditions));
                }
                _ => {}
            }
        }
        let has = |wanted: fn(&Condition) -> bool| {
            let mut all = judge.before.iter().chain(&judge.after);
            all.any(|rule| rule.conditions.iter().any(wanted))
        };
        let asks_display_name = has(|condition| matches!(condition, Condition::DisplayName(_)));
        let asks_power = has(|condition| matches!(condition, Condition::SenderMay(_)));
        judge.asks_display_name = asks_display_name;
        judge.asks_power = asks_power;
        judge
    }

    /// Whose rules these are.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// Whether any rule asks for the user's display name in the room.
    #[must_use]
    pub fn asks_display_name(&self) -> bool {
        self.asks_display_name
    }

    /// Whether it may depend on the power levels what the rules make of an event: they are asked
    /// for where all else that a rule wants is so.
    pub(crate) fn asks_power(
        &self,
        event: &Candidate,
        room: &RoomContext,
        display_name: Option<&str>,
    ) -> bool {
        let is_asked = |rule: &Rule| {
            let (power, other): (Vec<_>, Vec<_>) = rule
                .conditions
                .iter()
                .partition(|condition| matches!(condition, Condition::SenderMay(_)));
            let mut other = other.into_iter();
            !power.is_empty() && other.all(|condition| condition.holds(event, room, display_name))
        };
        self.asks_power && self.before.iter().chain(&self.after).any(is_asked)
    }

    /// What the first rule that matches says; `None` if none does, or if the event is the user's
    /// own: nobody is notified of what they did themselves.
    #[must_use]
    pub fn judge(
        &self,
        event: &Candidate,
        room: &RoomContext,
        display_name: Option<&str>,
    ) -> Option<&Arc<Verdict>> {
        let stored = event.event();
        if stored.sender == self.user_id {
            return None;
        }
        let holds = |rule: &&Rule| {
            let mut conditions = rule.conditions.iter();
            conditions.all(|condition| condition.holds(event, room, display_name))
        };
        if let Some(rule) = self.before.iter().find(holds) {
            return Some(&rule.verdict);
        }
        if let Some(verdict) = self.rooms.get(&stored.room_id) {
            return Some(verdict);
        }
        if let Some(verdict) = self.senders.get(&stored.sender) {
            return Some(verdict);
        }
        self.after.iter().find(holds).map(|rule| &rule.verdict)
    }
}

#[cfg(test)]
mod tests;
