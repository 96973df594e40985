//! What a client asks of sliding sync: its shape, and its limits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use ruma::{OwnedRoomId, UserId};
use serde::Deserialize;

use super::required::RequiredState;
use crate::SyncError;

/// How many lists one request may have.
const MAX_LISTS: usize = 100;
/// How many ranges one list may have.
const MAX_RANGES: usize = 100;
/// How many rooms one request may subscribe to.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// How many places of the state one list or subscription may ask for.
const MAX_REQUIRED: usize = 256;
/// How many of them all lists and subscriptions may ask for, equal ones counted once.
const MAX_REQUIRED_IN_ALL: usize = 2_000;
/// How many values one entry of a filter or of the scope of an extension may have.
const MAX_VALUES: usize = 1_000;
/// How many values the filters of all lists may have: every room is held against them.
const MAX_VALUES_IN_ALL: usize = 1_000;
/// The longest name of a connection, a list or a transaction, and the longest type or state key,
/// in bytes.
const MAX_NAME: usize = 255;
/// The most events of a room in one answer.
pub(crate) const MAX_TIMELINE: u32 = 100;

/// The body of a request. What is not known here is ignored: extensions that are not served are
/// not answered.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlidingBody {
    conn_id: Option<String>,
    txn_id: Option<String>,
    #[serde(default)]
    lists: BTreeMap<String, List>,
    #[serde(default)]
    room_subscriptions: BTreeMap<OwnedRoomId, Subscription>,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Clone, Debug, Deserialize)]
struct List {
    /// First and last place, both inclusive. Without any, all rooms are in the list.
    ranges: Option<Vec<(u64, u64)>>,
    #[serde(default)]
    required_state: Vec<(String, String)>,
    timeline_limit: u64,
    filters: Option<ListFilters>,
}

#[derive(Clone, Debug, Deserialize)]
struct Subscription {
    #[serde(default)]
    required_state: Vec<(String, String)>,
    timeline_limit: u64,
}

/// Which rooms are in a list: those of which all that is said here is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ListFilters {
    pub(crate) is_dm: Option<bool>,
    pub(crate) is_encrypted: Option<bool>,
    #[serde(alias = "is_invited")]
    pub(crate) is_invite: Option<bool>,
    pub(crate) spaces: Option<BTreeSet<OwnedRoomId>>,
    /// `None` in it stands for rooms without a type.
    pub(crate) room_types: Option<HashSet<Option<String>>>,
    pub(crate) not_room_types: Option<HashSet<Option<String>>>,
    pub(crate) tags: Option<HashSet<String>>,
    pub(crate) not_tags: Option<HashSet<String>>,
}

/// What is wanted beside rooms.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Extensions {
    #[serde(default)]
    pub(crate) to_device: ToDevice,
    #[serde(default)]
    pub(crate) e2ee: Switch,
    #[serde(default)]
    account_data: RoomExtension,
    #[serde(default)]
    receipts: RoomExtension,
    #[serde(default)]
    typing: RoomExtension,
}

/// An extension that is on or off.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Switch {
    enabled: Option<bool>,
}

impl Switch {
    pub(crate) fn is_on(self) -> bool {
        self.enabled == Some(true)
    }
}

/// Messages to the device. `limit` and `since` are read for their shape.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ToDevice {
    enabled: Option<bool>,
    #[serde(rename = "limit")]
    _limit: Option<u64>,
    #[serde(rename = "since")]
    _since: Option<String>,
}

impl ToDevice {
    pub(crate) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}

/// An extension about rooms, and which of them.
#[derive(Clone, Debug, Default, Deserialize)]
struct RoomExtension {
    enabled: Option<bool>,
    lists: Option<Vec<String>>,
    rooms: Option<Vec<String>>,
}

/// For which rooms of an answer an extension is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtensionScope {
    /// A bit for each list.
    pub(crate) lists: u128,
    pub(crate) all_subscriptions: bool,
    pub(crate) rooms: HashSet<OwnedRoomId>,
}

/// How much of a room is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) limit: u32,
    /// Equal required states have the same number.
    pub(crate) number: usize,
    pub(crate) required: Arc<RequiredState>,
}

/// One list of a request.
#[derive(Clone, Debug)]
pub(crate) struct ListRule {
    pub(crate) name: String,
    ranges: Option<Vec<(u64, u64)>>,
    pub(crate) filters: ListFilters,
    pub(crate) rule: Rule,
}

