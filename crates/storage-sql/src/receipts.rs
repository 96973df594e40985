//! Read receipts.

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::{Receipt, ReceiptStore, StorageError};
use greenroom_stream::ChangeKind;
use ruma::{OwnedEventId, RoomId, UserId};

use crate::{
    Db,
    account_data::write_account_data,
    connection::{FromDiesel, on_either},
    rows::{id, ms, ts},
    schema::receipts,
    text::{pack, unpack},
    writer::WriteTx,
};

const PRIVATE: &str = "m.read.private";

pub(crate) type ReceiptRow = (String, String, String, String, i64, i64);

type Columns = (
    receipts::user_id,
    receipts::receipt_type,
    receipts::thread_id,
    receipts::event_id,
    receipts::event_position,
    receipts::ts,
);

pub(crate) const COLUMNS: Columns = (
    receipts::user_id,
    receipts::receipt_type,
    receipts::thread_id,
    receipts::event_id,
    receipts::event_position,
    receipts::ts,
);

pub(crate) fn receipt(row: ReceiptRow) -> Result<Receipt, StorageError> {
    let (user_id, receipt_type, thread_id, event_id, at, ts) = row;
    Ok(Receipt {
        user_id: id(user_id, "user ID")?,
        receipt_type: unpack(receipt_type),
        thread_id: (!thread_id.is_empty()).then(|| unpack(thread_id)),
        event_id: id(unpack(event_id), "event ID")?,
        event_position: StreamPosition(at),
        ts_ms: ms(ts),
    })
}

fn write_receipt(
    tx: &mut WriteTx<'_>,
    room_id: &RoomId,
    user_id: &UserId,
    receipt: &Receipt,
) -> Result<(), StorageError> {
    let thread_id = pack(receipt.thread_id.as_deref().unwrap_or_default());
    let receipt_type = pack(&receipt.receipt_type);
    let standing: Option<i64> = receipts::table
        .find((
            room_id.as_str(),
            user_id.as_str(),
            &receipt_type,
            &thread_id,
        ))
        .select(receipts::event_position)
        .first(tx.conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    if standing.is_some_and(|standing| standing >= receipt.event_position.0) {
        return Ok(());
    }
    let position = tx.change(ChangeKind::Receipt {
        room_id: room_id.to_owned(),
        user_id: user_id.to_owned(),
        private: receipt.receipt_type == PRIVATE,
        thread_id: receipt.thread_id.clone(),
        event_position: receipt.event_position,
    });
    let row = || {
        (
            receipts::room_id.eq(room_id.as_str()),
            receipts::user_id.eq(user_id.as_str()),
            receipts::receipt_type.eq(&receipt_type),
            receipts::thread_id.eq(&thread_id),
            receipts::event_id.eq(pack(receipt.event_id.as_str())),
            receipts::event_position.eq(receipt.event_position.0),
            receipts::ts.eq(ts(receipt.ts_ms)),
            receipts::position.eq(position.0),
        )
    };
    on_either!(tx.conn, c => diesel::insert_into(receipts::table)
        .values(row())
        .on_conflict((
            receipts::room_id,
            receipts::user_id,
            receipts::receipt_type,
            receipts::thread_id,
        ))
        .do_update()
        .set(row())
        .execute(c))
    .map_err(StorageError::from_diesel)?;
    Ok(())
}

#[async_trait]
impl ReceiptStore for Db {
    async fn set_receipts(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        receipts: Vec<Receipt>,
        fully_read: Option<OwnedEventId>,
    ) -> Result<(), StorageError> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.write(move |tx| {
            for receipt in &receipts {
                write_receipt(tx, &room_id, &user_id, receipt)?;
            }
            if let Some(event_id) = fully_read {
                let content = serde_json::json!({ "event_id": event_id }).to_string();
                let content = content.as_bytes();
                write_account_data(tx, &user_id, Some(&room_id), "m.fully_read", content)?;
            }
            Ok(())
        })
        .await
    }

    async fn receipts(
        &self,
        room_id: &RoomId,
        reader: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<Receipt>, StorageError> {
        let (room_id, reader) = (room_id.to_owned(), reader.to_owned());
        self.read(move |conn| {
            let visible = receipts::receipt_type
                .ne(PRIVATE)
                .or(receipts::user_id.eq(reader.as_str()));
            let rows: Vec<ReceiptRow> = receipts::table
                .filter(receipts::room_id.eq(room_id.as_str()))
                .filter(receipts::position.gt(after.0))
                .filter(receipts::position.le(upto.0))
                .filter(visible)
                .order(receipts::position.asc())
                .select(COLUMNS)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(receipt).collect()
        })
        .await
    }
}
