//! Devices, and the tokens that speak for them.

use async_trait::async_trait;
use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_storage::{
    Device, DeviceStore, NewSession, Refresh, Session, StorageError, TokenHash,
};
use greenroom_stream::ChangeKind;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::{
    Db,
    accounts::is_active,
    connection::{AnyConnection, FromDiesel},
    pushers::delete_pushers,
    rows::{id, ms, ts},
    schema::{access_tokens, accounts, devices, refresh_tokens},
    text::{pack, unpack},
    writer::WriteTx,
};

diesel::allow_tables_to_appear_in_same_query!(access_tokens, accounts);

/// How long a refresh token that was replaced is remembered, so that a copy of it is recognized.
const REMEMBER_TRADED_MS: u64 = 60 * 24 * 3_600_000;

fn bytes(token: TokenHash) -> Vec<u8> {
    token.0.to_vec()
}

/// Creates a device or replaces the tokens of an existing one.
pub(crate) fn write_session(
    tx: &mut WriteTx<'_>,
    user_id: &UserId,
    session: &NewSession,
) -> Result<(), StorageError> {
    let device_id = pack(session.device_id.as_str());
    let existing: i64 = devices::table
        .filter(devices::user_id.eq(user_id.as_str()))
        .filter(devices::device_id.eq(&device_id))
        .count()
        .get_result(tx.conn)
        .map_err(StorageError::from_diesel)?;
    if existing > 0 {
        delete_tokens(tx.conn, user_id, &device_id).map_err(StorageError::from_diesel)?;
        tx.change(ChangeKind::SessionsEnded {
            user_id: user_id.to_owned(),
            device_id: Some(session.device_id.clone()),
        });
    } else {
        diesel::insert_into(devices::table)
            .values((
                devices::user_id.eq(user_id.as_str()),
                devices::device_id.eq(&device_id),
                devices::display_name.eq(session.display_name.as_deref().map(pack)),
                devices::created_ts.eq(ts(session.created_ts_ms)),
            ))
            .execute(tx.conn)
            .map_err(StorageError::from_diesel)?;
    }
    write_tokens(
        tx.conn,
        (user_id.as_str(), &device_id),
        session.access_token,
        session.access_expires_ts_ms,
        session.refresh_token,
    )
    .map_err(StorageError::from_diesel)
}

