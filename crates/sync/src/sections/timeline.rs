//! A room's new events: from memory, and from the database where memory does not reach.

use std::sync::Arc;

use greenroom_events::{
    EventFields, EventFilter, Format, Viewer, VisibilityHistory,
    relations::Bundles,
    view::{Related, related_ids},
};
use greenroom_model::{PageToken, StoredEvent, StreamPosition};
use greenroom_storage::Direction;
use greenroom_stream::IgnoredUsers;
use ruma::{RoomId, events::room::member::MembershipState};
use serde_json::value::RawValue;

use crate::{
    Batch, SyncError,
    index::{Room, TailEvent},
    service::Reading,
};

/// How many events a room's timeline has if the filter does not say.
const DEFAULT_LIMIT: u64 = 10;
/// How many it has at most.
const MAX_LIMIT: u64 = 100;
/// How many events are looked at, at most, to find those that a filter wants.
const SCAN_BUDGET: u64 = 2_000;

/// A stretch of a room's timeline, before it is rendered.
#[derive(Clone)]
pub(crate) struct Timeline {
    /// Oldest first.
    pub(crate) events: Vec<Arc<TailEvent>>,
    /// Whether there is more between the lower bound and the first of them.
    pub(crate) limited: bool,
    /// The boundary before the first of them.
    pub(crate) start: StreamPosition,
}

impl Reading<'_> {
    /// How many events of each room are wanted.
    pub(super) fn timeline_limit(&self) -> u64 {
        self.filter
            .timeline
            .limit()
            .unwrap_or(DEFAULT_LIMIT)
            .min(MAX_LIMIT)
    }

    /// The newest wanted events of a room after `after` and not after `upto` that `history` lets
    /// the user see.
    pub(crate) async fn timeline(
        &self,
        room_id: &RoomId,
        room: Option<&Room>,
        after: StreamPosition,
        upto: StreamPosition,
        history: &VisibilityHistory,
    ) -> Result<Timeline, SyncError> {
        let limit = self.timeline_limit();
        if !self.filter.timeline.allows_room(room_id) {
            return Ok(Timeline {
                events: Vec::new(),
                limited: false,
                start: upto,
            });
        }
        let count = usize::try_from(limit).unwrap_or(usize::MAX);
        let picked = || Picked {
            filter: &self.filter.timeline,
            ignored: &self.ignored,
            history,
            is_joined: history.membership_at(upto) == &MembershipState::Join,
            count,
            newest_first: Vec::new(),
            is_cut: false,
            limited: false,
        };
        if let Some(in_memory) = room.and_then(|room| room.events_between(after, upto)) {
            let mut picked = picked();
            picked.add_all(in_memory.into_iter().rev());
            return Ok(picked.timeline(upto));
        }
        if let Some(room) = room {
            // Memory need not reach back to `after` if it has more than is wanted.
            let mut picked = picked();
            let in_memory = room.newest_events(upto).into_iter().rev();
            picked.add_all(in_memory.take_while(|tail| tail.event.position > after));
            if picked.limited {
                return Ok(picked.timeline(upto));
            }
        }
        let edition = room.map(Room::edition);
        let mut looked_at = Vec::new();
        let mut picked = picked();
        let (mut at, mut scanned) = (upto, 0);
        'read: loop {
            let missing = limit.saturating_sub(picked.newest_first.len() as u64) + 1;
            let batch = match self.filter.timeline.allows_all() && self.ignored.is_empty() {
                true => missing,
                false => missing.max(100),
            };
            let store = &self.service.parts.timeline;
            let rows = store
                .events_between(room_id, after, at, Direction::Backward, batch)
                .await?;
            let exhausted = (rows.len() as u64) < batch;
            for event in rows {
                scanned += 1;
                at = event.position.before();
                let event = Arc::new(TailEvent::new(Arc::new(event)));
                looked_at.push(Arc::clone(&event));
                if !picked.add(event, scanned > SCAN_BUDGET) {
                    break 'read;
                }
            }
            if exhausted {
                break;
            }
            if scanned > SCAN_BUDGET {
                picked.limited = true;
                break;
            }
        }
        if let (Some(room), Some(edition)) = (room, edition) {
            room.keep_events(edition, upto, &looked_at);
        }
        Ok(picked.timeline(upto))
    }

    /// The timeline as the client gets it.
    pub(super) async fn batch(
        &self,
        room_id: &RoomId,
        timeline: &Timeline,
        history: &VisibilityHistory,
    ) -> Result<Batch, SyncError> {
        let token = PageToken {
            position: timeline.start,
        };
        let tokens = &self.service.parts.tokens;
        Ok(Batch {
            events: self.render_timeline(timeline, history).await?,
            limited: timeline.limited,
            prev_batch: Some(tokens.page(&self.user.user_id, room_id, token)),
        })
    }

    /// A timeline's events as the user sees them, summed up with what relates to them if that may
    /// not be in the timeline itself.
    pub(crate) async fn render_timeline(
        &self,
        timeline: &Timeline,
        history: &VisibilityHistory,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        match timeline.limited {
            true => self.render_bundled(&timeline.events, history).await,
            false => self.render_tail(&timeline.events, history).await,
        }
    }

    /// Prepared events as the user sees them.
    pub(crate) async fn render_tail(
        &self,
        events: &[Arc<TailEvent>],
        history: &VisibilityHistory,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        self.render_tail_with(events, history, None).await
    }

    /// [`Self::render_tail`] with what relates to the events.
    pub(super) async fn render_tail_with(
        &self,
        events: &[Arc<TailEvent>],
        history: &VisibilityHistory,
        bundles: Option<&Bundles>,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let related = self.related(events.iter().map(|tail| &*tail.event)).await?;
        let viewer = Viewer {
            bundles,
            ..self.viewer(history, self.filter.fields.as_ref())
        };
        let mut rendered = Vec::with_capacity(events.len());
        for tail in events {
            rendered.push(viewer.view_prepared(&tail.event, tail.prepared()?, &related)?);
        }
        Ok(rendered)
    }

    async fn related<'e>(
        &self,
        events: impl IntoIterator<Item = &'e StoredEvent>,
    ) -> Result<Related, SyncError> {
        let ids = related_ids(events);
        if ids.is_empty() {
            return Ok(Related::new());
        }
        let found = self.service.parts.timeline.events(ids).await?;
        Ok(found
            .into_iter()
            .map(|event| (event.event_id.clone(), event))
            .collect())
    }

    pub(crate) fn viewer<'v>(
        &'v self,
        history: &'v VisibilityHistory,
        fields: Option<&'v EventFields>,
    ) -> Viewer<'v> {
        let format: Format = self.format;
        Viewer {
            user_id: &self.user.user_id,
            device_id: Some(&self.request.device_id),
            now_ms: self.service.parts.clock.now_ms(),
            history: Some(history),
            format,
            fields,
            bundles: None,
        }
    }
}

