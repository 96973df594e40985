//! Account data, global and per room.

use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::{AccountDataEntry, AccountDataStore, StorageError};
use greenroom_stream::ChangeKind;
use ruma::{RoomId, UserId};
use serde_json::value::RawValue;

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel, on_either},
    rows::{damaged, id},
    schema::account_data,
    text::{pack_owned, unpack},
    writer::WriteTx,
};

fn raw(content: Vec<u8>) -> Result<Box<RawValue>, StorageError> {
    let text = String::from_utf8(content).map_err(|_| damaged("account data"))?;
    RawValue::from_string(text).map_err(|_| damaged("account data"))
}

pub(crate) type EntryRow = (String, String, Vec<u8>, i64);

type EntryColumns = (
    account_data::room_id,
    account_data::data_type,
    account_data::content,
    account_data::position,
);

pub(crate) const ENTRY: EntryColumns = (
    account_data::room_id,
    account_data::data_type,
    account_data::content,
    account_data::position,
);

pub(crate) fn entry(row: EntryRow) -> Result<AccountDataEntry, StorageError> {
    let (room_id, data_type, content, position) = row;
    let room_id = match room_id.as_str() {
        "" => None,
        _ => Some(id(room_id, "room ID")?),
    };
    Ok(AccountDataEntry {
        room_id,
        data_type: unpack(data_type),
        content: raw(content)?,
        position: StreamPosition(position),
    })
}

pub(crate) fn read_one(
    conn: &mut AnyConnection,
    user_id: &UserId,
    room_id: &str,
    data_type: &str,
) -> Result<Option<Vec<u8>>, StorageError> {
    account_data::table
        .find((user_id.as_str(), room_id, data_type))
        .select(account_data::content)
        .first(conn)
        .optional()
        .map_err(StorageError::from_diesel)
}

/// Sets one piece of account data within an act, and announces it. Gives the change's
/// position.
pub(crate) fn write_account_data(
    tx: &mut WriteTx<'_>,
    user_id: &UserId,
    room_id: Option<&RoomId>,
    data_type: &str,
    content: &[u8],
) -> Result<StreamPosition, StorageError> {
    let position = tx.change(ChangeKind::AccountData {
        user_id: user_id.to_owned(),
        room_id: room_id.map(ToOwned::to_owned),
        data_type: data_type.to_owned(),
    });
    let row = || {
        (
            account_data::user_id.eq(user_id.as_str()),
            account_data::room_id.eq(room_id.map_or("", RoomId::as_str)),
            account_data::data_type.eq(pack_owned(data_type)),
            account_data::content.eq(content),
            account_data::position.eq(position.0),
        )
    };
    on_either!(tx.conn, c => diesel::insert_into(account_data::table)
        .values(row())
        .on_conflict((account_data::user_id, account_data::room_id, account_data::data_type))
        .do_update()
        .set(row())
        .execute(c))
    .map_err(StorageError::from_diesel)?;
    Ok(position)
}

#[async_trait]
impl AccountDataStore for Db {
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
        content: Box<RawValue>,
    ) -> Result<(), StorageError> {
        let (user_id, room_id) = (user_id.to_owned(), room_id.map(ToOwned::to_owned));
        let data_type = data_type.to_owned();
        self.write(move |tx| {
            let content = content.get().as_bytes();
            write_account_data(tx, &user_id, room_id.as_deref(), &data_type, content)?;
            Ok(())
        })
        .await
    }

    async fn account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
    ) -> Result<Option<Box<RawValue>>, StorageError> {
        let user_id = user_id.to_owned();
        let room_id = room_id.map_or_else(String::new, ToString::to_string);
        let data_type = pack_owned(data_type);
        self.read(move |conn| {
            read_one(conn, &user_id, &room_id, &data_type)?
                .map(raw)
                .transpose()
        })
        .await
    }

    async fn set_tag(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        tag: &str,
        content: Option<Box<RawValue>>,
    ) -> Result<(), StorageError> {
        let (user_id, room_id, tag) = (user_id.to_owned(), room_id.to_owned(), tag.to_owned());
        self.write(move |tx| {
            let stored = read_one(tx.conn, &user_id, room_id.as_str(), "m.tag")?;
            let mut data: serde_json::Map<String, serde_json::Value> = stored
                .map(|stored| serde_json::from_slice(&stored))
                .transpose()
                .map_err(|_| damaged("list of tags"))?
                .unwrap_or_default();
            let tags = data.entry("tags").or_insert_with(|| serde_json::json!({}));
            if !tags.is_object() {
                // A client may have written anything through the account data endpoint.
                *tags = serde_json::json!({});
            }
            if let Some(tags) = tags.as_object_mut() {
                match content {
                    Some(content) => {
                        let content = serde_json::from_str(content.get())
                            .map_err(|error| StorageError::Failed(error.to_string()))?;
                        tags.insert(tag, content);
                    }
                    None => {
                        tags.remove(&tag);
                    }
                }
            }
            let content = serde_json::Value::Object(data).to_string();
            write_account_data(tx, &user_id, Some(&room_id), "m.tag", content.as_bytes())?;
            Ok(())
        })
        .await
    }

    async fn account_data_changes(
        &self,
        user_id: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<AccountDataEntry>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<EntryRow> = account_data::table
                .filter(account_data::user_id.eq(user_id.as_str()))
                .filter(account_data::position.gt(after.0))
                .filter(account_data::position.le(upto.0))
                .order(account_data::position.asc())
                .select(ENTRY)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(entry).collect()
        })
        .await
    }
}