/// `device_id` as stored.
fn write_tokens(
    conn: &mut AnyConnection,
    (user_id, device_id): (&str, &str),
    access_token: TokenHash,
    expires_ts_ms: Option<u64>,
    refresh_token: Option<TokenHash>,
) -> diesel::QueryResult<()> {
    diesel::insert_into(access_tokens::table)
        .values((
            access_tokens::token_hash.eq(bytes(access_token)),
            access_tokens::user_id.eq(user_id),
            access_tokens::device_id.eq(device_id),
            access_tokens::expires_ts.eq(expires_ts_ms.map(ts)),
        ))
        .execute(conn)?;
    if let Some(refresh_token) = refresh_token {
        diesel::insert_into(refresh_tokens::table)
            .values((
                refresh_tokens::token_hash.eq(bytes(refresh_token)),
                refresh_tokens::user_id.eq(user_id),
                refresh_tokens::device_id.eq(device_id),
                refresh_tokens::used.eq(false),
                refresh_tokens::next_access.eq(None::<Vec<u8>>),
                refresh_tokens::traded_ts.eq(None::<i64>),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// `device_id` as stored.
fn delete_tokens(
    conn: &mut AnyConnection,
    user_id: &UserId,
    device_id: &str,
) -> diesel::QueryResult<()> {
    diesel::delete(
        access_tokens::table
            .filter(access_tokens::user_id.eq(user_id.as_str()))
            .filter(access_tokens::device_id.eq(device_id)),
    )
    .execute(conn)?;
    diesel::delete(
        refresh_tokens::table
            .filter(refresh_tokens::user_id.eq(user_id.as_str()))
            .filter(refresh_tokens::device_id.eq(device_id)),
    )
    .execute(conn)?;
    Ok(())
}

/// Deletes one device, or all but `keep`, with their tokens. Gives how many there were.
pub(crate) fn delete_sessions(
    tx: &mut WriteTx<'_>,
    user_id: &UserId,
    only: Option<&DeviceId>,
    keep: Option<&DeviceId>,
) -> Result<usize, StorageError> {
    let all: Vec<String> = devices::table
        .filter(devices::user_id.eq(user_id.as_str()))
        .select(devices::device_id)
        .load(tx.conn)
        .map_err(StorageError::from_diesel)?;
    let mut deleted = 0;
    for stored in all {
        let device_id = OwnedDeviceId::from(unpack(stored.clone()));
        if only.is_some_and(|only| only != device_id) || keep == Some(&*device_id) {
            continue;
        }
        delete_tokens(tx.conn, user_id, &stored).map_err(StorageError::from_diesel)?;
        delete_pushers(tx.conn, user_id, &stored).map_err(StorageError::from_diesel)?;
        diesel::delete(devices::table.find((user_id.as_str(), &stored)))
            .execute(tx.conn)
            .map_err(StorageError::from_diesel)?;
        tx.change(ChangeKind::SessionsEnded {
            user_id: user_id.to_owned(),
            device_id: Some(device_id),
        });
        deleted += 1;
    }
    Ok(deleted)
}

fn session_of(conn: &mut AnyConnection, token: &[u8]) -> Result<Option<Session>, StorageError> {
    let row: Option<(String, String, Option<i64>, bool)> = access_tokens::table
        .inner_join(accounts::table.on(accounts::user_id.eq(access_tokens::user_id)))
        .filter(access_tokens::token_hash.eq(token))
        .filter(accounts::deactivated.eq(false))
        .select((
            access_tokens::user_id,
            access_tokens::device_id,
            access_tokens::expires_ts,
            accounts::admin,
        ))
        .first(conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    row.map(|(user_id, device_id, expires_ts, admin)| {
        Ok(Session {
            user_id: id::<OwnedUserId>(user_id, "user ID")?,
            device_id: unpack(device_id).into(),
            access_expires_ts_ms: expires_ts.map(ms),
            admin,
        })
    })
    .transpose()
}

#[async_trait]
impl DeviceStore for Db {
    async fn create_session(
        &self,
        user_id: &UserId,
        session: NewSession,
    ) -> Result<bool, StorageError> {
        let user_id = user_id.to_owned();
        self.write(move |tx| {
            if !is_active(tx, &user_id)? {
                return Ok(false);
            }
            write_session(tx, &user_id, &session)?;
            Ok(true)
        })
        .await
    }

    async fn session(&self, access_token: TokenHash) -> Result<Option<Session>, StorageError> {
        self.read(move |conn| session_of(conn, &access_token.0))
            .await
    }

    async fn refresh(
        &self,
        refresh_token: TokenHash,
        access_token: TokenHash,
        access_expires_ts_ms: Option<u64>,
        new_refresh_token: TokenHash,
        now_ms: u64,
    ) -> Result<Refresh, StorageError> {
        self.write(move |tx| {
            let row: Option<(String, String, bool, Option<Vec<u8>>)> = refresh_tokens::table
                .find(bytes(refresh_token))
                .select((
                    refresh_tokens::user_id,
                    refresh_tokens::device_id,
                    refresh_tokens::used,
                    refresh_tokens::next_access,
                ))
                .first(tx.conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            let Some((user_id, device_id, used, next_access)) = row else {
                return Ok(Refresh::Unknown);
            };
            let user_id: OwnedUserId = id(user_id, "user ID")?;
            tx.change(ChangeKind::SessionsEnded {
                user_id: user_id.clone(),
                device_id: Some(unpack(device_id.clone()).into()),
            });
            if used {
                delete_tokens(tx.conn, &user_id, &device_id).map_err(StorageError::from_diesel)?;
                // Whoever set it, it may be whoever holds the copy.
                delete_pushers(tx.conn, &user_id, &device_id).map_err(StorageError::from_diesel)?;
                return Ok(Refresh::Reused);
            }
            let device = (user_id.as_str(), device_id.as_str());
            end_pair(
                tx.conn,
                device,
                refresh_token,
                next_access.is_none(),
                now_ms,
            )
            .map_err(StorageError::from_diesel)?;
            write_tokens(
                tx.conn,
                device,
                access_token,
                access_expires_ts_ms,
                Some(new_refresh_token),
            )
            .map_err(StorageError::from_diesel)?;
            diesel::update(refresh_tokens::table.find(bytes(refresh_token)))
                .set((
                    refresh_tokens::next_access.eq(Some(bytes(access_token))),
                    refresh_tokens::traded_ts.eq(Some(ts(now_ms))),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(session_of(tx.conn, &access_token.0)?.map_or(Refresh::Unknown, Refresh::Done))
        })
        .await
    }

    async fn confirm_refresh(&self, access_token: TokenHash) -> Result<(), StorageError> {
        // Most access tokens replaced no refresh token: a look is cheap, a commit is not.
        let waiting = self
            .read(move |conn| {
                refresh_tokens::table
                    .filter(refresh_tokens::next_access.eq(Some(bytes(access_token))))
                    .filter(refresh_tokens::used.eq(false))
                    .count()
                    .get_result::<i64>(conn)
                    .map_err(StorageError::from_diesel)
            })
            .await?;
        if waiting == 0 {
            return Ok(());
        }
        self.write(move |tx| {
            diesel::update(refresh_tokens::table)
                .filter(refresh_tokens::next_access.eq(Some(bytes(access_token))))
                .set(refresh_tokens::used.eq(true))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(())
        })
        .await
    }

    async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<(String, Option<String>, i64)> = devices::table
                .filter(devices::user_id.eq(user_id.as_str()))
                .order(devices::device_id.asc())
                .select((
                    devices::device_id,
                    devices::display_name,
                    devices::created_ts,
                ))
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            Ok(rows
                .into_iter()
                .map(|(device_id, display_name, created_ts)| Device {
                    device_id: unpack(device_id).into(),
                    display_name: display_name.map(unpack),
                    created_ts_ms: ms(created_ts),
                })
                .collect())
        })
        .await
    }

    async fn delete_device(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
    ) -> Result<bool, StorageError> {
        let (user_id, device_id) = (user_id.to_owned(), device_id.to_owned());
        self.write(move |tx| Ok(delete_sessions(tx, &user_id, Some(&device_id), None)? > 0))
            .await
    }

    async fn delete_devices(&self, user_id: &UserId) -> Result<(), StorageError> {
        let user_id = user_id.to_owned();
        self.write(move |tx| delete_sessions(tx, &user_id, None, None).map(|_| ()))
            .await
    }
}

/// Ends the pair that stands when `traded` is traded: the access token, and every unused refresh
/// token but `traded`.
///
/// If `traded` is traded for the `first` time, it is the pair's own: its use ends the token that
/// it replaced, which is kept to recognize a copy. Otherwise the client has lost the pair, and
/// asks again with the token before it: of the lost pair nothing is kept.
fn end_pair(
    conn: &mut AnyConnection,
    (user_id, device_id): (&str, &str),
    traded: TokenHash,
    first: bool,
    now_ms: u64,
) -> diesel::QueryResult<()> {
    diesel::delete(
        access_tokens::table
            .filter(access_tokens::user_id.eq(user_id))
            .filter(access_tokens::device_id.eq(device_id)),
    )
    .execute(conn)?;
    let others = || {
        refresh_tokens::table
            .filter(refresh_tokens::user_id.eq(user_id))
            .filter(refresh_tokens::device_id.eq(device_id))
            .filter(refresh_tokens::token_hash.ne(bytes(traded)))
    };
    if first {
        diesel::update(others().filter(refresh_tokens::next_access.is_not_null()))
            .set(refresh_tokens::used.eq(true))
            .execute(conn)?;
    }
    diesel::delete(others().filter(refresh_tokens::used.eq(false))).execute(conn)?;
    let forgotten = now_ms.saturating_sub(REMEMBER_TRADED_MS);
    diesel::delete(others().filter(refresh_tokens::traded_ts.lt(Some(ts(forgotten)))))
        .execute(conn)?;
    Ok(())
}
