//! What a search answers: a page of its hits, with what is around them.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_events::{EventFilter, Format};
use greenroom_model::StreamPosition;
use greenroom_search::{Query, hash, texts};
use greenroom_storage::Direction;
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::{ContextWanted, Cursor, Doors, GroupBy, Hit, SearchRequest, Window, limit};
use crate::{
    EventView, Reader, RoomError, Rooms,
    history::{Access, Wanted},
};

/// How many words are named for highlighting at most.
const MAX_HIGHLIGHTS: usize = 100;
/// How many events around a result are shown on each side at most.
const MAX_CONTEXT: u64 = 50;

/// A page of results.
#[derive(Clone, Debug, Default)]
pub struct SearchResults {
    /// How many there are, as far as this page has looked.
    pub count: u64,
    /// Words to highlight, as they are written in the results.
    pub highlights: Vec<String>,
    /// The results.
    pub results: Vec<SearchResult>,
    /// The state of their rooms, if it was wanted.
    pub state: Option<BTreeMap<OwnedRoomId, Vec<EventView>>>,
    /// The groups that were wanted: of each kind by their keys.
    pub groups: BTreeMap<GroupBy, BTreeMap<String, Group>>,
    /// Where the next page begins, if there may be one.
    pub next_batch: Option<String>,
}

/// One result.
#[derive(Clone, Debug)]
pub struct SearchResult {
    /// How well it fits.
    pub rank: f32,
    /// The event.
    pub event: EventView,
    /// What is around it, if it was wanted.
    pub context: Option<ResultContext>,
}

/// What is around a result.
#[derive(Clone, Debug)]
pub struct ResultContext {
    /// Where to go on backwards.
    pub start: String,
    /// Where to go on forwards.
    pub end: String,
    /// What came before it, newest first.
    pub before: Vec<EventView>,
    /// What came after it, oldest first.
    pub after: Vec<EventView>,
    /// Who the senders were then, by their user IDs, if it was wanted.
    pub profiles: Option<BTreeMap<String, Profile>>,
}

/// What a member event says of a user.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Their display name.
    pub displayname: Option<String>,
    /// Their avatar.
    pub avatar_url: Option<String>,
}

/// Some results that have something in common.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Which of the groups comes first, from 1.
    pub order: u64,
    /// The IDs of the results of the page that are in it.
    pub results: Vec<String>,
    /// Where the next page of this group begins, if there may be one.
    pub next_batch: Option<String>,
}

impl Rooms {
    /// The page at the cursor, of a window's hits.
    pub(super) async fn results(
        &self,
        reader: &Reader,
        wanted: &SearchRequest,
        query: &Query,
        cursor: Cursor,
        window: Window,
        doors: &Doors,
    ) -> Result<SearchResults, RoomError> {
        let Window { hits, bottom } = window;
        let count = hits.len() as u64;
        let rest: Vec<Hit> = hits
            .into_iter()
            .filter(|hit| cursor.is_before(hit))
            .collect();
        let size = usize::try_from(limit(wanted)).unwrap_or(usize::MAX);
        let (page, later) = rest.split_at(rest.len().min(size));
        let seal = |cursor: Cursor| cursor.seal(&self.parts().tokens, &reader.user_id);
        let has_before = bottom > StreamPosition(1);
        let mut results = SearchResults {
            count,
            next_batch: match page.last() {
                Some(last) if !later.is_empty() => Some(seal(cursor.behind(last, bottom))),
                _ => has_before.then(|| seal(cursor.older_than(bottom))),
            },
            ..SearchResults::default()
        };
        let mut highlights = BTreeSet::new();
        for hit in page {
            for text in texts(&hit.event).iter().flat_map(|(_, texts)| texts) {
                query.highlight(text, &mut highlights);
            }
            let Some(access) = doors.get(&hit.event.room_id).and_then(Option::as_ref) else {
                continue;
            };
            results
                .results
                .push(self.result(reader, access, hit, wanted.context).await?);
        }
        results.highlights = highlights.into_iter().take(MAX_HIGHLIGHTS).collect();
        for by in &wanted.group_by {
            let mut groups: BTreeMap<String, Group> = BTreeMap::new();
            for hit in page {
                let place = groups.len() as u64 + 1;
                let group = groups.entry(by.of(&hit.event).to_owned()).or_default();
                if group.results.is_empty() {
                    group.order = place;
                }
                group.results.push(hit.event.event_id.to_string());
                let within = cursor.within(*by, hash(by.of(&hit.event)));
                let more = later
                    .iter()
                    .any(|other| by.of(&other.event) == by.of(&hit.event));
                let next = if more {
                    Some(within.behind(hit, bottom))
                } else {
                    has_before.then(|| within.older_than(bottom))
                };
                group.next_batch = next.map(seal);
            }
            results.groups.insert(*by, groups);
        }
        if wanted.include_state {
            results.state = Some(self.states(reader, page, doors).await?);
        }
        Ok(results)
    }

