//! Sync filters: inline or stored, compiled, and cached.

use std::sync::Arc;

use greenroom_events::{EventFields, EventFilter, Format};
use greenroom_storage::FilterStore;
use quick_cache::sync::Cache;
use ruma::{
    OwnedUserId, UserId,
    api::client::filter::{EventFormat, Filter, FilterDefinition, RoomEventFilter},
};
use serde_json::value::RawValue;

use crate::SyncError;

/// How many filters one user may store.
const MAX_STORED: u64 = 1000;
/// The largest filter that is taken, in bytes: the size of an event.
const MAX_BYTES: usize = 65_536;
/// The most entries in one list of a filter.
const MAX_ENTRIES: usize = 2000;
/// How deep the values in a filter may be nested; what a filter may say needs four levels.
const MAX_DEPTH: usize = 32;
/// How many compiled filters are kept.
const CACHED: usize = 4096;

/// The filter of one request.
#[derive(Clone, Debug)]
pub enum FilterChoice {
    /// The ID of a stored one.
    Stored(String),
    /// Written out: a JSON object.
    Inline(String),
}

/// A filter made ready for use.
#[derive(Clone, Debug)]
pub struct CompiledFilter {
    pub(crate) timeline: EventFilter,
    pub(crate) state: EventFilter,
    pub(crate) ephemeral: EventFilter,
    pub(crate) room_account_data: EventFilter,
    /// For presence and global account data: types and senders.
    pub(crate) presence: EventFilter,
    pub(crate) account_data: EventFilter,
    /// Which rooms at all.
    pub(crate) rooms: EventFilter,
    pub(crate) include_leave: bool,
    /// Whether unread counts of threads are told apart.
    pub(crate) thread_counts: bool,
    pub(crate) federation_format: bool,
    pub(crate) fields: Option<EventFields>,
}

impl Default for CompiledFilter {
    fn default() -> Self {
        Self::new(&FilterDefinition::default())
    }
}

/// A list of rooms as a filter of its own.
fn room_list(filter: &FilterDefinition) -> RoomEventFilter {
    let mut rooms = RoomEventFilter::default();
    rooms.rooms.clone_from(&filter.room.rooms);
    rooms.not_rooms.clone_from(&filter.room.not_rooms);
    rooms
}

/// A filter that knows no rooms, as one that does.
fn roomless(filter: &Filter) -> RoomEventFilter {
    let mut with_rooms = RoomEventFilter::default();
    with_rooms.types.clone_from(&filter.types);
    with_rooms.not_types.clone_from(&filter.not_types);
    with_rooms.senders.clone_from(&filter.senders);
    with_rooms.not_senders.clone_from(&filter.not_senders);
    with_rooms.limit = filter.limit;
    with_rooms
}

impl CompiledFilter {
    /// Compiles a filter.
    #[must_use]
    pub fn new(filter: &FilterDefinition) -> Self {
        Self {
            timeline: EventFilter::new(&filter.room.timeline),
            state: EventFilter::new(&filter.room.state),
            ephemeral: EventFilter::new(&filter.room.ephemeral),
            room_account_data: EventFilter::new(&filter.room.account_data),
            presence: EventFilter::new(&roomless(&filter.presence)),
            account_data: EventFilter::new(&roomless(&filter.account_data)),
            rooms: EventFilter::new(&room_list(filter)),
            include_leave: filter.room.include_leave,
            thread_counts: filter.room.timeline.unread_thread_notifications,
            federation_format: filter.event_format == EventFormat::Federation,
            fields: filter
                .event_fields
                .as_ref()
                .map(|paths| EventFields::new(paths.iter().map(String::as_str))),
        }
    }

    /// Whether members are lazy-loaded, and those who are known are not wanted again.
    pub(crate) fn leaves_out_redundant_members(&self) -> bool {
        self.state.lazy_load().is_some_and(|lazy| !lazy.redundant)
    }

    /// The shape of events for a request that would get `otherwise` without this filter.
    pub(crate) fn format(&self, otherwise: Format) -> Format {
        if self.federation_format {
            Format::FEDERATION
        } else {
            otherwise
        }
    }
}

