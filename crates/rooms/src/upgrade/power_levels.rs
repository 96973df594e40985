//! The power levels of a room that is replaced, and of the one that takes its place. Pure.

use std::collections::HashSet;

use greenroom_events::RoomVersion;
use ruma::{
    CanonicalJsonObject as Object, CanonicalJsonValue as Json, Int, OwnedUserId, UserId, int,
};

/// The levels that stand alone, with what they are where nobody names them.
const NAMED: [(&str, i32); 7] = [
    ("ban", 50),
    ("events_default", 0),
    ("invite", 0),
    ("kick", 50),
    ("redact", 50),
    ("state_default", 50),
    ("users_default", 0),
];
const MAPS: [&str; 3] = ["events", "notifications", "users"];
const TOMBSTONE: &str = "m.room.tombstone";

/// What the new room's levels are made of.
pub(super) struct Powers<'a> {
    /// The old room's levels; empty if it has none.
    pub(super) content: Object,
    /// Whether it has any.
    pub(super) had_levels: bool,
    /// Who made the old room, and stands above its levels if its version says so.
    pub(super) old_creators: HashSet<OwnedUserId>,
    /// The old room's version.
    pub(super) old: &'a RoomVersion,
    /// The new room's version.
    pub(super) new: &'a RoomVersion,
    /// Who upgrades.
    pub(super) upgrader: &'a UserId,
    /// Who else creates the new room, if its version knows of that.
    pub(super) additional_creators: &'a [OwnedUserId],
    /// Who is to be banned from the new room.
    pub(super) banned: &'a [OwnedUserId],
}

/// The new room's levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewLevels {
    /// Those under which the room is made: whoever upgrades may do all of it.
    pub(super) first: Object,
    /// Those that it keeps, if they are others.
    pub(super) last: Option<Object>,
}

/// A level, which before version 10 may be written as a string.
fn level(value: &Json) -> Option<Int> {
    match value {
        Json::Integer(level) => Some(*level),
        Json::String(text) => {
            let level = text.trim().parse::<i64>().ok()?;
            Int::try_from(level).ok()
        }
        _ => None,
    }
}

fn named(content: &Object, key: &str, default: i32) -> Int {
    content
        .get(key)
        .and_then(level)
        .unwrap_or_else(|| default.into())
}

/// The entries of one of the maps.
fn entries<'a>(content: &'a Object, map: &str) -> impl Iterator<Item = (&'a String, Int)> {
    let map = match content.get(map) {
        Some(Json::Object(map)) => Some(map),
        _ => None,
    };
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key, level(value)?)))
}

/// The same levels as integers, as every version reads them. What is no level says nothing.
fn as_integers(mut content: Object) -> Object {
    for (key, _) in NAMED {
        match content.get(key).map(level) {
            None => {}
            Some(Some(level)) => drop(content.insert(key.to_owned(), Json::Integer(level))),
            Some(None) => drop(content.remove(key)),
        }
    }
    for map in MAPS {
        if content.contains_key(map) {
            let levels = entries(&content, map)
                .filter(|(key, _)| map != "users" || UserId::parse(key.as_str()).is_ok())
                .map(|(key, level)| (key.clone(), Json::Integer(level)))
                .collect();
            content.insert(map.to_owned(), Json::Object(levels));
        }
    }
    content
}

/// Changes one of the maps, which is made if there is none.
fn change_map(content: &mut Object, map: &str, change: impl FnOnce(&mut Object)) {
    let mut levels = match content.remove(map) {
        Some(Json::Object(levels)) => levels,
        _ => Object::new(),
    };
    change(&mut levels);
    content.insert(map.to_owned(), Json::Object(levels));
}

/// The highest level that anything or anybody has.
fn highest(content: &Object) -> Int {
    let levels = NAMED
        .iter()
        .map(|(key, default)| named(content, key, *default));
    let maps = MAPS
        .iter()
        .flat_map(|map| entries(content, map).map(|(_, level)| level));
    levels.chain(maps).max().unwrap_or_default()
}