impl ListRule {
    /// Whether the room in this place, counted from 0, is wanted.
    pub(crate) fn wants_place(&self, place: u64) -> bool {
        self.ranges.as_ref().is_none_or(|ranges| {
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&place))
        })
    }

    /// The wanted ones of so many places.
    pub(crate) fn places(&self, count: usize) -> Vec<Range<usize>> {
        let Some(ranges) = &self.ranges else {
            return std::iter::once(0..count).collect();
        };
        let place = |place: u64| usize::try_from(place).map_or(count, |place| place.min(count));
        let ranges = ranges.iter();
        ranges
            .map(|(first, last)| place(*first)..place(last.saturating_add(1)))
            .collect()
    }
}

/// A request that was checked and made ready for use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) conn_id: String,
    pub(crate) txn_id: Option<String>,
    pub(crate) lists: Vec<ListRule>,
    pub(crate) subscriptions: HashMap<OwnedRoomId, Rule>,
    pub(crate) to_device: bool,
    pub(crate) e2ee: bool,
    pub(crate) account_data: Option<ExtensionScope>,
    pub(crate) receipts: Option<ExtensionScope>,
    pub(crate) typing: Option<ExtensionScope>,
}

fn bad(what: impl Into<String>) -> SyncError {
    SyncError::BadRequest(what.into())
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), SyncError> {
    match count > max {
        true => Err(bad(format!("there are more than {max} {what}"))),
        false => Ok(()),
    }
}

fn name(what: &str, name: &str) -> Result<(), SyncError> {
    match name.len() > MAX_NAME {
        true => Err(bad(format!("{what} is longer than {MAX_NAME} bytes"))),
        false => Ok(()),
    }
}

/// A `required_state` as it is written: types and state keys.
type Entries = Vec<(String, String)>;

/// Required states by what they ask for, so that equal ones are kept once.
struct Interned<'a> {
    reader: &'a UserId,
    known: HashMap<Entries, (usize, Arc<RequiredState>)>,
    entries: usize,
}

impl Interned<'_> {
    fn rule(&mut self, timeline_limit: u64, required: Entries) -> Result<Rule, SyncError> {
        let limit = u32::try_from(timeline_limit).unwrap_or(u32::MAX);
        let limit = limit.min(MAX_TIMELINE);
        if let Some((number, known)) = self.known.get(&required) {
            return Ok(Rule {
                limit,
                number: *number,
                required: Arc::clone(known),
            });
        }
        at_most("entries in a required_state", required.len(), MAX_REQUIRED)?;
        for (event_type, state_key) in &required {
            name("a type in required_state", event_type)?;
            name("a state key in required_state", state_key)?;
        }
        self.entries += required.len();
        at_most(
            "entries in all required_state",
            self.entries,
            MAX_REQUIRED_IN_ALL,
        )?;
        let compiled = Arc::new(RequiredState::new(&required, self.reader));
        let number = self.known.len();
        self.known.insert(required, (number, Arc::clone(&compiled)));
        Ok(Rule {
            limit,
            number,
            required: compiled,
        })
    }
}

/// Checks ranges. One that ends before it begins is a mistake; one that reaches beyond the last
/// room, or into another, is not.
fn ranges(ranges: Option<Vec<(u64, u64)>>) -> Result<Option<Vec<(u64, u64)>>, SyncError> {
    let Some(ranges) = ranges else {
        return Ok(None);
    };
    at_most("ranges in a list", ranges.len(), MAX_RANGES)?;
    match ranges.iter().any(|(first, last)| first > last) {
        true => Err(bad("a range ends before it begins")),
        false => Ok(Some(ranges)),
    }
}

impl ListFilters {
    /// Checks them; gives how many values they have.
    fn check(&self) -> Result<usize, SyncError> {
        let types = [&self.room_types, &self.not_room_types];
        let tags = [&self.tags, &self.not_tags];
        let counts = types
            .into_iter()
            .map(|types| types.as_ref().map_or(0, HashSet::len))
            .chain(
                tags.into_iter()
                    .map(|tags| tags.as_ref().map_or(0, HashSet::len)),
            )
            .chain([self.spaces.as_ref().map_or(0, BTreeSet::len)]);
        let mut values = 0;
        for count in counts {
            at_most("values in a filter", count, MAX_VALUES)?;
            values += count;
        }
        Ok(values)
    }

    /// Whether they ask for anything that is in the state of the rooms.
    pub(crate) fn ask_for_facts(&self) -> bool {
        self.is_encrypted.is_some() || self.room_types.is_some() || self.not_room_types.is_some()
    }
}

