//! Rows as they come out, and how they become the model's types.

use diesel::{Queryable, Selectable};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::StorageError;
use ruma::{MilliSecondsSinceUnixEpoch, UInt};

use crate::{schema::events, text::unpack};

/// An event as stored, without what only the writer needs.
#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(crate) struct EventRow {
    position: i64,
    event_id: String,
    room_id: String,
    event_type: String,
    state_key: Option<String>,
    sender: String,
    origin_server_ts: i64,
    json: Vec<u8>,
    redacted_by: Option<String>,
    replaces_state: Option<String>,
    device_id: Option<String>,
    txn_id: Option<String>,
}

/// A stored identifier that does not read as one: the row is damaged.
pub(crate) fn damaged(what: &str) -> StorageError {
    StorageError::Damaged(format!("a stored {what} is not valid"))
}

/// Reads a stored identifier.
pub(crate) fn id<T>(text: String, what: &str) -> Result<T, StorageError>
where
    T: TryFrom<String>,
{
    T::try_from(text).map_err(|_| damaged(what))
}

/// Milliseconds as stored.
pub(crate) fn ms(ts: i64) -> u64 {
    u64::try_from(ts).unwrap_or(0)
}

/// Milliseconds to be stored.
pub(crate) fn ts(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl TryFrom<EventRow> for StoredEvent {
    type Error = StorageError;

    fn try_from(row: EventRow) -> Result<Self, StorageError> {
        Ok(Self {
            position: StreamPosition(row.position),
            event_id: id(row.event_id, "event ID")?,
            room_id: id(row.room_id, "room ID")?,
            event_type: unpack(row.event_type),
            state_key: row.state_key.map(unpack),
            sender: id(row.sender, "user ID")?,
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::new_saturating(ms(
                row.origin_server_ts
            ))),
            json: row.json.into(),
            redacted_by: row.redacted_by.map(|by| id(by, "event ID")).transpose()?,
            replaces_state: row
                .replaces_state
                .map(|by| id(by, "event ID"))
                .transpose()?,
            transaction: match (row.device_id, row.txn_id) {
                (Some(device), Some(txn)) => Some((unpack(device).into(), unpack(txn).into())),
                _ => None,
            },
        })
    }
}

/// Reads many.
pub(crate) fn stored(rows: Vec<EventRow>) -> Result<Vec<StoredEvent>, StorageError> {
    rows.into_iter().map(StoredEvent::try_from).collect()
}