/// The highest level that any act needs.
fn needed(content: &Object) -> Int {
    let acts = NAMED.iter().filter(|(key, _)| *key != "users_default");
    let levels = acts.map(|(key, default)| named(content, key, *default));
    levels
        .chain(entries(content, "events").map(|(_, level)| level))
        .max()
        .unwrap_or_default()
}

impl Powers<'_> {
    /// The levels of the new room: those of the old one, said as the new version says them.
    ///
    /// Whoever is banned has none, or nobody of their level could ban them.
    pub(super) fn carried_over(mut self) -> NewLevels {
        self.content = as_integers(self.content);
        change_map(&mut self.content, "users", |users| {
            users.retain(|user, _| self.banned.iter().all(|banned| banned != user));
        });
        let rules = &self.new.rules.authorization;
        if rules.explicitly_privilege_room_creators {
            NewLevels {
                first: self.with_creators_above(),
                last: None,
            }
        } else {
            self.with_creators_among()
        }
    }

    /// "Creators MUST NOT be specified in the `users` field", and "the power level for sending
    /// `m.room.tombstone` events MUST explicitly be higher than `state_default`".
    fn with_creators_above(self) -> Object {
        let mut content = self.content;
        let creators = self.additional_creators;
        change_map(&mut content, "users", |users| {
            users.retain(|user, _| {
                user != self.upgrader.as_str() && creators.iter().all(|creator| creator != user)
            });
        });
        let state_default = named(&content, "state_default", 50);
        change_map(&mut content, "events", |events| {
            let tombstone = events.get(TOMBSTONE).and_then(level);
            if tombstone.is_none_or(|tombstone| tombstone <= state_default) {
                let higher = state_default.checked_add(int!(50)).unwrap_or(Int::MAX);
                let higher = Json::Integer(higher.max(int!(150)));
                events.insert(TOMBSTONE.to_owned(), higher);
            }
        });
        content
    }

    /// Levels for a version in which creators are users like others.
    fn with_creators_among(self) -> NewLevels {
        let mut content = self.content;
        let old_rules = &self.old.rules.authorization;
        let top = Json::Integer(highest(&content).max(int!(100)));
        if old_rules.explicitly_privilege_room_creators || !self.had_levels {
            // What they had by their place they now have by their level.
            let creators = self.old_creators.iter().map(ToString::to_string);
            change_map(&mut content, "users", |users| {
                users.extend(creators.map(|user| (user, top.clone())));
            });
        }
        let users_default = named(&content, "users_default", 0);
        let mut needed = needed(&content);
        if !self.banned.is_empty() {
            needed = needed.max(users_default.checked_add(int!(1)).unwrap_or(Int::MAX));
        }
        let own = entries(&content, "users").find(|(user, _)| *user == self.upgrader.as_str());
        let own = own.map_or(users_default, |(_, level)| level);
        if own >= needed {
            return NewLevels {
                first: content,
                last: None,
            };
        }
        // Whoever may end a room need not be allowed all that it takes to make one.
        let mut first = content.clone();
        change_map(&mut first, "users", |users| {
            users.insert(self.upgrader.to_string(), Json::Integer(needed));
        });
        NewLevels {
            first,
            last: Some(content),
        }
    }
}

/// "To prevent sending of events and inviting new users. For example, setting `events_default` and
/// `invite` to the greater of `50` and `users_default + 1`." Nothing is lowered.
pub(crate) fn quieted(mut content: Object) -> Object {
    let users_default = named(&content, "users_default", 0);
    let quiet = users_default
        .checked_add(int!(1))
        .unwrap_or(Int::MAX)
        .max(int!(50));
    for key in ["events_default", "invite"] {
        let raised = named(&content, key, 0).max(quiet);
        content.insert(key.to_owned(), Json::Integer(raised));
    }
    content
}
