//! Which of a room's state a client wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use greenroom_model::{StateKey, StoredEvent};
use ruma::UserId;

const MEMBER: &str = "m.room.member";
const ANY: &str = "*";
const ME: &str = "$ME";
const LAZY: &str = "$LAZY";

/// One `required_state`.
///
/// Its entries add up. Beside `["*", "*"]` they take away instead: of a type that one of them
/// names, only the keys that are named are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequiredState {
    everything: bool,
    /// Members are wanted where they speak, or change.
    lazy: bool,
    types: BTreeSet<String>,
    keys: BTreeSet<String>,
    places: BTreeMap<String, BTreeSet<String>>,
}

impl RequiredState {
    /// How much memory it takes, roughly.
    fn bytes(&self) -> usize {
        /// What a string takes beside what it says.
        const STRING: usize = 64;
        let places = self.places.values().flatten().chain(self.places.keys());
        let all = self.types.iter().chain(&self.keys).chain(places);
        size_of::<Self>() + all.map(|it| it.len() + STRING).sum::<usize>()
    }

    pub(crate) fn new(entries: &[(String, String)], reader: &UserId) -> Self {
        let mut required = Self::default();
        for (event_type, state_key) in entries {
            match (event_type.as_str(), state_key.as_str()) {
                (ANY, ANY) => required.everything = true,
                (MEMBER, LAZY) => required.lazy = true,
                (_, ANY) => {
                    required.types.insert(event_type.clone());
                }
                (ANY, key) => {
                    let key = if key == ME { reader.as_str() } else { key };
                    required.keys.insert(key.to_owned());
                }
                (_, key) => {
                    let key = if key == ME { reader.as_str() } else { key };
                    let keys = required.places.entry(event_type.clone()).or_default();
                    keys.insert(key.to_owned());
                }
            }
        }
        required
    }

    /// Whether it wants some of this type only, although it wants everything.
    fn narrows(&self, event_type: &str) -> bool {
        self.places.contains_key(event_type) || self.lazy && event_type == MEMBER
    }

    fn wants_all_of(&self, event_type: &str) -> bool {
        self.types.contains(event_type) || self.everything && !self.narrows(event_type)
    }

    fn wants(&self, event_type: &str, state_key: &str) -> bool {
        self.wants_all_of(event_type)
            || self.keys.contains(state_key)
            || self
                .places
                .get(event_type)
                .is_some_and(|keys| keys.contains(state_key))
    }
}

/// What all the rules together want that a room comes under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Required(Vec<Arc<RequiredState>>);

impl Required {
    pub(crate) fn add(&mut self, rule: &Arc<RequiredState>) {
        if !self.0.iter().any(|known| known == rule) {
            self.0.push(Arc::clone(rule));
        }
    }

    /// How much memory they take, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|rule| rule.bytes()).sum()
    }

    /// Whether members are wanted where they speak, or change.
    pub(crate) fn is_lazy(&self) -> bool {
        self.0.iter().any(|rule| rule.lazy)
    }

    pub(crate) fn wants(&self, event: &StoredEvent) -> bool {
        event
            .state_key
            .as_deref()
            .is_some_and(|state_key| self.wants_place(&event.event_type, state_key))
    }

    fn wants_place(&self, event_type: &str, state_key: &str) -> bool {
        self.0.iter().any(|rule| rule.wants(event_type, state_key))
    }

    /// Whether all members are wanted.
    pub(crate) fn wants_all_members(&self) -> bool {
        self.0.iter().any(|rule| rule.wants_all_of(MEMBER))
    }

    /// The places that are wanted, if they can be named.
    pub(crate) fn places(&self) -> Option<Vec<StateKey>> {
        let mut places = BTreeSet::new();
        for rule in &self.0 {
            if rule.everything || !rule.types.is_empty() || !rule.keys.is_empty() {
                return None;
            }
            places.extend(rule.named());
        }
        Some(places.into_iter().collect())
    }

    /// The members that are wanted by their ID.
    pub(crate) fn members(&self) -> Vec<StateKey> {
        let named = self.0.iter().flat_map(|rule| {
            let keys = rule.keys.iter().cloned();
            let members = rule.places.get(MEMBER).into_iter().flatten().cloned();
            keys.chain(members)
        });
        let named: BTreeSet<String> = named.collect();
        named
            .into_iter()
            .map(|user| (MEMBER.to_owned(), user))
            .collect()
    }

    /// Whether everything that this wants is in what `known` wants.
    pub(crate) fn is_within(&self, known: &Self) -> bool {
        self.0.iter().all(|rule| {
            known.0.iter().any(|it| it == rule)
                || !rule.everything
                    && (!rule.lazy || known.is_lazy())
                    && rule
                        .types
                        .iter()
                        .all(|it| known.0.iter().any(|known| known.wants_all_of(it)))
                    && rule
                        .keys
                        .iter()
                        .all(|it| known.0.iter().any(|known| known.keys.contains(it)))
                    && rule
                        .named()
                        .all(|(event_type, state_key)| known.wants_place(&event_type, &state_key))
        })
    }
}

