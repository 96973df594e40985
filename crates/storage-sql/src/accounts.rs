//! Accounts and registration tokens.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension,
    QueryDsl, RunQueryDsl,
};
use greenroom_storage::{
    Account, AccountStore, NewAccount, NewSession, Registration, RegistrationToken, StorageError,
};
use greenroom_stream::ChangeKind;
use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::Value;

use crate::{
    Db,
    connection::FromDiesel,
    devices::{delete_sessions, write_session},
    rows::{id, ms, ts},
    schema::{
        account_data, accounts, filters, profile_changes, profile_fields, registration_tokens,
        uia_sessions,
    },
    text::{pack, pack_owned, unpack},
    user_directory::{forget_words, write_words},
    writer::WriteTx,
};

/// The columns of a registration token, as stored.
type TokenRow = (String, Option<i64>, i64, Option<i64>);

fn token((token, allowed, uses, expires): TokenRow) -> RegistrationToken {
    RegistrationToken {
        token: unpack(token),
        uses_allowed: allowed.map(ms),
        uses: ms(uses),
        expires_ts_ms: expires.map(ms),
    }
}

/// Whether an account exists and is not deactivated.
pub(crate) fn is_active(tx: &mut WriteTx<'_>, user_id: &UserId) -> Result<bool, StorageError> {
    let active: Option<bool> = accounts::table
        .find(user_id.as_str())
        .select(accounts::deactivated.eq(false))
        .first(tx.conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    Ok(active == Some(true))
}

/// Uses a registration token up by one. The condition is part of the update, so it cannot be
/// raced past.
fn use_token(tx: &mut WriteTx<'_>, token: &str, now_ms: u64) -> Result<bool, StorageError> {
    let usable = registration_tokens::uses_allowed
        .is_null()
        .or(registration_tokens::uses_allowed.gt(registration_tokens::uses.nullable()));
    let current = registration_tokens::expires_ts
        .is_null()
        .or(registration_tokens::expires_ts.gt(ts(now_ms)));
    let used = diesel::update(registration_tokens::table)
        .filter(registration_tokens::token.eq(pack(token)))
        .filter(usable)
        .filter(current)
        .set(registration_tokens::uses.eq(registration_tokens::uses + 1))
        .execute(tx.conn)
        .map_err(StorageError::from_diesel)?;
    Ok(used == 1)
}

#[async_trait]
impl AccountStore for Db {
    async fn register(
        &self,
        account: NewAccount,
        session: Option<NewSession>,
        registration_token: Option<String>,
    ) -> Result<Registration, StorageError> {
        self.write(move |tx| {
            let taken: i64 = accounts::table
                .filter(accounts::user_id.eq(account.user_id.as_str()))
                .count()
                .get_result(tx.conn)
                .map_err(StorageError::from_diesel)?;
            if taken > 0 {
                return Ok(Registration::UserIdTaken);
            }
            if let Some(token) = registration_token
                && !use_token(tx, &token, account.created_ts_ms)?
            {
                return Ok(Registration::TokenRefused);
            }
            diesel::insert_into(accounts::table)
                .values((
                    accounts::user_id.eq(account.user_id.as_str()),
                    accounts::password_hash.eq(account.password_hash),
                    accounts::admin.eq(account.admin),
                    accounts::deactivated.eq(false),
                    accounts::created_ts.eq(ts(account.created_ts_ms)),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            let name = Value::from(account.user_id.localpart())
                .to_string()
                .into_bytes();
            diesel::insert_into(profile_fields::table)
                .values((
                    profile_fields::user_id.eq(account.user_id.as_str()),
                    profile_fields::field.eq("displayname"),
                    profile_fields::value.eq(name),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            write_words(tx.conn, &account.user_id, Some(account.user_id.localpart()))
                .map_err(StorageError::from_diesel)?;
            if let Some(session) = session {
                write_session(tx, &account.user_id, &session)?;
            }
            Ok(Registration::Done)
        })
        .await
    }

    async fn account(&self, user_id: &UserId) -> Result<Option<Account>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let row: Option<(String, Option<String>, bool, bool, i64)> = accounts::table
                .find(user_id.as_str())
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            row.map(|(user_id, password_hash, admin, deactivated, created_ts)| {
                Ok(Account {
                    user_id: id::<OwnedUserId>(user_id, "user ID")?,
                    password_hash,
                    admin,
                    deactivated,
                    created_ts_ms: ms(created_ts),
                })
            })
            .transpose()
        })
        .await
    }

    async fn set_password(
        &self,
        user_id: &UserId,
        password_hash: String,
        end_sessions: bool,
        keep_device: Option<&DeviceId>,
    ) -> Result<bool, StorageError> {
        let (user_id, keep) = (user_id.to_owned(), keep_device.map(ToOwned::to_owned));
        self.write(move |tx| {
            let changed = diesel::update(accounts::table)
                .filter(accounts::user_id.eq(user_id.as_str()))
                .filter(accounts::deactivated.eq(false))
                .set(accounts::password_hash.eq(Some(password_hash)))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            if changed == 0 {
                return Ok(false);
            }
            if end_sessions {
                delete_sessions(tx, &user_id, None, keep.as_deref())?;
            }
            Ok(true)
        })
        .await
    }

    async fn deactivate(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let user_id = user_id.to_owned();
        self.write(move |tx| {
            let changed = diesel::update(accounts::table)
                .filter(accounts::user_id.eq(user_id.as_str()))
                .filter(accounts::deactivated.eq(false))
                .set((
                    accounts::deactivated.eq(true),
                    accounts::password_hash.eq(None::<String>),
                    accounts::admin.eq(false),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            if changed == 0 {
                return Ok(false);
            }
            delete_sessions(tx, &user_id, None, None)?;
            forget_words(tx.conn, &user_id).map_err(StorageError::from_diesel)?;
            let user = user_id.as_str();
            let gone = [
                diesel::delete(profile_fields::table.filter(profile_fields::user_id.eq(user)))
                    .execute(tx.conn),
                diesel::delete(profile_changes::table.filter(profile_changes::user_id.eq(user)))
                    .execute(tx.conn),
                diesel::delete(account_data::table.filter(account_data::user_id.eq(user)))
                    .execute(tx.conn),
                diesel::delete(filters::table.filter(filters::user_id.eq(user))).execute(tx.conn),
                diesel::delete(uia_sessions::table.filter(uia_sessions::user_id.eq(user)))
                    .execute(tx.conn),
            ];
            for result in gone {
                result.map_err(StorageError::from_diesel)?;
            }
            tx.change(ChangeKind::Profile { user_id });
            Ok(true)
        })
        .await
    }

    async fn create_registration_token(
        &self,
        token: RegistrationToken,
    ) -> Result<(), StorageError> {
        self.write(move |tx| {
            diesel::insert_into(registration_tokens::table)
                .values((
                    registration_tokens::token.eq(pack(&token.token)),
                    registration_tokens::uses_allowed.eq(token.uses_allowed.map(ts)),
                    registration_tokens::uses.eq(ts(token.uses)),
                    registration_tokens::expires_ts.eq(token.expires_ts_ms.map(ts)),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(())
        })
        .await
    }

    async fn registration_token(
        &self,
        name: &str,
    ) -> Result<Option<RegistrationToken>, StorageError> {
        let name = pack_owned(name);
        self.read(move |conn| {
            let row: Option<TokenRow> = registration_tokens::table
                .find(name)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            Ok(row.map(token))
        })
        .await
    }

    async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, StorageError> {
        self.read(move |conn| {
            let rows: Vec<TokenRow> = registration_tokens::table
                .order(registration_tokens::token.asc())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            Ok(rows.into_iter().map(token).collect())
        })
        .await
    }

    async fn delete_registration_token(&self, token: &str) -> Result<bool, StorageError> {
        let token = pack_owned(token);
        self.write(move |tx| {
            let deleted = diesel::delete(registration_tokens::table.find(token))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(deleted > 0)
        })
        .await
    }
}