/// How deep the arrays and objects of a JSON text are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads a filter, refusing what no client means.
///
/// # Errors
///
/// [`SyncError::BadFilter`].
fn parse(json: &str) -> Result<FilterDefinition, SyncError> {
    if json.len() > MAX_BYTES {
        return Err(SyncError::BadFilter(format!(
            "it is larger than {MAX_BYTES} bytes"
        )));
    }
    if depth(json) > MAX_DEPTH {
        return Err(SyncError::BadFilter(format!(
            "it is nested more than {MAX_DEPTH} deep"
        )));
    }
    let filter: FilterDefinition =
        serde_json::from_str(json).map_err(|error| SyncError::BadFilter(error.to_string()))?;
    let room = &filter.room;
    let lists = [
        &room.timeline,
        &room.state,
        &room.ephemeral,
        &room.account_data,
    ];
    let of_rooms = lists.iter().flat_map(|list| {
        [
            list.types.as_ref().map_or(0, Vec::len),
            list.not_types.len(),
            list.senders.as_ref().map_or(0, Vec::len),
            list.not_senders.len(),
            list.rooms.as_ref().map_or(0, Vec::len),
            list.not_rooms.len(),
        ]
    });
    let of_users = [&filter.presence, &filter.account_data];
    let of_users = of_users.into_iter().flat_map(|list| {
        [
            list.types.as_ref().map_or(0, Vec::len),
            list.not_types.len(),
            list.senders.as_ref().map_or(0, Vec::len),
            list.not_senders.len(),
        ]
    });
    let of_all = [
        room.rooms.as_ref().map_or(0, Vec::len),
        room.not_rooms.len(),
        filter.event_fields.as_ref().map_or(0, Vec::len),
    ];
    let longest = of_rooms.chain(of_users).chain(of_all).max();
    if longest.is_some_and(|longest| longest > MAX_ENTRIES) {
        return Err(SyncError::BadFilter(format!(
            "a list has more than {MAX_ENTRIES} entries"
        )));
    }
    Ok(filter)
}

/// Stored filters, and compiled ones in memory.
pub(crate) struct Filters {
    store: Arc<dyn FilterStore>,
    compiled: Cache<(OwnedUserId, String), Arc<CompiledFilter>>,
    none: Arc<CompiledFilter>,
}

impl Filters {
    pub(crate) fn new(store: Arc<dyn FilterStore>) -> Self {
        Self {
            store,
            compiled: Cache::new(CACHED),
            none: Arc::default(),
        }
    }

    /// The filter of a request.
    pub(crate) async fn compiled(
        &self,
        user_id: &UserId,
        choice: Option<&FilterChoice>,
    ) -> Result<Arc<CompiledFilter>, SyncError> {
        let Some(FilterChoice::Stored(text) | FilterChoice::Inline(text)) = choice else {
            return Ok(Arc::clone(&self.none));
        };
        // An ID never begins with a brace and an inline filter always does, so that one key
        // serves both. Stored filters do not change.
        let key = (user_id.to_owned(), text.clone());
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(compiled);
        }
        let filter = match choice {
            Some(FilterChoice::Stored(id)) => {
                let stored = self.store.filter(user_id, id).await?;
                parse(stored.ok_or(SyncError::NoSuchFilter)?.get())?
            }
            _ => parse(text)?,
        };
        let compiled = Arc::new(CompiledFilter::new(&filter));
        self.compiled.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    pub(crate) async fn store(
        &self,
        user_id: &UserId,
        filter: Box<RawValue>,
    ) -> Result<String, SyncError> {
        parse(filter.get())?;
        let stored = self.store.store_filter(user_id, filter, MAX_STORED).await?;
        stored.ok_or(SyncError::TooManyFilters)
    }

    pub(crate) async fn read(
        &self,
        user_id: &UserId,
        filter_id: &str,
    ) -> Result<Box<RawValue>, SyncError> {
        self.store
            .filter(user_id, filter_id)
            .await?
            .ok_or(SyncError::NoSuchFilter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b42_filter_bombs_and_wrong_types_are_refused() {
        let many: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        let many = serde_json::json!({ "room": { "timeline": { "types": many } } }).to_string();
        let large = format!(r#"{{"x":"{}"}}"#, "y".repeat(MAX_BYTES));
        let senders = r#"{"room":{"timeline":{"senders":["no id"]}}}"#;
        for bad in [
            r#"{"room":1}"#,
            r#"{"room":{"timeline":{"types":"m"}}}"#,
            "[]",
            "1",
            senders,
        ] {
            assert!(matches!(parse(bad), Err(SyncError::BadFilter(_))), "{bad}");
        }
        assert!(parse(&many).is_err());
        assert!(parse(&large).is_err());
        let nested = format!("{}1{}", r#"{"x":"#.repeat(40), "}".repeat(40));
        assert!(parse(&nested).is_err());
        let braces = format!(r#"{{"x":"\"{}"}}"#, "{".repeat(40));
        assert!(
            parse(&braces).is_ok(),
            "in a string they are only characters"
        );
        assert!(parse(r#"{"room":{"timeline":{"limit":1}}}"#).is_ok());
    }
}
