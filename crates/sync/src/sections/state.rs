//! A room's state for a client: what it needs to understand the timeline, and no more.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use ruma::{OwnedUserId, RoomId};

use super::timeline::Timeline;
use crate::{SyncError, service::Reading};

const MEMBER: &str = "m.room.member";

/// What the client has of a room's state already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// The state as of this position.
    Upto(StreamPosition),
}

impl Reading<'_> {
    /// The state events that go with a timeline: as of its start, or of its end for clients that
    /// want it so, without what the client knows. `heroes` are members that go along where
    /// members are lazy-loaded.
    pub(super) async fn state(
        &self,
        room_id: &RoomId,
        known: Known,
        timeline: &Timeline,
        upto: StreamPosition,
        heroes: &[OwnedUserId],
    ) -> Result<Vec<StoredEvent>, SyncError> {
        if !self.filter.state.allows_room(room_id) {
            return Ok(Vec::new());
        }
        let at = if self.request.use_state_after {
            upto
        } else {
            timeline.start
        };
        let lazy = self.filter.state.lazy_load().is_some();
        let store = &self.service.parts.state;
        let mut state = match known {
            Known::Nothing if lazy => store.state_without_members_at(room_id, at).await?,
            Known::Nothing => store.state_at(room_id, at, None).await?,
            Known::Upto(after) => {
                self.changed_state(room_id, after, at, timeline, upto)
                    .await?
            }
        };
        if lazy {
            self.add_members(room_id, at, timeline, heroes, &mut state)
                .await?;
        }
        state.retain(|event| self.filter.state.allows(event));
        Ok(state)
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
    ) -> Result<Vec<StoredEvent>, SyncError> {
        let store = &self.service.parts.state;
        let complete = !timeline.limited && self.filter.timeline.allows_all();
        if self.request.use_state_after {
            if complete && self.timeline_limit() > 0 {
                return Ok(newest_state(timeline));
            }
            return Ok(store.state_changes(room_id, after, at).await?);
        }
        if complete {
            return Ok(Vec::new());
        }
        if self.filter.timeline.allows_all() {
            return Ok(store.state_changes(room_id, after, at).await?);
        }
        // The filter may have taken state out of the timeline; the client must learn it here.
        let shown: HashSet<_> = timeline
            .events
            .iter()
            .map(|tail| tail.event.event_id.clone())
            .collect();
        let mut changes = store.state_changes(room_id, after, upto).await?;
        changes.retain(|event| !shown.contains(&event.event_id));
        Ok(changes)
    }

    /// Leaves the member events of those who speak in the timeline, of the heroes and of the user
    /// themselves, and adds them where they are missing.
    async fn add_members(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        timeline: &Timeline,
        heroes: &[OwnedUserId],
        state: &mut Vec<StoredEvent>,
    ) -> Result<(), SyncError> {
        let mut needed: BTreeSet<String> = timeline
            .events
            .iter()
            .map(|tail| tail.event.sender.to_string())
            .collect();
        needed.extend(heroes.iter().map(ToString::to_string));
        if self.since.is_none() {
            needed.insert(self.user.user_id.to_string());
        }
        state.retain(|event| {
            event.event_type != MEMBER
                || event
                    .state_key
                    .as_ref()
                    .is_some_and(|user| needed.contains(user))
        });
        for event in &*state {
            if event.event_type == MEMBER
                && let Some(user) = &event.state_key
            {
                needed.remove(user);
            }
        }
        let keys: Vec<StateKey> = needed
            .into_iter()
            .map(|user| (MEMBER.to_owned(), user))
            .collect();
        let members = self
            .service
            .parts
            .state
            .state_entries_at(room_id, at, keys)
            .await?;
        state.extend(members);
        Ok(())
    }
}

/// The last state event of each place in a timeline, in order.
fn newest_state(timeline: &Timeline) -> Vec<StoredEvent> {
    let mut newest: BTreeMap<(&str, &str), &StoredEvent> = BTreeMap::new();
    for tail in &timeline.events {
        if let Some(state_key) = &tail.event.state_key {
            newest.insert((&tail.event.event_type, state_key), &tail.event);
        }
    }
    let mut state: Vec<StoredEvent> = newest.into_values().cloned().collect();
    state.sort_by_key(|event| event.position);
    state
}
