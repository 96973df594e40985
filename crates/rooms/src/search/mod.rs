//! Search: the events that a user may see and that have what they look for.
//!
//! The index gives candidates, newest first, of the rooms that the user was ever joined to. Whether one is a hit is
//! asked of the event itself, and whether the user may see it of the same rules as everywhere.

mod indexer;
mod page;
mod results;

use std::{collections::HashMap, sync::Arc};

use greenroom_events::EventFilter;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_search::{Key, Query, hash, kind_token, room_token, sender_token, texts};
use greenroom_storage::{Judge, SearchQuery, SearchStore};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

use self::page::{Cursor, Hit};
pub use self::{
    indexer::SearchIndexer,
    results::{Group, Profile, ResultContext, SearchResult, SearchResults},
};
use crate::{Reader, RoomError, Rooms, history::Access};

/// How many results a page has if nobody says so.
const DEFAULT_LIMIT: u64 = 10;
/// How many it has at most.
const MAX_LIMIT: u64 = 100;
/// How many candidates are read at once.
const BATCH: usize = 200;
/// A window has so many candidates at least, if there are so many, so that there is something to rank …
const WINDOW: usize = 500;
/// … and so many at most, whether or not they are hits.
const MAX_WINDOW: usize = 2_500;
/// The longest text that one may search for, in bytes.
const MAX_TERM: usize = 1_000;

/// In which order results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchOrder {
    /// The best first.
    Rank,
    /// The newest first.
    Recent,
}

/// What results can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupBy {
    /// Their room.
    Room,
    /// Their sender.
    Sender,
}

impl GroupBy {
    /// The group that an event belongs to.
    fn of(self, event: &StoredEvent) -> &str {
        match self {
            Self::Room => event.room_id.as_str(),
            Self::Sender => event.sender.as_str(),
        }
    }
}

/// How much around each result is wanted.
#[derive(Clone, Copy, Debug)]
pub struct ContextWanted {
    /// How many events before it.
    pub before_limit: u64,
    /// How many events after it.
    pub after_limit: u64,
    /// Whether the senders' names and avatars of then are wanted.
    pub include_profile: bool,
}

/// What is searched for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// As the user typed it.
    pub term: String,
    /// Where it is to be.
    pub keys: Vec<Key>,
    /// Which events are wanted.
    pub filter: EventFilter,
    /// In which order.
    pub order: SearchOrder,
    /// What is wanted around each.
    pub context: Option<ContextWanted>,
    /// Whether the state of the rooms is wanted.
    pub include_state: bool,
    /// What the results are grouped by.
    pub group_by: Vec<GroupBy>,
    /// Where to go on.
    pub next_batch: Option<String>,
}

impl SearchRequest {
    /// A hash of what makes it this search: all that says which events are results, not how they are
    /// shown.
    fn terms(&self) -> u64 {
        let terms = (&self.term, &self.keys, self.filter.terms());
        hash(&format!("{terms:?}"))
    }
}

/// The hits of one window, in their order.
#[derive(Default)]
struct Window {
    hits: Vec<Hit>,
    /// Its first position; 1 if there is nothing before it.
    bottom: StreamPosition,
}

/// The rooms of a request, as far as anything was found in them; `None` for one that is not searched.
type Doors = HashMap<OwnedRoomId, Option<Access>>;

impl Rooms {
    /// Searches. See [server side
    /// search](https://spec.matrix.org/v1.19/client-server-api/#server-side-search).
    ///
    /// # Errors
    ///
    /// [`RoomError::InvalidParam`] for a term that is too long and a token that is none of this
    /// search.
    pub async fn search(
        &self,
        reader: &Reader,
        wanted: &SearchRequest,
    ) -> Result<SearchResults, RoomError> {
        if wanted.term.len() > MAX_TERM {
            return Err(RoomError::InvalidParam("search_term is too long"));
        }
        let (user_id, tokens) = (&reader.user_id, &self.parts().tokens);
        let cursor = match wanted.next_batch.as_deref() {
            Some(token) => Cursor::open(tokens, user_id, wanted.terms(), wanted.order, token)?,
            None => Cursor::start(wanted.terms(), wanted.order, self.parts().stream.position()),
        };
        let query = Query::new(&wanted.term);
        let index = self.parts().search.caught_up().await;
        let mut doors = Doors::new();
        let mut window = Window {
            bottom: StreamPosition(1),
            ..Window::default()
        };
        if !query.is_empty() {
            let rooms = self.searched_rooms(user_id, wanted, &cursor).await?;
            if !rooms.is_empty() {
                let search = Arc::new(Search {
                    query: query.clone(),
                    wanted: wanted.clone(),
                    cursor,
                    user_id: user_id.clone(),
                });
                window = self.window(index, &search, rooms, &mut doors).await?;
            }
        }
        self.results(reader, wanted, &query, cursor, window, &doors)
            .await
    }

    /// "All rooms that the user has been in, including those that they have left."
    async fn searched_rooms(
        &self,
        user_id: &UserId,
        wanted: &SearchRequest,
        cursor: &Cursor,
    ) -> Result<Vec<OwnedRoomId>, RoomError> {
        let memberships = [
            MembershipState::Join,
            MembershipState::Leave,
            MembershipState::Ban,
            MembershipState::Invite,
            MembershipState::Knock,
        ];
        let rooms = self.parts().members.rooms_of(user_id, &memberships).await?;
        Ok(rooms
            .into_iter()
            .map(|room| room.room_id)
            .filter(|room_id| wanted.filter.allows_room(room_id))
            .filter(|room_id| {
                let group = cursor.room;
                group.is_none_or(|group| hash(room_id.as_str()) == group)
            })
            .collect())
    }

