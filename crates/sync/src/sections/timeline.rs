//! A room's new events: from memory, and from the database where memory does not reach.

use std::sync::Arc;

use greenroom_events::{
    EventFields, Format, Viewer, VisibilityHistory,
    view::{Related, related_ids},
};
use greenroom_model::{PageToken, StoredEvent, StreamPosition};
use greenroom_storage::Direction;
use ruma::RoomId;
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
pub(super) struct Timeline {
    /// Oldest first.
    pub(super) events: Vec<Arc<TailEvent>>,
    /// Whether there is more between the lower bound and the first of them.
    pub(super) limited: bool,
    /// The boundary before the first of them.
    pub(super) start: StreamPosition,
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
    pub(super) async fn timeline(
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
        let wanted =
            |event: &StoredEvent| self.filter.timeline.allows(event) && history.allows(event);
        let count = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(in_memory) = room.and_then(|room| room.events_between(after, upto)) {
            let mut events: Vec<_> = in_memory
                .into_iter()
                .filter(|tail| wanted(&tail.event))
                .collect();
            let surplus = events.len().saturating_sub(count);
            events.drain(..surplus);
            return Ok(bounded(events, surplus > 0, upto));
        }
        if let Some(room) = room {
            // Memory need not reach back to `after` if it has more than is wanted.
            let mut events: Vec<_> = room
                .newest_events(upto)
                .into_iter()
                .filter(|tail| tail.event.position > after && wanted(&tail.event))
                .collect();
            let surplus = events.len().saturating_sub(count);
            if surplus > 0 {
                events.drain(..surplus);
                return Ok(bounded(events, true, upto));
            }
        }
        let edition = room.map(Room::edition);
        let mut looked_at = Vec::new();
        let mut newest_first = Vec::new();
        let (mut at, mut scanned, mut limited) = (upto, 0, false);
        'read: loop {
            let missing = limit.saturating_sub(newest_first.len() as u64) + 1;
            let batch = match self.filter.timeline.allows_all() {
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
                if !wanted(&event.event) {
                    continue;
                }
                if newest_first.len() >= count || scanned > SCAN_BUDGET {
                    limited = true;
                    break 'read;
                }
                newest_first.push(event);
            }
            if exhausted {
                break;
            }
            if scanned > SCAN_BUDGET {
                limited = true;
                break;
            }
        }
        if let (Some(room), Some(edition)) = (room, edition) {
            room.keep_events(edition, upto, &looked_at);
        }
        newest_first.reverse();
        Ok(bounded(newest_first, limited, upto))
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
            events: self.render_tail(&timeline.events, history).await?,
            limited: timeline.limited,
            prev_batch: Some(tokens.page(&self.user.user_id, room_id, token)),
        })
    }

    /// Prepared events as the user sees them.
    pub(super) async fn render_tail(
        &self,
        events: &[Arc<TailEvent>],
        history: &VisibilityHistory,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let related = self.related(events.iter().map(|tail| &*tail.event)).await?;
        let viewer = self.viewer(history, self.filter.fields.as_ref());
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
        }
    }
}

fn bounded(events: Vec<Arc<TailEvent>>, limited: bool, upto: StreamPosition) -> Timeline {
    let start = events
        .first()
        .map_or(upto, |first| first.event.position.before());
    Timeline {
        events,
        limited,
        start,
    }
}
