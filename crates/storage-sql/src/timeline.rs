//! A room's events in order.

use std::borrow::Cow;

use async_trait::async_trait;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper, dsl::max,
};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Direction, StorageError, TimelineStore};
use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};

use crate::{
    Db,
    connection::FromDiesel,
    rows::{EventRow, stored, ts},
    schema::events,
    text::pack,
};

/// At most so many values go into one `IN (…)`.
pub(crate) const MAX_IN: usize = 500;

#[async_trait]
impl TimelineStore for Db {
    async fn events_between(
        &self,
        room_id: &RoomId,
        after: StreamPosition,
        upto: StreamPosition,
        direction: Direction,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let range = events::table
                .filter(events::room_id.eq(room_id.as_str()))
                .filter(events::position.gt(after.0))
                .filter(events::position.le(upto.0))
                .limit(ts(limit))
                .select(EventRow::as_select());
            let rows = match direction {
                Direction::Forward => range.order(events::position.asc()).load(conn),
                Direction::Backward => range.order(events::position.desc()).load(conn),
            };
            stored(rows.map_err(StorageError::from_diesel)?)
        })
        .await
    }

    async fn events_in_rooms(
        &self,
        room_ids: &[OwnedRoomId],
        after: StreamPosition,
        upto: StreamPosition,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_ids = room_ids.to_vec();
        self.read(move |conn| {
            let mut found: Vec<StoredEvent> = Vec::new();
            // A range per room by index: one query over all of them would read every room's
            // events of the range, wanted or not.
            for room_id in room_ids {
                let rows: Vec<EventRow> = events::table
                    .filter(events::room_id.eq(room_id.as_str()))
                    .filter(events::position.gt(after.0))
                    .filter(events::position.le(upto.0))
                    .order(events::position.asc())
                    .limit(ts(limit))
                    .select(EventRow::as_select())
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                found.extend(stored(rows)?);
            }
            found.sort_by_key(|event| event.position);
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(found)
        })
        .await
    }

    async fn event(&self, event_id: &EventId) -> Result<Option<StoredEvent>, StorageError> {
        let event_id = event_id.to_owned();
        self.read(move |conn| {
            let row: Option<EventRow> = events::table
                .filter(events::event_id.eq(pack(event_id.as_str())))
                .select(EventRow::as_select())
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            row.map(StoredEvent::try_from).transpose()
        })
        .await
    }

    async fn events(&self, event_ids: Vec<OwnedEventId>) -> Result<Vec<StoredEvent>, StorageError> {
        if event_ids.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |conn| {
            let mut found = Vec::with_capacity(event_ids.len());
            for some in event_ids.chunks(MAX_IN) {
                let ids: Vec<Cow<'_, str>> = some.iter().map(|id| pack(id.as_str())).collect();
                let rows: Vec<EventRow> = events::table
                    .filter(events::event_id.eq_any(ids))
                    .select(EventRow::as_select())
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                found.extend(stored(rows)?);
            }
            Ok(found)
        })
        .await
    }

    async fn newest_position(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<StreamPosition>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let newest: Option<i64> = events::table
                .filter(events::room_id.eq(room_id.as_str()))
                .select(max(events::position))
                .first(conn)
                .map_err(StorageError::from_diesel)?;
            Ok(newest.map(StreamPosition))
        })
        .await
    }

    async fn newest_positions(
        &self,
        room_ids: Vec<OwnedRoomId>,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>, StorageError> {
        if room_ids.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |conn| {
            let mut found = Vec::with_capacity(room_ids.len());
            // The end of an index range each; one grouped query would read every event.
            for room_id in room_ids {
                let newest: Option<i64> = events::table
                    .filter(events::room_id.eq(room_id.as_str()))
                    .select(max(events::position))
                    .first(conn)
                    .map_err(StorageError::from_diesel)?;
                found.extend(newest.map(|newest| (room_id, StreamPosition(newest))));
            }
            Ok(found)
        })
        .await
    }
}
