//! A room's state for a client: what it needs to understand the timeline, and no more.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use ruma::{OwnedUserId, RoomId};

use super::{Told, timeline::Timeline};
use crate::{
    SyncError,
    index::{Member, Room, TailEvent, Whole},
    service::Reading,
};

const MEMBER: &str = "m.room.member";

/// What the client has of a room's state already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// Nothing that is to be relied on, but members as of this position, if they are lazy-loaded.
    Members(StreamPosition),
    /// The state as of this position.
    Upto(StreamPosition),
}

/// Of which room which state is wanted.
pub(super) struct Wanted<'a> {
    pub(super) room_id: &'a RoomId,
    /// The room in memory.
    pub(super) room: Option<&'a Room>,
    pub(super) known: Known,
    /// The position where the timeline ends.
    pub(super) upto: StreamPosition,
    /// Members that go along where members are lazy-loaded.
    pub(super) heroes: &'a [OwnedUserId],
    /// Since when the user is joined, if they are.
    pub(super) joined_since: Option<StreamPosition>,
}

impl Wanted<'_> {
    /// How a member of the room is remembered who goes into the answer.
    fn member(&self, user_id: &str) -> Option<Member> {
        let joined_since = self.joined_since?;
        Some(Member::new(self.room_id, joined_since, user_id))
    }
}

