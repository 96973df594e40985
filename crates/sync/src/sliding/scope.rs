//! Which rooms a request is about, and how much of each is wanted: its lists and subscriptions.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ruma::events::room::member::MembershipState;

use super::{
    account::UserData,
    answer::ListAnswer,
    facts::Children,
    order::{InOrder, Listed},
    reading::Sliding,
    request::{ExtensionScope, ListFilters, Rule},
    required::Required,
    told::{AsItIs, RoomKey},
};
use crate::{SyncError, index::Identity};

/// How much of a room is wanted by all the rules that it comes under.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) limit: u32,
    pub(crate) required: Arc<Required>,
}

/// A room that a request is about.
#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) listed: Arc<Listed>,
    /// A bit for each list that it is wanted by.
    lists: u128,
    is_subscribed: bool,
    pub(crate) config: Arc<Config>,
}

impl Scoped {
    pub(crate) fn is_in(&self, scope: &ExtensionScope) -> bool {
        self.lists & scope.lists != 0
            || self.is_subscribed && scope.all_subscriptions
            || scope.rooms.contains(&self.listed.room_id)
    }
}

/// The rooms that a request is about.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) rooms: Vec<Scoped>,
    pub(crate) lists: BTreeMap<String, ListAnswer>,
    /// What is wanted of the state of any of them.
    pub(crate) required: Vec<Arc<Required>>,
}

/// Configurations by the rules that they come from, so that rooms share them.
struct Configs<'a> {
    lists: Vec<&'a Rule>,
    /// Configurations that rooms were sent with: an equal one is the same one.
    known: Vec<Arc<Required>>,
    by_rules: HashMap<Key, Arc<Config>>,
    last: Option<(Key, Arc<Config>)>,
}

/// A bit for each list, and of a subscription the limit and the number of the required state.
type Key = (u128, Option<(u32, usize)>);

impl Configs<'_> {
    fn of(&mut self, lists: u128, subscription: Option<&Rule>) -> Arc<Config> {
        let key = (lists, subscription.map(|rule| (rule.limit, rule.number)));
        // Most rooms come under the same rules as the one before.
        if let Some((last, config)) = &self.last
            && *last == key
        {
            return Arc::clone(config);
        }
        let config = match self.by_rules.get(&key) {
            Some(config) => Arc::clone(config),
            None => self.combine(lists, subscription),
        };
        self.by_rules.insert(key, Arc::clone(&config));
        self.last = Some((key, Arc::clone(&config)));
        config
    }

    fn combine(&mut self, lists: u128, subscription: Option<&Rule>) -> Arc<Config> {
        let mut required = Required::default();
        let mut limit = 0;
        let wanted = self.lists.iter().enumerate();
        let wanted = wanted
            .filter(|(number, _)| lists & (1 << number) != 0)
            .map(|(_, rule)| *rule);
        for rule in wanted.chain(subscription) {
            limit = limit.max(rule.limit);
            required.add(&rule.required);
        }
        let known = self.known.iter().find(|known| ***known == required);
        let required = if let Some(known) = known {
            Arc::clone(known)
        } else {
            let required = Arc::new(required);
            self.known.push(Arc::clone(&required));
            required
        };
        Arc::new(Config { limit, required })
    }
}

/// The filters of one list, with what they need to know.
struct Filter<'a> {
    filters: &'a ListFilters,
    data: &'a UserData,
    children: Option<Vec<Children>>,
}

