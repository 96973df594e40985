//! The write side of rooms.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper,
    TextExpressionMethods,
};
use greenroom_model::{StateKey, StoredEvent, StreamPosition, TransactionKey};
use greenroom_storage::{Append, Committed, NewRoom, RoomHeadRow, RoomStore, StorageError};
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, ServerName, UserId,
    events::room::member::MembershipState,
};

use crate::{
    Db,
    append::{PreparedAppend, write_appends},
    connection::FromDiesel,
    rows::{EventRow, damaged, id, ms, ts},
    schema::{events, memberships, room_aliases, rooms},
    state::entries_at,
    writer::WriteTx,
};

/// Later than every event.
const NOW: StreamPosition = StreamPosition(i64::MAX - 1);

/// A new room with everything parsed that need not be on the writer's thread.
pub(crate) struct PreparedRoom {
    pub(crate) room_id: String,
    pub(crate) published: bool,
    version: String,
    creator: String,
    alias: Option<String>,
    txn_key: Option<Vec<u8>>,
    created_ts: i64,
    events: Vec<PreparedAppend>,
}

impl PreparedRoom {
    pub(crate) fn new(room: NewRoom) -> Self {
        Self {
            room_id: room.room_id.to_string(),
            published: room.published,
            version: room.version.to_string(),
            creator: room.creator.to_string(),
            alias: room.alias.map(|alias| alias.to_string()),
            txn_key: room.transaction.map(|key| key.as_bytes().to_vec()),
            created_ts: ts(room.created_ts_ms),
            events: room.events.into_iter().map(PreparedAppend::new).collect(),
        }
    }

    /// Writes the room with all its first events; gives the position of the last one.
    pub(crate) fn write(self, tx: &mut WriteTx<'_>) -> Result<StreamPosition, StorageError> {
        diesel::insert_into(rooms::table)
            .values((
                rooms::room_id.eq(&self.room_id),
                rooms::version.eq(&self.version),
                rooms::creator.eq(&self.creator),
                rooms::created_ts.eq(self.created_ts),
                rooms::txn_key.eq(self.txn_key),
                rooms::published.eq(self.published),
                rooms::joined_members.eq(0),
                rooms::invited_members.eq(0),
            ))
            .execute(tx.conn)
            .map_err(StorageError::from_diesel)?;
        if let Some(alias) = self.alias {
            diesel::insert_into(room_aliases::table)
                .values((
                    room_aliases::alias.eq(alias),
                    room_aliases::room_id.eq(&self.room_id),
                    room_aliases::creator.eq(&self.creator),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
        }
        let positions = write_in_order(tx, self.events)?;
        Ok(positions.last().copied().unwrap_or(StreamPosition::START))
    }
}

/// Gives appends their positions and writes them; gives the positions.
pub(crate) fn write_in_order(
    tx: &mut WriteTx<'_>,
    mut appends: Vec<PreparedAppend>,
) -> Result<Vec<StreamPosition>, StorageError> {
    let mut positions = Vec::with_capacity(appends.len());
    for append in &mut appends {
        let position = tx.next_position();
        // Nobody else holds it before it is announced.
        Arc::make_mut(&mut append.event).position = position;
        positions.push(position);
    }
    write_appends(tx, &appends.iter().collect::<Vec<_>>())?;
    Ok(positions)
}

#[async_trait]
impl RoomStore for Db {
    fn append(&self, append: Append) -> Committed {
        let queued = self.writer.append(PreparedAppend::new(append));
        Box::pin(async move {
            queued?
                .await
                .map_err(|_| StorageError::Unavailable("the writer has stopped".to_owned()))?
        })
    }

    async fn settle(&self) -> Result<(), StorageError> {
        self.write(|_| Ok(())).await
    }

    async fn create_room(&self, room: NewRoom) -> Result<StreamPosition, StorageError> {
        let room = PreparedRoom::new(room);
        self.write(move |tx| room.write(tx)).await
    }

    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHeadRow>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let version: Option<String> = rooms::table
                .find(room_id.as_str())
                .select(rooms::version)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            let Some(version) = version else {
                return Ok(None);
            };
            let newest: Option<(i64, EventRow)> = events::table
                .filter(events::room_id.eq(room_id.as_str()))
                .order(events::position.desc())
                .select((events::depth, EventRow::as_select()))
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            let (depth, newest) = newest.ok_or_else(|| damaged("room (it has no events)"))?;
            Ok(Some(RoomHeadRow {
                version: RoomVersionId::try_from(version).map_err(|_| damaged("room version"))?,
                newest: Arc::new(newest.try_into()?),
                depth: ms(depth),
            }))
        })
        .await
    }

    async fn current_state(
        &self,
        room_id: &RoomId,
        keys: Vec<StateKey>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| entries_at(conn, room_id.as_str(), &keys, NOW))
            .await
    }

    async fn event_of_transaction(
        &self,
        transaction: TransactionKey,
    ) -> Result<Option<OwnedEventId>, StorageError> {
        self.read(move |conn| {
            let found: Option<String> = events::table
                .filter(events::txn_key.eq(transaction.as_bytes().to_vec()))
                .select(events::event_id)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            found.map(|event_id| id(event_id, "event ID")).transpose()
        })
        .await
    }

    async fn room_of_transaction(
        &self,
        transaction: TransactionKey,
    ) -> Result<Option<OwnedRoomId>, StorageError> {
        self.read(move |conn| {
            let found: Option<String> = rooms::table
                .filter(rooms::txn_key.eq(transaction.as_bytes().to_vec()))
                .select(rooms::room_id)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            found.map(|room_id| id(room_id, "room ID")).transpose()
        })
        .await
    }

    async fn room_version(&self, room_id: &RoomId) -> Result<Option<RoomVersionId>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let version: Option<String> = rooms::table
                .find(room_id.as_str())
                .select(rooms::version)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            version
                .map(|v| RoomVersionId::try_from(v).map_err(|_| damaged("room version")))
                .transpose()
        })
        .await
    }

    async fn local_joined_members(
        &self,
        room_id: &RoomId,
        server_name: &ServerName,
        limit: u64,
    ) -> Result<Vec<OwnedUserId>, StorageError> {
        let (room_id, suffix) = (room_id.to_owned(), format!("%:{server_name}"));
        self.read(move |conn| {
            let users: Vec<String> = memberships::table
                .filter(memberships::room_id.eq(room_id.as_str()))
                .filter(memberships::membership.eq(MembershipState::Join.as_str()))
                .filter(memberships::user_id.like(suffix))
                .order(memberships::position.asc())
                .limit(ts(limit))
                .select(memberships::user_id)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            users
                .into_iter()
                .map(|user_id| id(user_id, "user ID"))
                .collect()
        })
        .await
    }

    async fn joined_any(
        &self,
        user_id: &UserId,
        room_ids: &[OwnedRoomId],
    ) -> Result<bool, StorageError> {
        let user_id = user_id.to_string();
        let room_ids: Vec<String> = room_ids.iter().map(ToString::to_string).collect();
        self.read(move |conn| {
            let joined: i64 = memberships::table
                .filter(memberships::user_id.eq(user_id))
                .filter(memberships::room_id.eq_any(room_ids))
                .filter(memberships::membership.eq(MembershipState::Join.as_str()))
                .count()
                .get_result(conn)
                .map_err(StorageError::from_diesel)?;
            Ok(joined > 0)
        })
        .await
    }
}
