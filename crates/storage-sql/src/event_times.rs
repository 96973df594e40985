//! A room's events by the time at which they say they were sent, without an index over it.
//!
//! An index would cost every message a row and a page. It is not needed: this server says when its
//! events were sent as it sends them, so that positions are in the order of time, but where its clock was
//! set back. Those few places are kept in `time_steps` (see [`write_time_step`]). Between two of them time
//! never goes back, whatever the clock did, so the place of a time there is found by halving.

use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Direction, EventTimeStore, StorageError};
use ruma::RoomId;

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::ts,
    schema::{events, time_steps},
};

/// Notes that an event is older than the one before it in its room.
pub(crate) fn write_time_step(
    conn: &mut AnyConnection,
    event: &StoredEvent,
) -> diesel::QueryResult<()> {
    diesel::insert_into(time_steps::table)
        .values((
            time_steps::room_id.eq(event.room_id.as_str()),
            time_steps::position.eq(event.position.0),
        ))
        .execute(conn)?;
    Ok(())
}

#[async_trait]
impl EventTimeStore for Db {
    async fn stretches_by_time(
        &self,
        room_id: &RoomId,
        ts_ms: u64,
        direction: Direction,
        upto: StreamPosition,
    ) -> Result<Vec<(StreamPosition, StreamPosition)>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let steps: Vec<i64> = time_steps::table
                .filter(time_steps::room_id.eq(room_id.as_str()))
                .filter(time_steps::position.le(upto.0))
                .order(time_steps::position.asc())
                .select(time_steps::position)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            let starts = std::iter::once(0).chain(steps.iter().map(|step| step - 1));
            let ends = steps.iter().map(|step| step - 1).chain([upto.0]);
            let mut stretches = Vec::new();
            for (start, end) in starts.zip(ends) {
                let (after, upto) = match direction {
                    Direction::Forward => (first(conn, &room_id, ts(ts_ms), start, end)?, end),
                    Direction::Backward => {
                        let later = ts(ts_ms).saturating_add(1);
                        (start, first(conn, &room_id, later, start, end)?)
                    }
                };
                if after < upto {
                    stretches.push((StreamPosition(after), StreamPosition(upto)));
                }
            }
            Ok(stretches)
        })
        .await
    }
}

/// The position up to which the events after `after` and not after `upto` are earlier than `ts`, where
/// time never goes back.
fn first(
    conn: &mut AnyConnection,
    room_id: &RoomId,
    ts: i64,
    mut after: i64,
    mut upto: i64,
) -> Result<i64, StorageError> {
    while after < upto {
        let middle = after + (upto - after) / 2;
        let next: Option<(i64, i64)> = events::table
            .filter(events::room_id.eq(room_id.as_str()))
            .filter(events::position.gt(middle))
            .filter(events::position.le(upto))
            .order(events::position.asc())
            .select((events::position, events::origin_server_ts))
            .first(conn)
            .optional()
            .map_err(StorageError::from_diesel)?;
        match next {
            Some((position, sent)) if sent < ts => after = position,
            Some(_) | None => upto = middle,
        }
    }
    Ok(after)
}