impl Filter<'_> {
    /// Whether it says nothing.
    fn lets_all_through(&self) -> bool {
        *self.filters == ListFilters::default()
    }

    fn lets_through(&self, listed: &Listed) -> bool {
        let filters = self.filters;
        let is = |wanted: Option<bool>, is: &dyn Fn() -> bool| wanted.is_none_or(|it| it == is());
        is(filters.is_invite, &|| {
            listed.membership == MembershipState::Invite
        }) && is(filters.is_dm, &|| {
            self.data.direct.contains(&listed.room_id)
        }) && self.lets_tags_through(listed)
            && self.children.as_ref().is_none_or(|spaces| {
                spaces
                    .iter()
                    .any(|children| children.contains(&listed.room_id))
            })
            && (!filters.ask_for_facts() || self.lets_facts_through(&facts(listed)))
    }

    fn lets_tags_through(&self, listed: &Listed) -> bool {
        let has_one_of = |wanted: &HashSet<String>| {
            let tags = self.data.tags.get(&listed.room_id);
            tags.is_some_and(|tags| !wanted.is_disjoint(tags))
        };
        !self.filters.not_tags.as_ref().is_some_and(has_one_of)
            && self.filters.tags.as_ref().is_none_or(has_one_of)
    }

    fn lets_facts_through(&self, facts: &Identity) -> bool {
        let filters = self.filters;
        filters
            .is_encrypted
            .is_none_or(|wanted| wanted == facts.is_encrypted)
            && filters
                .room_types
                .as_ref()
                .is_none_or(|types| types.contains(&facts.room_type))
            && !filters
                .not_room_types
                .as_ref()
                .is_some_and(|types| types.contains(&facts.room_type))
    }
}

/// What memory knows of a room. It was read just before; if it has changed since, the change wakes
/// the request again.
fn facts(listed: &Listed) -> Arc<Identity> {
    let known = match &listed.room {
        Some(room) => room.last_identity(),
        None => listed.identity.get().cloned(),
    };
    known.unwrap_or_default()
}

impl Sliding<'_> {
    /// The rooms that the request is about, the one where something happened last first.
    pub(super) async fn scope(
        &self,
        in_order: &InOrder,
        data: &UserData,
    ) -> Result<Scope, SyncError> {
        let rules = self.rules;
        if rules.lists.iter().any(|list| list.filters.ask_for_facts()) {
            self.read_identities(in_order).await?;
        }
        let mut wanted_by = vec![0_u128; in_order.len()];
        let mut scope = Scope::default();
        for (number, list) in rules.lists.iter().enumerate() {
            let children = match &list.filters.spaces {
                Some(spaces) => Some(self.children_of(spaces).await?),
                None => None,
            };
            let filter = Filter {
                filters: &list.filters,
                data,
                children,
            };
            if filter.lets_all_through() {
                let count = in_order.len();
                for places in list.places(count) {
                    let wanted = wanted_by.get_mut(places).unwrap_or_default();
                    for wanted_by in wanted {
                        *wanted_by |= 1 << number;
                    }
                }
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                scope.lists.insert(list.name.clone(), ListAnswer { count });
                continue;
            }
            let mut count = 0;
            for (listed, wanted_by) in in_order.iter().zip(&mut wanted_by) {
                if filter.lets_through(listed) {
                    if list.wants_place(count) {
                        *wanted_by |= 1 << number;
                    }
                    count += 1;
                }
            }
            scope.lists.insert(list.name.clone(), ListAnswer { count });
        }
        let mut configs = Configs {
            lists: rules.lists.iter().map(|list| &list.rule).collect(),
            known: self.base.told.elsewhere.required.clone(),
            by_rules: HashMap::new(),
            last: None,
        };
        let subscriptions = rules.subscriptions.iter();
        let subscriptions: HashMap<RoomKey, &Rule, AsItIs> = subscriptions
            .map(|(room_id, rule)| (RoomKey::new(room_id), rule))
            .collect();
        for (listed, lists) in in_order.iter().zip(wanted_by) {
            let subscription = match subscriptions.is_empty() {
                true => None,
                false => subscriptions.get(&listed.key).copied(),
            };
            if lists == 0 && subscription.is_none() {
                continue;
            }
            scope.rooms.push(Scoped {
                listed: Arc::clone(listed),
                lists,
                is_subscribed: subscription.is_some(),
                config: configs.of(lists, subscription),
            });
        }
        scope.required = kept(configs);
        Ok(scope)
    }
}

/// The configurations to keep: those in use, and a few that were lately.
fn kept(configs: Configs<'_>) -> Vec<Arc<Required>> {
    const OLD: usize = 8;
    let used = configs.by_rules.values();
    let used: HashSet<_> = used.map(|config| Arc::as_ptr(&config.required)).collect();
    let (mut kept, mut old): (Vec<_>, Vec<_>) = configs
        .known
        .into_iter()
        .partition(|required| used.contains(&Arc::as_ptr(required)));
    old.truncate(OLD);
    kept.append(&mut old);
    kept
}
