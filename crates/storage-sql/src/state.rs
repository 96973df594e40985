//! A room's state, now and at any position.
//!
//! A row of `room_state` says that an event held its place from `position` until `replaced_at`.
//! So the state at a position is read by index from rows that were not replaced by then: work
//! grows with what is returned and with what has changed since, not with the room's history.

use async_trait::async_trait;
use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use greenroom_storage::{StateStore, StorageError};
use ruma::{RoomId, UserId};

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::{EventRow, stored},
    schema::{events, room_state},
    text::{pack, pack_owned},
};

const MEMBER: &str = "m.room.member";

/// Added to a column to keep the engine from an index of it. Several would do for a question that
/// bounds a version's beginning and end, and all but one read the room's whole history.
const UNINDEXED: i64 = 0;

/// The event in one place at a position.
fn entry_at(
    conn: &mut AnyConnection,
    room_id: &str,
    key: &StateKey,
    at: StreamPosition,
) -> Result<Option<StoredEvent>, StorageError> {
    let rows: Vec<EventRow> = room_state::table
        .inner_join(events::table.on(events::position.eq(room_state::event_position)))
        .filter(room_state::room_id.eq(room_id))
        .filter(room_state::event_type.eq(pack(&key.0)))
        .filter(room_state::state_key.eq(pack(&key.1)))
        .filter(room_state::position.le(at.0))
        .order(room_state::position.desc())
        .limit(1)
        .select(EventRow::as_select())
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    Ok(stored(rows)?.pop())
}

/// The events in these places at a position; empty places are left out.
pub(crate) fn entries_at(
    conn: &mut AnyConnection,
    room_id: &str,
    keys: &[StateKey],
    at: StreamPosition,
) -> Result<Vec<StoredEvent>, StorageError> {
    keys.iter()
        .filter_map(|key| entry_at(conn, room_id, key, at).transpose())
        .collect()
}

#[async_trait]
impl StateStore for Db {
    async fn state_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        event_types: Option<Vec<String>>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let held = room_state::table
                .inner_join(events::table.on(events::position.eq(room_state::event_position)))
                .filter(room_state::room_id.eq(room_id.as_str()))
                .filter((room_state::position + UNINDEXED).le(at.0))
                .select(EventRow::as_select());
            let rows = match event_types {
                // By the end of each version: what was replaced by then is not read.
                None => held.filter(room_state::replaced_at.gt(at.0)).load(conn),
                Some(types) => {
                    let types: Vec<String> = types.iter().map(|t| pack_owned(t)).collect();
                    held.filter(room_state::event_type.eq_any(types))
                        .filter((room_state::replaced_at + UNINDEXED).gt(at.0))
                        .load(conn)
                }
            };
            let mut found = stored(rows.map_err(StorageError::from_diesel)?)?;
            found.sort_by_key(|event| event.position);
            Ok(found)
        })
        .await
    }

    async fn state_without_members_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let mut found = Vec::new();
            // The types before and after it, so that no member's row is touched.
            for after in [false, true] {
                let held = room_state::table
                    .inner_join(events::table.on(events::position.eq(room_state::event_position)))
                    .filter(room_state::room_id.eq(room_id.as_str()))
                    .filter((room_state::replaced_at + UNINDEXED).gt(at.0))
                    .filter((room_state::position + UNINDEXED).le(at.0))
                    .select(EventRow::as_select());
                let rows = if after {
                    held.filter(room_state::event_type.gt(MEMBER)).load(conn)
                } else {
                    held.filter(room_state::event_type.lt(MEMBER)).load(conn)
                };
                found.extend(stored(rows.map_err(StorageError::from_diesel)?)?);
            }
            found.sort_by_key(|event| event.position);
            Ok(found)
        })
        .await
    }

    async fn state_entries_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        keys: Vec<StateKey>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let room_id = room_id.to_owned();
        self.read(move |conn| entries_at(conn, room_id.as_str(), &keys, at))
            .await
    }

    async fn state_changes(
        &self,
        room_id: &RoomId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<EventRow> = room_state::table
                .inner_join(events::table.on(events::position.eq(room_state::event_position)))
                .filter(room_state::room_id.eq(room_id.as_str()))
                .filter(room_state::position.gt(after.0))
                .filter(room_state::position.le(upto.0))
                .filter(room_state::replaced_at.gt(upto.0))
                .order(room_state::position.asc())
                .select(EventRow::as_select())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            stored(rows)
        })
        .await
    }

    async fn reader_history(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>), StorageError> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.read(move |conn| {
            let visibility = history(conn, room_id.as_str(), "m.room.history_visibility", "")?;
            let memberships = history(conn, room_id.as_str(), MEMBER, user_id.as_str())?;
            Ok((visibility, memberships))
        })
        .await
    }
}

/// Every event a place has held, oldest first.
fn history(
    conn: &mut AnyConnection,
    room_id: &str,
    event_type: &str,
    state_key: &str,
) -> Result<Vec<StoredEvent>, StorageError> {
    let rows: Vec<EventRow> = room_state::table
        .inner_join(events::table.on(events::position.eq(room_state::event_position)))
        .filter(room_state::room_id.eq(room_id))
        .filter(room_state::event_type.eq(pack(event_type)))
        .filter(room_state::state_key.eq(pack(state_key)))
        .order(room_state::position.asc())
        .select(EventRow::as_select())
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    stored(rows)
}