impl RoomExtension {
    fn scope(self, lists: &[ListRule]) -> Result<Option<ExtensionScope>, SyncError> {
        if self.enabled != Some(true) {
            return Ok(None);
        }
        let wanted = |name: &str| {
            self.lists
                .as_ref()
                .is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name))
        };
        let mut scope = ExtensionScope {
            all_subscriptions: self.rooms.is_none(),
            ..ExtensionScope::default()
        };
        at_most(
            "lists of an extension",
            self.lists.as_ref().map_or(0, Vec::len),
            MAX_VALUES,
        )?;
        for (number, list) in lists.iter().enumerate() {
            if wanted(&list.name) {
                scope.lists |= 1 << number;
            }
        }
        let rooms = self.rooms.unwrap_or_default();
        at_most("rooms of an extension", rooms.len(), MAX_VALUES)?;
        for room in rooms {
            if room == "*" {
                scope.all_subscriptions = true;
                continue;
            }
            let room = OwnedRoomId::try_from(room)
                .map_err(|_| bad("a room of an extension is not a room ID"))?;
            scope.rooms.insert(room);
        }
        Ok(Some(scope))
    }
}

impl SlidingBody {
    /// Checks what only has limits here, and makes it ready for use.
    pub(crate) fn compile(self, reader: &UserId) -> Result<Rules, SyncError> {
        let conn_id = self.conn_id.unwrap_or_default();
        name("conn_id", &conn_id)?;
        name("txn_id", self.txn_id.as_deref().unwrap_or_default())?;
        at_most("lists", self.lists.len(), MAX_LISTS)?;
        at_most(
            "room_subscriptions",
            self.room_subscriptions.len(),
            MAX_SUBSCRIPTIONS,
        )?;
        let mut interned = Interned {
            reader,
            known: HashMap::new(),
            entries: 0,
        };
        let mut lists = Vec::with_capacity(self.lists.len());
        let mut values = 0;
        for (list_name, list) in self.lists {
            name("the name of a list", &list_name)?;
            let filters = list.filters.unwrap_or_default();
            values += filters.check()?;
            at_most("values in all filters", values, MAX_VALUES_IN_ALL)?;
            lists.push(ListRule {
                name: list_name,
                ranges: ranges(list.ranges)?,
                filters,
                rule: interned.rule(list.timeline_limit, list.required_state)?,
            });
        }
        let mut subscriptions = HashMap::with_capacity(self.room_subscriptions.len());
        for (room_id, wanted) in self.room_subscriptions {
            let rule = interned.rule(wanted.timeline_limit, wanted.required_state)?;
            subscriptions.insert(room_id, rule);
        }
        let extensions = self.extensions;
        Ok(Rules {
            conn_id,
            txn_id: self.txn_id,
            to_device: extensions.to_device.is_on(),
            e2ee: extensions.e2ee.is_on(),
            account_data: extensions.account_data.scope(&lists)?,
            receipts: extensions.receipts.scope(&lists)?,
            typing: extensions.typing.scope(&lists)?,
            lists,
            subscriptions,
        })
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::{Value, json};

    use super::*;

    fn compile(body: Value) -> Result<Rules, String> {
        let body: SlidingBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        body.compile(user_id!("@alice:localhost"))
            .map_err(|error| error.to_string())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is written where it is given away"
    )]
    fn list(list: Value) -> Value {
        json!({"lists": {"all": list}})
    }

    #[test]
    fn b02_numbers_that_are_none_are_refused_and_large_ones_clamped() {
        for limit in [json!(-1), json!(1.5), json!("1"), json!(null), json!([])] {
            assert!(
                compile(list(json!({"timeline_limit": limit}))).is_err(),
                "{limit}"
            );
        }
        let large = compile(list(json!({"timeline_limit": 1_u64 << 53}))).unwrap();
        assert_eq!(large.lists[0].rule.limit, MAX_TIMELINE);
        assert!(compile(list(json!({}))).is_err(), "a limit is required");
    }