impl RequiredState {
    fn named(&self) -> impl Iterator<Item = StateKey> {
        self.places
            .iter()
            .flat_map(|(event_type, keys)| keys.iter().map(|key| (event_type.clone(), key.clone())))
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn rule(entries: &[(&str, &str)]) -> Arc<RequiredState> {
        let entries: Vec<_> = entries
            .iter()
            .map(|(event_type, key)| ((*event_type).to_owned(), (*key).to_owned()))
            .collect();
        Arc::new(RequiredState::new(&entries, user_id!("@me:b")))
    }

    fn required(entries: &[(&str, &str)]) -> Required {
        Required(vec![rule(entries)])
    }

    #[test]
    fn entries_add_up_and_stars_stand_for_any() {
        let required = required(&[
            ("m.room.name", ""),
            ("m.space.child", "*"),
            ("*", "@you:b"),
            (MEMBER, "$ME"),
        ]);
        for (event_type, key) in [
            ("m.room.name", ""),
            ("m.space.child", "!a:b"),
            ("x", "@you:b"),
            (MEMBER, "@me:b"),
            (MEMBER, "@you:b"),
        ] {
            assert!(required.wants_place(event_type, key), "{event_type} {key}");
        }
        for (event_type, key) in [("m.room.name", "x"), ("m.room.topic", ""), (MEMBER, "@a:b")] {
            assert!(!required.wants_place(event_type, key), "{event_type} {key}");
        }
        assert_eq!(required.places(), None);
    }

    #[test]
    fn beside_everything_an_entry_leaves_out_what_else_its_type_has() {
        let required = required(&[("*", "*"), (MEMBER, "$LAZY"), (MEMBER, "$ME"), ("x", "1")]);
        assert!(required.is_lazy() && !required.wants_all_members());
        for (event_type, key, wanted) in [
            ("m.room.name", "", true),
            (MEMBER, "@me:b", true),
            (MEMBER, "@you:b", false),
            ("x", "1", true),
            ("x", "2", false),
        ] {
            assert_eq!(
                required.wants_place(event_type, key),
                wanted,
                "{event_type} {key}"
            );
        }
        let needless = super::tests::required(&[("*", "*"), ("x", "*")]);
        assert!(needless.wants_place("x", "2") && needless.wants_all_members());
    }

    #[test]
    fn of_several_rules_each_is_taken_by_itself() {
        let mut both = required(&[("*", "*"), (MEMBER, "$LAZY")]);
        both.add(&rule(&[(MEMBER, "@you:b")]));
        both.add(&rule(&[(MEMBER, "@you:b")]));
        assert_eq!(both.0.len(), 2);
        assert!(both.wants_place(MEMBER, "@you:b"));
        assert!(!both.wants_place(MEMBER, "@a:b"));
        assert_eq!(
            both.members(),
            [(MEMBER.to_owned(), "@you:b".to_owned())],
            "those that are named"
        );
    }

    #[test]
    fn what_is_within_what_was_wanted_before_needs_no_second_look() {
        let name = required(&[("m.room.name", "")]);
        let topic = required(&[("m.room.name", ""), ("m.room.topic", "")]);
        let lazy = required(&[("m.room.name", ""), (MEMBER, "$LAZY")]);
        let everything = required(&[("*", "*")]);
        let but_members = required(&[("*", "*"), (MEMBER, "$LAZY")]);
        for (one, other, within) in [
            (&name, &name, true),
            (&name, &topic, true),
            (&topic, &name, false),
            (&lazy, &name, false),
            (&name, &lazy, true),
            (&topic, &everything, true),
            (&everything, &topic, false),
            (&but_members, &everything, false),
            (&everything, &but_members, false),
            (&lazy, &but_members, true),
        ] {
            assert_eq!(one.is_within(other), within, "{one:?} {other:?}");
        }
    }
}