    /// Gathers the hits of the window at the cursor.
    async fn window(
        &self,
        index: &dyn SearchStore,
        search: &Arc<Search>,
        mut rooms: Vec<OwnedRoomId>,
        doors: &mut Doors,
    ) -> Result<Window, RoomError> {
        let cursor = search.cursor;
        let mut window = Window {
            bottom: cursor.bottom.unwrap_or(StreamPosition(1)),
            ..Window::default()
        };
        // Comparing texts is work: it is done where they are read.
        let judge: Judge = {
            let search = Arc::clone(search);
            Arc::new(move |event| search.rank(event))
        };
        let (mut upto, mut seen) = (cursor.top, 0);
        'window: while !rooms.is_empty() {
            let missing = MAX_WINDOW - seen;
            let candidates = search.candidates(&rooms, upto, missing);
            let mut rest = &*index.candidates(candidates).await?;
            let are_all = rest.len() < missing;
            while !rest.is_empty() {
                let (some, others) = rest.split_at(rest.len().min(BATCH));
                rest = others;
                seen += some.len();
                upto = some.last().map_or(upto, |last| last.before());
                let hits = index.judged(some.to_vec(), Arc::clone(&judge)).await?;
                let searched = rooms.len();
                for (event, rank) in hits {
                    if !doors.contains_key(&event.room_id) {
                        let door = self.door(&event.room_id, &search.user_id).await?;
                        if door.is_none() {
                            rooms.retain(|room_id| *room_id != event.room_id);
                        }
                        doors.insert(event.room_id.clone(), door);
                    }
                    let door = doors.get(&event.room_id).and_then(Option::as_ref);
                    if door.is_some_and(|access| access.allows(&event)) {
                        window.hits.push(Hit { event, rank });
                    }
                }
                let is_last = rest.is_empty() && are_all;
                let has_enough = seen >= WINDOW && window.hits.len() as u64 > search.limit();
                if !is_last && (seen >= MAX_WINDOW || (cursor.bottom.is_none() && has_enough)) {
                    window.bottom = upto.next();
                    break 'window;
                }
                if rooms.len() < searched {
                    // The others without those of a room that is not for this user.
                    continue 'window;
                }
            }
            break;
        }
        window.hits.sort_by(|one, other| cursor.compare(one, other));
        Ok(window)
    }

    /// A room to the user, if they were ever in it and it is searched: "The search will *not* include
    /// rooms that are end to end encrypted."
    async fn door(&self, room_id: &RoomId, user_id: &UserId) -> Result<Option<Access>, RoomError> {
        let access = self.possible_access(room_id, user_id).await?;
        if access.from_outside {
            return Ok(None);
        }
        let encryption = ("m.room.encryption".to_owned(), String::new());
        let encrypted = self
            .parts()
            .state
            .state_entries_at(room_id, access.state_upto, vec![encryption])
            .await?;
        Ok(encrypted.is_empty().then_some(access))
    }
}

/// One search, as far as it is the same for every candidate.
struct Search {
    query: Query,
    wanted: SearchRequest,
    cursor: Cursor,
    user_id: OwnedUserId,
}

impl Search {
    fn limit(&self) -> u64 {
        limit(&self.wanted)
    }

    /// The question to the index for the next candidates in these rooms.
    fn candidates(&self, rooms: &[OwnedRoomId], upto: StreamPosition, limit: usize) -> SearchQuery {
        let room = |room_id: &OwnedRoomId| room_token(hash(room_id.as_str()));
        let mut any = vec![rooms.iter().map(room).collect()];
        if let Some(group) = self.cursor.sender {
            any.push(vec![sender_token(group)]);
        }
        if let Some(senders) = self.wanted.filter.senders() {
            any.push(
                senders
                    .map(|user_id| sender_token(hash(user_id.as_str())))
                    .collect(),
            );
        }
        let kinds: Option<Vec<String>> = self
            .wanted
            .keys
            .iter()
            .map(|key| kind_token(*key))
            .collect();
        any.extend(kinds);
        SearchQuery {
            all: self.query.tokens(),
            any,
            from: self.cursor.bottom.unwrap_or_default(),
            upto,
            limit: limit as u64,
        }
    }

    /// How well an event fits, if it does.
    fn rank(&self, event: &StoredEvent) -> Option<f32> {
        let is_in =
            |by: GroupBy, group: Option<u64>| group.is_none_or(|group| hash(by.of(event)) == group);
        if !is_in(GroupBy::Room, self.cursor.room)
            || !is_in(GroupBy::Sender, self.cursor.sender)
            || event.redacted_by.is_some()
            || !self.wanted.filter.allows_room(&event.room_id)
            || !self.wanted.filter.allows(event)
        {
            return None;
        }
        let (key, texts) = texts(event)?;
        if !self.wanted.keys.contains(&key) {
            return None;
        }
        self.query.rank(&texts)
    }
}

fn limit(wanted: &SearchRequest) -> u64 {
    wanted
        .filter
        .limit()
        .unwrap_or(DEFAULT_LIMIT)
        .clamp(1, MAX_LIMIT)
}
