//! Reading along a timeline until enough is found that the reader may see and wants.

use greenroom_events::EventFilter;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::Direction;
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

impl Rooms {
    pub(crate) async fn read_page(
        &self,
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
        let mut read = Read::default();
        let (mut at, mut scanned) = (from, 0);
        loop {
            let missing = limit - read.events.len() as u64;
            // One more than is missing tells whether there is more.
            let batch = if filter.allows_all() {
                missing + 1
            } else {
                (missing + 1).max(BATCH)
            };
            let (after, upto) = match direction {
                Direction::Forward => (at, to.unwrap_or(access.now).min(access.now)),
                Direction::Backward => (to.unwrap_or_default(), at.min(access.now)),
            };
            let rows = self
                .parts()
                .timeline
                .events_between(room_id, after, upto, direction, batch)
                .await?;
            let exhausted = (rows.len() as u64) < batch;
            for event in rows {
                if read.events.len() as u64 == limit || scanned >= SCAN_BUDGET {
                    read.next = Some(at);
                    return Ok(read);
                }
                scanned += 1;
                at = match direction {
                    Direction::Forward => event.position,
                    Direction::Backward => event.position.before(),
                };
                if access.history.allows(&event) && filter.allows(&event) {
                    read.events.push(event);
                }
            }
            if exhausted {
                return Ok(read);
            }
        }
    }
}