impl Reading<'_> {
    /// The state events that go with a timeline: as of its start, or of its end for clients that
    /// want it so, without what the client knows.
    pub(super) async fn state(
        &self,
        wanted: &Wanted<'_>,
        timeline: &Timeline,
        told: &mut Told,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let &Wanted {
            room_id,
            room,
            known,
            upto,
            ..
        } = wanted;
        if !self.filter.state.allows_room(room_id) {
            return Ok(Vec::new());
        }
        let at = if self.request.use_state_after {
            upto
        } else {
            timeline.start
        };
        let lazy = self.filter.state.lazy_load().is_some();
        let mut state = match known {
            Known::Nothing | Known::Members(_) => {
                self.whole_state(room_id, room, lazy, at, upto).await?
            }
            Known::Upto(after) => {
                self.changed_state(room_id, after, at, timeline, upto)
                    .await?
            }
        };
        if !matches!(known, Known::Upto(_)) && at < upto && self.timeline_hides(room_id) {
            state.extend(self.hidden_state(room_id, at, timeline, upto).await?);
        }
        if lazy {
            self.add_members(wanted, at, timeline, &mut state).await?;
        }
        state.retain(|tail| self.filter.state.allows(&tail.event));
        if lazy {
            // To a client that wants the state after it, a timeline says nothing of members.
            let shown = match self.request.use_state_after {
                true => &[],
                false => &*timeline.events,
            };
            let users = state.iter().chain(shown).filter_map(|tail| member_of(tail));
            told.members
                .extend(users.filter_map(|user| wanted.member(user)));
        }
        Ok(state)
    }

    /// All of a room's state at a position, or all but its members: from memory, if it has not
    /// changed since somebody else asked.
    pub(crate) async fn whole_state(
        &self,
        room_id: &RoomId,
        room: Option<&Room>,
        lazy: bool,
        at: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let whole = if lazy {
            Whole::StateWithoutMembers
        } else {
            Whole::State
        };
        if let Some(state) = room.and_then(|room| room.state(whole, at)) {
            return Ok(state);
        }
        let edition = room.map(Room::edition);
        let store = &self.service.parts.state;
        let state = tails(match whole {
            Whole::StateWithoutMembers => store.state_without_members_at(room_id, at).await?,
            Whole::State => store.state_at(room_id, at, None).await?,
        });
        // Only the state as it is now is worth keeping: where memory has all that came since, and
        // nothing of that is state.
        if let (Some(room), Some(edition)) = (room, edition)
            && room.newest_event() <= upto
            && room
                .events_between(at, upto)
                .is_some_and(|since| since.iter().all(|tail| tail.event.state_key.is_none()))
        {
            room.keep_state(whole, edition, &state);
        }
        Ok(state)
    }

    /// Whether the filter may take state out of a room's timeline.
    pub(super) fn timeline_hides(&self, room_id: &RoomId) -> bool {
        !self.filter.timeline.allows_all() || !self.filter.timeline.allows_room(room_id)
    }

    /// Changes of state that a filtered timeline does not show; the client must learn of them.
    async fn hidden_state(
        &self,
        room_id: &RoomId,
        after: StreamPosition,
        timeline: &Timeline,
        upto: StreamPosition,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let shown: HashSet<_> = timeline
            .events
            .iter()
            .map(|tail| &tail.event.event_id)
            .collect();
        let store = &self.service.parts.state;
        let mut changes = store.state_changes(room_id, after, upto).await?;
        changes.retain(|event| !shown.contains(&event.event_id));
        Ok(tails(changes))
    }

    /// What changed between two positions. Most answers need not ask: where the timeline has
    /// every event since, it has every change of state.
    async fn changed_state(
        &self,
        room_id: &RoomId,
        after: StreamPosition,
        at: StreamPosition,
        timeline: &Timeline,
        upto: StreamPosition,
    ) -> Result<Vec<Arc<TailEvent>>, SyncError> {
        let store = &self.service.parts.state;
        let hides = self.timeline_hides(room_id);
        let complete = !timeline.limited && !hides;
        if self.request.use_state_after {
            if complete && self.timeline_limit() > 0 {
                return Ok(newest_state(timeline));
            }
            return Ok(tails(store.state_changes(room_id, after, at).await?));
        }
        if complete {
            return Ok(Vec::new());
        }
        if hides {
            return self.hidden_state(room_id, after, timeline, upto).await;
        }
        Ok(tails(store.state_changes(room_id, after, at).await?))
    }

    /// Adds the member events of those who speak in the timeline and of the heroes where they are
    /// missing. Of a whole state no others are left but the user's own; of changes all are: what
    /// fell into a gap must not be lost. Who is known already is left out.
    async fn add_members(
        &self,
        wanted: &Wanted<'_>,
        at: StreamPosition,
        timeline: &Timeline,
        state: &mut Vec<Arc<TailEvent>>,
    ) -> Result<(), SyncError> {
        let mut needed: BTreeSet<String> = timeline
            .events
            .iter()
            .map(|tail| tail.event.sender.to_string())
            .collect();
        needed.extend(wanted.heroes.iter().map(ToString::to_string));
        if let Known::Upto(_) = wanted.known {
            let is_known = |user: &str| {
                let member = wanted.member(user);
                member.is_some_and(|member| self.introduced.has(member))
            };
            needed.retain(|user| !is_known(user));
        } else {
            needed.insert(self.user.user_id.to_string());
            if let Known::Members(after) = wanted.known {
                needed.extend(self.members_in_gap(wanted, after, at, timeline).await?);
            }
            state.retain(|tail| member_of(tail).is_none_or(|user| needed.contains(user)));
        }
        for user in state.iter().filter_map(|tail| member_of(tail)) {
            needed.remove(user);
        }
        if needed.is_empty() {
            return Ok(());
        }
        let keys: Vec<StateKey> = needed
            .into_iter()
            .map(|user| (MEMBER.to_owned(), user))
            .collect();
        let members = self
            .service
            .parts
            .state
            .state_entries_at(wanted.room_id, at, keys)
            .await?;
        state.extend(tails(members));
        Ok(())
    }

    /// Whose member events have changed between what the client has and the state it gets, where
    /// the timeline does not show it.
    async fn members_in_gap(
        &self,
        wanted: &Wanted<'_>,
        after: StreamPosition,
        at: StreamPosition,
        timeline: &Timeline,
    ) -> Result<Vec<String>, SyncError> {
        let hides = timeline.limited || self.timeline_hides(wanted.room_id);
        if !hides && !self.request.use_state_after {
            return Ok(Vec::new());
        }
        let store = &self.service.parts.state;
        let changes = store.state_changes(wanted.room_id, after, at).await?;
        let members = changes
            .into_iter()
            .filter(|event| event.event_type == MEMBER);
        Ok(members.filter_map(|event| event.state_key).collect())
    }
}

/// Whose member event this is, if it is one.
fn member_of(tail: &TailEvent) -> Option<&str> {
    let event = &tail.event;
    event
        .state_key
        .as_deref()
        .filter(|_| event.event_type == MEMBER)
}

/// The last state event of each place in a timeline, in order.
pub(crate) fn newest_state(timeline: &Timeline) -> Vec<Arc<TailEvent>> {
    let mut newest: BTreeMap<(&str, &str), &Arc<TailEvent>> = BTreeMap::new();
    for tail in &timeline.events {
        if let Some(state_key) = &tail.event.state_key {
            newest.insert((&tail.event.event_type, state_key), tail);
        }
    }
    let mut state: Vec<Arc<TailEvent>> = newest.into_values().cloned().collect();
    state.sort_by_key(|tail| tail.event.position);
    state
}

/// Events of the database as those of memory.
pub(crate) fn tails(events: Vec<StoredEvent>) -> Vec<Arc<TailEvent>> {
    let tail = |event| Arc::new(TailEvent::new(Arc::new(event)));
    events.into_iter().map(tail).collect()
}
