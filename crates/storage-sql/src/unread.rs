//! What is unread, and the push rules that say so.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, dsl::max,
};
use greenroom_model::StreamPosition;
use greenroom_storage::{KeptUnread, ReadUpto, Reading, StorageError, UnreadStore};
use ruma::{OwnedRoomId, RoomId, UserId};
use serde_json::value::RawValue;

use crate::{
    Db,
    account_data::write_account_data,
    connection::{FromDiesel, on_either},
    rows::id,
    schema::{events, receipts, unread},
    text::unpack,
    writer::WriteTx,
};

fn write_unread(
    tx: &mut WriteTx<'_>,
    user_id: &UserId,
    rows: &[(OwnedRoomId, KeptUnread)],
) -> Result<(), StorageError> {
    for (room_id, kept) in rows {
        let row = || {
            (
                unread::user_id.eq(user_id.as_str()),
                unread::room_id.eq(room_id.as_str()),
                unread::judged_upto.eq(kept.judged_upto.0),
                unread::events.eq(&kept.events),
            )
        };
        let standing: Option<i64> = unread::table
            .find((user_id.as_str(), room_id.as_str()))
            .select(unread::judged_upto)
            .first(tx.conn)
            .optional()
            .map_err(StorageError::from_diesel)?;
        if standing.is_some_and(|standing| standing > kept.judged_upto.0) {
            continue;
        }
        on_either!(tx.conn, c => diesel::insert_into(unread::table)
            .values(row())
            .on_conflict((unread::user_id, unread::room_id))
            .do_update()
            .set(row())
            .execute(c))
        .map_err(StorageError::from_diesel)?;
    }
    Ok(())
}

/// Forgets what was unread in a room within an act.
pub(crate) fn forget_unread(
    tx: &mut WriteTx<'_>,
    user_id: &UserId,
    room_id: &RoomId,
) -> Result<(), StorageError> {
    diesel::delete(unread::table.find((user_id.as_str(), room_id.as_str())))
        .execute(tx.conn)
        .map_err(StorageError::from_diesel)?;
    Ok(())
}

#[async_trait]
impl UnreadStore for Db {
    async fn reading(&self, user_id: &UserId, room_id: &RoomId) -> Result<Reading, StorageError> {
        let (user_id, room_id) = (user_id.to_owned(), room_id.to_owned());
        self.read(move |conn| {
            let kept: Option<(i64, Vec<u8>)> = unread::table
                .find((user_id.as_str(), room_id.as_str()))
                .select((unread::judged_upto, unread::events))
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            let rows: Vec<(String, i64, i64)> = receipts::table
                .filter(
                    receipts::room_id
                        .eq(room_id.as_str())
                        .and(receipts::user_id.eq(user_id.as_str())),
                )
                .select((
                    receipts::thread_id,
                    receipts::event_position,
                    receipts::position,
                ))
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            Ok(Reading {
                unread: kept.map(|(judged_upto, events)| KeptUnread {
                    judged_upto: StreamPosition(judged_upto),
                    events,
                }),
                receipts: rows
                    .into_iter()
                    .map(|(thread_id, event_position, position)| ReadUpto {
                        thread_id: (!thread_id.is_empty()).then(|| unpack(thread_id)),
                        event_position: StreamPosition(event_position),
                        position: StreamPosition(position),
                    })
                    .collect(),
            })
        })
        .await
    }

    async fn judged_upto(
        &self,
        user_id: &UserId,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<(String, i64)> = unread::table
                .filter(unread::user_id.eq(user_id.as_str()))
                .select((unread::room_id, unread::judged_upto))
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter()
                .map(|(room_id, upto)| Ok((id(room_id, "room ID")?, StreamPosition(upto))))
                .collect()
        })
        .await
    }

    async fn newest_events(
        &self,
        room_ids: Vec<OwnedRoomId>,
        upto: StreamPosition,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>, StorageError> {
        self.read(move |conn| {
            let mut found = Vec::with_capacity(room_ids.len());
            // A place in an index each; one grouped query would read every event.
            for room_id in room_ids {
                let newest: Option<i64> = events::table
                    .filter(events::room_id.eq(room_id.as_str()))
                    .filter(events::position.le(upto.0))
                    .select(max(events::position))
                    .first(conn)
                    .map_err(StorageError::from_diesel)?;
                found.extend(newest.map(|newest| (room_id, StreamPosition(newest))));
            }
            Ok(found)
        })
        .await
    }

    async fn keep_unread(
        &self,
        user_id: &UserId,
        unread: Vec<(OwnedRoomId, KeptUnread)>,
    ) -> Result<(), StorageError> {
        let user_id = user_id.to_owned();
        self.write(move |tx| write_unread(tx, &user_id, &unread))
            .await
    }

    async fn set_push_rules(
        &self,
        user_id: &UserId,
        content: Box<RawValue>,
        unread: Vec<(OwnedRoomId, KeptUnread)>,
    ) -> Result<StreamPosition, StorageError> {
        let user_id = user_id.to_owned();
        self.write(move |tx| {
            write_unread(tx, &user_id, &unread)?;
            let content = content.get().as_bytes();
            write_account_data(tx, &user_id, None, "m.push_rules", content)
        })
        .await
    }
}
