//! Profiles.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_storage::{Profile, ProfileStore, StorageError};
use greenroom_stream::ChangeKind;
use ruma::{OwnedUserId, UserId};
use serde_json::Value;

use crate::{
    Db,
    accounts::is_active,
    connection::{FromDiesel, on_either},
    rows::{damaged, id, ms},
    schema::{accounts, profile_changes, profile_fields},
    text::{pack_owned, unpack},
    user_directory::write_words,
};

/// The keys that member events carry.
const IN_MEMBER_EVENTS: [&str; 2] = [DISPLAY_NAME, "avatar_url"];
/// The one that users are found by.
const DISPLAY_NAME: &str = "displayname";
/// How many users one query asks for: databases bound the number of its parameters.
const USERS_AT_ONCE: usize = 500;

#[async_trait]
impl ProfileStore for Db {
    async fn profile(&self, user_id: &UserId) -> Result<Option<Profile>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let deactivated: Option<bool> = accounts::table
                .find(user_id.as_str())
                .select(accounts::deactivated)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            if deactivated != Some(false) {
                return Ok(None);
            }
            let rows: Vec<(String, Vec<u8>)> = profile_fields::table
                .filter(profile_fields::user_id.eq(user_id.as_str()))
                .order(profile_fields::field.asc())
                .select((profile_fields::field, profile_fields::value))
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            let mut profile = Profile::new();
            for (field, value) in rows {
                let value = serde_json::from_slice(&value).map_err(|_| damaged("profile"))?;
                profile.insert(unpack(field), value);
            }
            Ok(Some(profile))
        })
        .await
    }

    async fn names(
        &self,
        user_ids: &[OwnedUserId],
    ) -> Result<HashMap<OwnedUserId, Profile>, StorageError> {
        let user_ids: Vec<String> = user_ids.iter().map(ToString::to_string).collect();
        self.read(move |conn| {
            let mut names = HashMap::<OwnedUserId, Profile>::new();
            for some in user_ids.chunks(USERS_AT_ONCE) {
                let rows: Vec<(String, String, Vec<u8>)> = profile_fields::table
                    .filter(profile_fields::user_id.eq_any(some))
                    .filter(profile_fields::field.eq_any(IN_MEMBER_EVENTS))
                    .select((
                        profile_fields::user_id,
                        profile_fields::field,
                        profile_fields::value,
                    ))
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                for (user_id, field, value) in rows {
                    let value = serde_json::from_slice(&value).map_err(|_| damaged("profile"))?;
                    let fields = names.entry(id(user_id, "user ID")?).or_default();
                    fields.insert(field, value);
                }
            }
            Ok(names)
        })
        .await
    }

    async fn set_profile_field(
        &self,
        user_id: &UserId,
        key: &str,
        value: Option<Value>,
    ) -> Result<bool, StorageError> {
        let (user_id, key) = (user_id.to_owned(), key.to_owned());
        self.write(move |tx| {
            if !is_active(tx, &user_id)? {
                return Ok(false);
            }
            let field = pack_owned(&key);
            if key == DISPLAY_NAME {
                let name = value.as_ref().and_then(Value::as_str);
                write_words(tx.conn, &user_id, name).map_err(StorageError::from_diesel)?;
            }
            match value {
                Some(value) => {
                    let value = value.to_string().into_bytes();
                    let row = || {
                        (
                            profile_fields::user_id.eq(user_id.as_str()),
                            profile_fields::field.eq(&field),
                            profile_fields::value.eq(&value),
                        )
                    };
                    on_either!(tx.conn, c => diesel::insert_into(profile_fields::table)
                        .values(row())
                        .on_conflict((profile_fields::user_id, profile_fields::field))
                        .do_update()
                        .set(row())
                        .execute(c))
                }
                None => diesel::delete(profile_fields::table.find((user_id.as_str(), &field)))
                    .execute(tx.conn),
            }
            .map_err(StorageError::from_diesel)?;
            let position = tx.change(ChangeKind::Profile {
                user_id: user_id.clone(),
            });
            if IN_MEMBER_EVENTS.contains(&key.as_str()) {
                let note = || {
                    (
                        profile_changes::user_id.eq(user_id.as_str()),
                        profile_changes::version.eq(position.0),
                    )
                };
                on_either!(tx.conn, c => diesel::insert_into(profile_changes::table)
                    .values(note())
                    .on_conflict(profile_changes::user_id)
                    .do_update()
                    .set(note())
                    .execute(c))
                .map_err(StorageError::from_diesel)?;
            }
            Ok(true)
        })
        .await
    }

    async fn pending_profile_changes(&self) -> Result<Vec<(OwnedUserId, u64)>, StorageError> {
        self.read(move |conn| {
            let rows: Vec<(String, i64)> = profile_changes::table
                .order(profile_changes::version.asc())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter()
                .map(|(user_id, version)| Ok((id(user_id, "user ID")?, ms(version))))
                .collect()
        })
        .await
    }

    async fn profile_change_done(
        &self,
        user_id: &UserId,
        version: u64,
    ) -> Result<(), StorageError> {
        let user_id = user_id.to_owned();
        self.write(move |tx| {
            diesel::delete(
                profile_changes::table
                    .filter(profile_changes::user_id.eq(user_id.as_str()))
                    .filter(profile_changes::version.le(crate::rows::ts(version))),
            )
            .execute(tx.conn)
            .map_err(StorageError::from_diesel)?;
            Ok(())
        })
        .await
    }
}
