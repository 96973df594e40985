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
                    .parts()
                    .timeline
                    .events_between(room_id, after, upto, direction, batch)
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
