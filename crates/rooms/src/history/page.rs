//! Reading along a timeline until enough is found that the reader may see and wants.

use greenroom_events::EventFilter;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Direction, RelatingQuery};
use ruma::RoomId;

use super::Access;
use crate::{RoomError, Rooms};

/// How many events one request looks at, at most, for those it returns. A filter that matches
/// nothing then answers an empty page with a token to go on, instead of reading a whole room.
const SCAN_BUDGET: u64 = 5_000;
/// The least that is read at once where a filter or the visibility may drop some.
const BATCH: u64 = 100;

/// A stretch of a timeline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Begin here: events at or before it are behind.
    pub(crate) from: StreamPosition,
    /// Stop here.
    pub(crate) to: Option<StreamPosition>,
    /// Which way.
    pub(crate) direction: Direction,
    /// How many events.
    pub(crate) limit: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The events, in the order of the direction.
    pub(crate) events: Vec<StoredEvent>,
    /// The boundary behind the last event looked at; `None` if there is nothing more.
    pub(crate) next: Option<StreamPosition>,
}

/// Which of a room's events are read along.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// All of them.
    Room,
    /// Those that relate to one of them. The bounds and the limit in it do not matter.
    Relating(&'a RelatingQuery),
}

impl Rooms {
    pub(crate) async fn read_page(
        &self,
        room_id: &RoomId,
        access: &Access,
        wanted: Wanted,
        filter: &EventFilter,
    ) -> Result<Read, RoomError> {
        self.read_page_of(Source::Room, room_id, access, wanted, filter)
            .await
    }

    /// Events after `after` and not after `upto`.
    async fn events_of(
        &self,
        source: Source<'_>,
        room_id: &RoomId,
        (after, upto): (StreamPosition, StreamPosition),
        direction: Direction,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, RoomError> {
        Ok(match source {
            Source::Room => {
                let timeline = &self.parts().timeline;
                timeline
                    .events_between(room_id, after, upto, direction, limit)
                    .await?
            }
            Source::Relating(query) => {
                let query = RelatingQuery {
                    after,
                    upto,
                    direction,
                    limit,
                    ..query.clone()
                };
                self.parts().relations.relating_events(query).await?
            }
        })
    }

    /// [`Self::read_page`] of some of the room's events.
    pub(crate) async fn read_page_of(
        &self,
        source: Source<'_>,
        room_id: &RoomId,
        access: &Access,
        wanted: Wanted,
        filter: &EventFilter,
    ) -> Result<Read, RoomError> {
        let Wanted {
            from,
            to,
            direction,
            limit,
        } = wanted;
        if !filter.allows_room(room_id) || limit == 0 {
            return Ok(Read::default());
        }
        let limit = filter.limit().unwrap_or(limit).clamp(1, limit);
        let mut stretches = access.history.stretches();
        if direction == Direction::Backward {
            stretches.reverse();
        }
        let mut read = Read::default();
        let (mut at, mut scanned) = (from, 0);
        for (lower, upper) in stretches {
            let upper = upper.min(access.now);
            loop {
                let (after, upto) = match direction {
                    Direction::Forward => (at.max(lower), to.unwrap_or(upper).min(upper)),
                    Direction::Backward => (to.unwrap_or_default().max(lower), at.min(upper)),
                };
                if after >= upto {
                    break;
                }
                let missing = limit - read.events.len() as u64;
                // One more than is missing tells whether there is more.
                let batch = if filter.allows_all() && access.ignores_nobody() && scanned == 0 {
                    missing + 1
                } else {
                    (missing + 1).max(BATCH)
                };
                let rows = self
                    .events_of(source, room_id, (after, upto), direction, batch)
                    .await?;
                let exhausted = (rows.len() as u64) < batch;
                for event in rows {
                    let is_wanted = access.allows(&event) && filter.allows(&event);
                    if scanned >= SCAN_BUDGET || (is_wanted && read.events.len() as u64 == limit) {
                        read.next = Some(at);
                        return Ok(read);
                    }
                    scanned += 1;
                    at = match direction {
                        Direction::Forward => event.position,
                        Direction::Backward => event.position.before(),
                    };
                    if is_wanted {
                        read.events.push(event);
                    }
                }
                if exhausted {
                    break;
                }
            }
        }
        Ok(read)
    }
}
