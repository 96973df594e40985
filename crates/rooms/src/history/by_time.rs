//! The event that was sent closest to a time.

use greenroom_events::EventFilter;
use greenroom_model::StoredEvent;
use greenroom_storage::Direction;
use ruma::{RoomId, UserId};

use super::page::Wanted;
use crate::{RoomError, Rooms};

/// How many pages of events by people whom the reader ignores are passed by, a hundred thousand events
/// or so: what is behind them is not close.
const MAX_PASSED_BY: usize = 20;

impl Rooms {
    /// The event closest to a time, in milliseconds since the Unix epoch, that the reader may see: of
    /// those sent then or later (forward) the earliest, of those sent then or earlier (backward) the
    /// latest. Where several say the same time, the one next to it in the timeline.
    ///
    /// See [`/timestamp_to_event`](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event).
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] as for its pages, [`RoomError::NoSuchEvent`] if there is none.
    pub async fn event_by_time(
        &self,
        room_id: &RoomId,
        reader: &UserId,
        ts_ms: u64,
        direction: Direction,
    ) -> Result<StoredEvent, RoomError> {
        let access = self.access(room_id, reader).await?;
        let stretches = self
            .parts()
            .times
            .stretches_by_time(room_id, ts_ms, direction, access.now)
            .await?;
        let filter = EventFilter::default();
        let mut closest: Option<StoredEvent> = None;
        // There is one, unless a clock was set back.
        for (after, upto) in stretches {
            let (from, to) = match direction {
                Direction::Forward => (after, upto),
                Direction::Backward => (upto, after),
            };
            let mut wanted = Wanted {
                from,
                to: Some(to),
                direction,
                limit: 1,
            };
            // What was not for the reader to see was never read. So a page with nothing on it but a
            // next one is of people whom they ignore, and the answer is behind it.
            let mut found = None;
            for _ in 0..MAX_PASSED_BY {
                let read = self.read_page(room_id, &access, wanted, &filter).await?;
                found = read.events.into_iter().next();
                match read.next {
                    Some(next) if found.is_none() => wanted.from = next,
                    _ => break,
                }
            }
            closest = match (closest, found) {
                (Some(best), Some(found)) => {
                    // Of two that are as close, the first read forward, the last read backward.
                    let is_closer = match direction {
                        Direction::Forward => found.origin_server_ts < best.origin_server_ts,
                        Direction::Backward => found.origin_server_ts >= best.origin_server_ts,
                    };
                    Some(if is_closer { found } else { best })
                }
                (best, found) => found.or(best),
            };
        }
        closest.ok_or(RoomError::NoSuchEvent)
    }
}
