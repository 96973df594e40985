//! Stored filters.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_storage::{FilterStore, StorageError};
use ruma::UserId;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    Db,
    connection::FromDiesel,
    rows::{damaged, ts},
    schema::filters,
    text::pack_owned,
};

/// The filter's ID: from its content, so that storing it again gives the same one.
fn filter_id(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    let id = URL_SAFE_NO_PAD.encode(digest);
    // 96 bits: a collision would need one user to look for it, in their own filters. An ID must
    // not start with `{`, which would make it an inline filter; base64 has none.
    id.chars().take(16).collect()
}

#[async_trait]
impl FilterStore for Db {
    async fn store_filter(
        &self,
        user_id: &UserId,
        filter: Box<RawValue>,
        cap: u64,
    ) -> Result<Option<String>, StorageError> {
        let user_id = user_id.to_owned();
        let filter_id = filter_id(filter.get());
        self.write(move |tx| {
            let known: i64 = filters::table
                .filter(filters::user_id.eq(user_id.as_str()))
                .filter(filters::filter_id.eq(&filter_id))
                .count()
                .get_result(tx.conn)
                .map_err(StorageError::from_diesel)?;
            if known > 0 {
                return Ok(Some(filter_id));
            }
            let held: i64 = filters::table
                .filter(filters::user_id.eq(user_id.as_str()))
                .count()
                .get_result(tx.conn)
                .map_err(StorageError::from_diesel)?;
            if held >= ts(cap) {
                return Ok(None);
            }
            diesel::insert_into(filters::table)
                .values((
                    filters::user_id.eq(user_id.as_str()),
                    filters::filter_id.eq(&filter_id),
                    filters::content.eq(filter.get().as_bytes()),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(Some(filter_id))
        })
        .await
    }

    async fn filter(
        &self,
        user_id: &UserId,
        filter_id: &str,
    ) -> Result<Option<Box<RawValue>>, StorageError> {
        let (user_id, filter_id) = (user_id.to_owned(), pack_owned(filter_id));
        self.read(move |conn| {
            let content: Option<Vec<u8>> = filters::table
                .find((user_id.as_str(), filter_id))
                .select(filters::content)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            content
                .map(|content| {
                    String::from_utf8(content)
                        .ok()
                        .and_then(|text| RawValue::from_string(text).ok())
                        .ok_or_else(|| damaged("filter"))
                })
                .transpose()
        })
        .await
    }
}