    async fn result(
        &self,
        reader: &Reader,
        access: &Access,
        hit: &Hit,
        context: Option<ContextWanted>,
    ) -> Result<SearchResult, RoomError> {
        let event = std::slice::from_ref(&hit.event);
        let mut views = self.render(reader, access, event, Format::CLIENT).await?;
        Ok(SearchResult {
            rank: hit.rank,
            event: views.pop().ok_or(RoomError::NoSuchEvent)?,
            context: match context {
                Some(wanted) => Some(self.around(reader, access, hit, wanted).await?),
                None => None,
            },
        })
    }

    async fn around(
        &self,
        reader: &Reader,
        access: &Access,
        hit: &Hit,
        wanted: ContextWanted,
    ) -> Result<ResultContext, RoomError> {
        let (room_id, at) = (&*hit.event.room_id, hit.event.position);
        let page = |from, direction, limit: u64| Wanted {
            from,
            to: None,
            direction,
            limit: limit.min(MAX_CONTEXT),
        };
        let all = EventFilter::default();
        let before = page(at.before(), Direction::Backward, wanted.before_limit);
        let before = self.read_page(room_id, access, before, &all).await?.events;
        let after = page(at, Direction::Forward, wanted.after_limit);
        let after = self.read_page(room_id, access, after, &all).await?.events;
        let start = before.last().map_or(at, |event| event.position).before();
        let end = after.last().map_or(at, |event| event.position);
        let profiles = if wanted.include_profile {
            let shown = before.iter().chain([&hit.event]).chain(&after);
            let senders: BTreeSet<String> = shown.map(|event| event.sender.to_string()).collect();
            let keys = senders
                .into_iter()
                .map(|user_id| ("m.room.member".to_owned(), user_id));
            let members = self
                .parts()
                .state
                .state_entries_at(room_id, at, keys.collect())
                .await?;
            Some(
                members
                    .into_iter()
                    .filter_map(|event| profile(&event))
                    .collect(),
            )
        } else {
            None
        };

        Ok(ResultContext {
            start: self.token(room_id, reader, start),
            end: self.token(room_id, reader, end),
            before: self.render(reader, access, &before, Format::CLIENT).await?,
            after: self.render(reader, access, &after, Format::CLIENT).await?,
            profiles,
        })
    }

    async fn states(
        &self,
        reader: &Reader,
        page: &[Hit],
        doors: &Doors,
    ) -> Result<BTreeMap<OwnedRoomId, Vec<EventView>>, RoomError> {
        let rooms: BTreeSet<&OwnedRoomId> = page.iter().map(|hit| &hit.event.room_id).collect();
        let mut states = BTreeMap::new();
        for room_id in rooms {
            let Some(access) = doors.get(room_id).and_then(Option::as_ref) else {
                continue;
            };
            let state = self
                .parts()
                .state
                .state_at(room_id, access.state_upto, None)
                .await?;
            let state = self.render(reader, access, &state, Format::CLIENT).await?;
            states.insert(room_id.clone(), state);
        }
        Ok(states)
    }
}

/// Whose member event it is, and what it says of them. What is not a text is left out.
fn profile(event: &greenroom_model::StoredEvent) -> Option<(String, Profile)> {
    #[derive(Deserialize)]
    struct Event {
        content: serde_json::Value,
    }
    let Event { content } = serde_json::from_slice(&event.json).ok()?;
    let text = |key: &str| content.get(key)?.as_str().map(ToOwned::to_owned);
    let profile = Profile {
        displayname: text("displayname"),
        avatar_url: text("avatar_url"),
    };
    Some((event.state_key.clone()?, profile))
}