    #[test]
    fn ranges_are_inclusive_may_overlap_and_not_be_inverted() {
        let ranges = |ranges: Value| compile(list(json!({"timeline_limit": 1, "ranges": ranges})));
        let rules = ranges(json!([[0, 1], [1, 3], [9, u64::MAX]])).unwrap();
        let places = [0, 1, 2, 3, 4, 8, 9, 10].map(|place| rules.lists[0].wants_place(place));
        assert_eq!(
            places,
            [true, true, true, true, false, false, true, true],
            "{rules:?}"
        );
        assert_eq!(rules.lists[0].places(3), [0..2, 1..3, 3..3]);
        assert_eq!(rules.lists[0].places(10), [0..2, 1..4, 9..10]);
        assert!(!ranges(json!([])).unwrap().lists[0].wants_place(0));
        let all = compile(list(json!({"timeline_limit": 1}))).unwrap();
        assert!(all.lists[0].wants_place(5_000), "no ranges are no limit");
        for wrong in [
            json!([[3, 2]]),
            json!([[0]]),
            json!([[0, 1, 2]]),
            json!([[-1, 2]]),
            json!([0, 1]),
            json!("all"),
            json!(vec![[0, 1]; MAX_RANGES + 1]),
        ] {
            assert!(ranges(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn b42_too_much_of_anything_is_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        let rule = json!({"timeline_limit": 1});
        let lists: serde_json::Map<_, _> = (0..=MAX_LISTS)
            .map(|n| (n.to_string(), rule.clone()))
            .collect();
        let rooms: serde_json::Map<_, _> = (0..=MAX_SUBSCRIPTIONS)
            .map(|n| (format!("!{n}:localhost"), rule.clone()))
            .collect();
        let places = |from: usize, count: usize| -> Vec<(String, String)> {
            (from..from + count)
                .map(|n| (n.to_string(), String::new()))
                .collect()
        };
        let values = |name: &str, count: usize| -> Vec<String> {
            (0..count).map(|n| format!("{name}{n}")).collect()
        };
        let filtered: serde_json::Map<_, _> = (0..=20)
            .map(|n| {
                let filters = json!({"tags": values("x", MAX_VALUES_IN_ALL / 20)});
                (
                    n.to_string(),
                    json!({"timeline_limit": 1, "filters": filters}),
                )
            })
            .collect();
        let many: serde_json::Map<_, _> = (0..9)
            .map(|n| {
                let required = places(n * MAX_REQUIRED, MAX_REQUIRED);
                let list = json!({"timeline_limit": 1, "required_state": required});
                (n.to_string(), list)
            })
            .collect();
        let required = |required: Vec<(String, String)>| {
            list(json!({"timeline_limit": 1, "required_state": required}))
        };
        for wrong in [
            json!({"conn_id": long}),
            json!({"txn_id": long}),
            json!({"lists": lists}),
            json!({"lists": {long.clone(): rule}}),
            json!({"room_subscriptions": rooms}),
            json!({"room_subscriptions": {"room": rule}}),
            json!({"lists": many}),
            json!({"lists": filtered}),
            required(places(0, MAX_REQUIRED + 1)),
            required(vec![(long.clone(), String::new())]),
            required(vec![(String::new(), long.clone())]),
            list(json!({"timeline_limit": 1, "filters": {"tags": values("x", MAX_VALUES + 1)}})),
            json!({"extensions": {"typing": {"enabled": true, "rooms": ["no room"]}}}),
            json!({"extensions": {"typing": {"enabled": true, "lists": vec!["x"; MAX_VALUES + 1]}}}),
        ] {
            assert!(compile(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn b02_wrong_types_are_refused_everywhere() {
        for wrong in [
            json!({"conn_id": 1}),
            json!({"txn_id": {}}),
            json!({"lists": []}),
            json!({"room_subscriptions": []}),
            json!({"extensions": 1}),
            json!({"extensions": {"e2ee": 1}}),
            json!({"extensions": {"e2ee": {"enabled": "yes"}}}),
            json!({"extensions": {"to_device": {"since": 1}}}),
            json!({"extensions": {"to_device": {"limit": -1}}}),
            json!({"extensions": {"typing": {"lists": "all"}}}),
            list(json!({"timeline_limit": 1, "required_state": [["m.room.name"]]})),
            list(json!({"timeline_limit": 1, "required_state": {"include": [{}]}})),
            list(json!({"timeline_limit": 1, "filters": {"is_dm": 1}})),
            list(json!({"timeline_limit": 1, "filters": {"spaces": ["no room"]}})),
            list(json!({"timeline_limit": 1, "filters": []})),
        ] {
            assert!(compile(wrong.clone()).is_err(), "{wrong}");
        }
        let unknown = json!({"extensions": {"of.the.future": [1]}, "more": 1});
        assert!(compile(unknown).is_ok());
    }

    #[test]
    fn an_extension_is_for_all_lists_and_subscriptions_unless_it_says_for_which() {
        let scope = |extension: Value| {
            let rule = json!({"timeline_limit": 1});
            let body = json!({
                "lists": {"a": rule, "b": rule},
                "extensions": {"receipts": extension},
            });
            compile(body).unwrap().receipts
        };
        assert!(scope(json!({})).is_none());
        assert!(scope(json!({"enabled": false})).is_none());
        let all = scope(json!({"enabled": true})).unwrap();
        assert_eq!((all.lists, all.all_subscriptions), (0b11, true));
        let some = json!({"enabled": true, "lists": ["b", "c"], "rooms": ["!x:localhost"]});
        let some = scope(some).unwrap();
        assert_eq!((some.lists, some.all_subscriptions), (0b10, false));
        assert_eq!(some.rooms.len(), 1);
        let stars = scope(json!({"enabled": true, "lists": [], "rooms": ["*"]})).unwrap();
        assert_eq!((stars.lists, stars.all_subscriptions), (0, true));
    }
}