/// Events of a room that belong into a timeline, taken from the newest back.
struct Picked<'a> {
    filter: &'a EventFilter,
    ignored: &'a IgnoredUsers,
    history: &'a VisibilityHistory,
    /// Whether the reader is joined at the end: then they must end up with the state as it is.
    is_joined: bool,
    count: usize,
    newest_first: Vec<Arc<TailEvent>>,
    /// Whether state changed before the oldest of them where the reader may not see it. What was
    /// before that cannot be in the same timeline: they would take older state for the newest.
    is_cut: bool,
    limited: bool,
}

impl Picked<'_> {
    /// Takes the next older event. False if that is all: then the timeline is limited.
    fn add(&mut self, tail: Arc<TailEvent>, is_over: bool) -> bool {
        let event = &tail.event;
        if !self.history.allows(event) {
            self.is_cut |= self.is_joined && event.state_key.is_some();
        } else if self.filter.allows(event) && !self.ignored.hides(event) {
            if is_over || self.is_cut || self.newest_first.len() >= self.count {
                self.limited = true;
                return false;
            }
            self.newest_first.push(tail);
        }
        true
    }

    fn add_all(&mut self, newest_first: impl IntoIterator<Item = Arc<TailEvent>>) {
        for tail in newest_first {
            if !self.add(tail, false) {
                break;
            }
        }
    }

    /// What was picked, as a timeline that ends at `upto`.
    fn timeline(self, upto: StreamPosition) -> Timeline {
        let mut events = self.newest_first;
        events.reverse();
        let start = events
            .first()
            .map_or(upto, |first| first.event.position.before());
        Timeline {
            events,
            limited: self.limited,
            start,
        }
    }
}
