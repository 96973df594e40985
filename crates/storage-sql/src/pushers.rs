//! Pushers and how far they have been served.

use async_trait::async_trait;
use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::{Pusher, PusherId, PusherProgress, PusherStore, SetPusher, StorageError};
use ruma::{OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use serde_json::value::RawValue;

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::{damaged, id, ms, ts},
    schema::{devices, memberships, pushers},
    text::{pack, unpack},
    writer::WriteTx,
};

diesel::allow_tables_to_appear_in_same_query!(memberships, pushers);

#[derive(Queryable)]
struct PusherRow {
    app_id: String,
    pushkey: String,
    user_id: String,
    device_id: String,
    app_display_name: String,
    device_display_name: String,
    profile_tag: Option<String>,
    lang: String,
    data: Vec<u8>,
    set_ts: i64,
    position: i64,
    unread_told: Option<i64>,
    failures: i64,
    retry_ts: i64,
}

impl TryFrom<PusherRow> for (Pusher, PusherProgress) {
    type Error = StorageError;

    fn try_from(row: PusherRow) -> Result<Self, StorageError> {
        let pusher = Pusher {
            id: PusherId {
                user_id: id(row.user_id, "user ID")?,
                app_id: unpack(row.app_id),
                pushkey: unpack(row.pushkey),
            },
            device_id: unpack(row.device_id).into(),
            app_display_name: unpack(row.app_display_name),
            device_display_name: unpack(row.device_display_name),
            profile_tag: row.profile_tag.map(unpack),
            lang: unpack(row.lang),
            data: String::from_utf8(row.data)
                .ok()
                .and_then(|text| RawValue::from_string(text).ok())
                .ok_or_else(|| damaged("pusher"))?,
            set_ts_ms: ms(row.set_ts),
        };
        let progress = PusherProgress {
            position: StreamPosition(row.position),
            unread_told: row.unread_told.map(ms),
            failures: ms(row.failures),
            retry_ts_ms: ms(row.retry_ts),
        };
        Ok((pusher, progress))
    }
}

/// Deletes what a device has set. `device_id` as stored.
pub(crate) fn delete_pushers(
    conn: &mut AnyConnection,
    user_id: &UserId,
    device_id: &str,
) -> diesel::QueryResult<usize> {
    diesel::delete(
        pushers::table
            .filter(pushers::user_id.eq(user_id.as_str()))
            .filter(pushers::device_id.eq(device_id)),
    )
    .execute(conn)
}

/// Updates the pusher if it is known. Gives whether it is.
fn update(conn: &mut AnyConnection, pusher: &Pusher) -> diesel::QueryResult<bool> {
    let (app_id, pushkey) = (pack(&pusher.id.app_id), pack(&pusher.id.pushkey));
    diesel::update(pushers::table.find((&app_id, &pushkey, pusher.id.user_id.as_str())))
        .set((
            pushers::device_id.eq(pack(pusher.device_id.as_str())),
            pushers::app_display_name.eq(pack(&pusher.app_display_name)),
            pushers::device_display_name.eq(pack(&pusher.device_display_name)),
            pushers::profile_tag.eq(pusher.profile_tag.as_deref().map(pack)),
            pushers::lang.eq(pack(&pusher.lang)),
            pushers::data.eq(pusher.data.get().as_bytes()),
            pushers::set_ts.eq(ts(pusher.set_ts_ms)),
            pushers::failures.eq(0),
            pushers::retry_ts.eq(0),
        ))
        .execute(conn)
        .map(|updated| updated > 0)
}

fn insert(
    conn: &mut AnyConnection,
    pusher: &Pusher,
    position: StreamPosition,
) -> diesel::QueryResult<usize> {
    diesel::insert_into(pushers::table)
        .values((
            pushers::app_id.eq(pack(&pusher.id.app_id)),
            pushers::pushkey.eq(pack(&pusher.id.pushkey)),
            pushers::user_id.eq(pusher.id.user_id.as_str()),
            pushers::device_id.eq(pack(pusher.device_id.as_str())),
            pushers::app_display_name.eq(pack(&pusher.app_display_name)),
            pushers::device_display_name.eq(pack(&pusher.device_display_name)),
            pushers::profile_tag.eq(pusher.profile_tag.as_deref().map(pack)),
            pushers::lang.eq(pack(&pusher.lang)),
            pushers::data.eq(pusher.data.get().as_bytes()),
            pushers::set_ts.eq(ts(pusher.set_ts_ms)),
            pushers::position.eq(position.0),
            pushers::unread_told.eq(None::<i64>),
            pushers::failures.eq(0),
            pushers::retry_ts.eq(0),
        ))
        .execute(conn)
}

/// Deletes the pushers of other users with the same application and pushkey. Gives whose.
fn take_over(conn: &mut AnyConnection, id: &PusherId) -> diesel::QueryResult<Vec<String>> {
    let (app_id, pushkey) = (pack(&id.app_id), pack(&id.pushkey));
    let others: Vec<String> = pushers::table
        .filter(pushers::app_id.eq(&app_id))
        .filter(pushers::pushkey.eq(&pushkey))
        .filter(pushers::user_id.ne(id.user_id.as_str()))
        .select(pushers::user_id)
        .load(conn)?;
    for other in &others {
        diesel::delete(pushers::table.find((&app_id, &pushkey, other))).execute(conn)?;
    }
    Ok(others)
}

fn set(
    tx: &mut WriteTx<'_>,
    pusher: &Pusher,
    position: StreamPosition,
    append: bool,
    cap: u64,
) -> Result<SetPusher, StorageError> {
    let user_id = pusher.id.user_id.as_str();
    // Who was logged out meanwhile would leave a pusher behind that nobody can end.
    let device: i64 = devices::table
        .filter(devices::user_id.eq(user_id))
        .filter(devices::device_id.eq(pack(pusher.device_id.as_str())))
        .count()
        .get_result(tx.conn)
        .map_err(StorageError::from_diesel)?;
    if device == 0 {
        return Ok(SetPusher::NoSuchDevice);
    }
    if !update(tx.conn, pusher).map_err(StorageError::from_diesel)? {
        let held: i64 = pushers::table
            .filter(pushers::user_id.eq(user_id))
            .count()
            .get_result(tx.conn)
            .map_err(StorageError::from_diesel)?;
        if ms(held) >= cap {
            return Ok(SetPusher::TooMany);
        }
        insert(tx.conn, pusher, position).map_err(StorageError::from_diesel)?;
    }
    let removed = match append {
        true => Vec::new(),
        false => take_over(tx.conn, &pusher.id).map_err(StorageError::from_diesel)?,
    };
    let removed = removed.into_iter().map(|other| id(other, "user ID"));
    Ok(SetPusher::Done {
        removed: removed.collect::<Result<_, _>>()?,
    })
}

#[async_trait]
impl PusherStore for Db {
    async fn set_pusher(
        &self,
        pusher: Pusher,
        position: StreamPosition,
        append: bool,
        cap: u64,
    ) -> Result<SetPusher, StorageError> {
        self.write(move |tx| set(tx, &pusher, position, append, cap))
            .await
    }

    async fn delete_pusher(
        &self,
        id: &PusherId,
        set_ts_ms: Option<u64>,
    ) -> Result<bool, StorageError> {
        let id = id.clone();
        self.write(move |tx| {
            let key = (pack(&id.app_id), pack(&id.pushkey), id.user_id.as_str());
            let found: Option<i64> = pushers::table
                .find((&key.0, &key.1, key.2))
                .select(pushers::set_ts)
                .first(tx.conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            let meant = |found: i64| set_ts_ms.is_none_or(|wanted| ts(wanted) == found);
            if !found.is_some_and(meant) {
                return Ok(false);
            }
            diesel::delete(pushers::table.find((&key.0, &key.1, key.2)))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(true)
        })
        .await
    }

    async fn pushers_of(
        &self,
        user_id: &UserId,
    ) -> Result<Vec<(Pusher, PusherProgress)>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<PusherRow> = pushers::table
                .filter(pushers::user_id.eq(user_id.as_str()))
                .order((pushers::app_id.asc(), pushers::pushkey.asc()))
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(TryInto::try_into).collect()
        })
        .await
    }

    async fn users_with_pushers(&self) -> Result<Vec<OwnedUserId>, StorageError> {
        self.read(move |conn| {
            let rows: Vec<String> = pushers::table
                .select(pushers::user_id)
                .distinct()
                .order(pushers::user_id.asc())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(|row| id(row, "user ID")).collect()
        })
        .await
    }

    async fn members_with_pushers(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedUserId>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<String> = memberships::table
                .inner_join(pushers::table.on(pushers::user_id.eq(memberships::user_id)))
                .filter(memberships::room_id.eq(room_id.as_str()))
                .filter(memberships::membership.eq(MembershipState::Join.as_str()))
                .select(memberships::user_id)
                .distinct()
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(|row| id(row, "user ID")).collect()
        })
        .await
    }

    async fn note_progress(
        &self,
        progress: Vec<(PusherId, PusherProgress)>,
    ) -> Result<(), StorageError> {
        self.write(move |tx| {
            for (id, now) in &progress {
                let (app_id, pushkey) = (pack(&id.app_id), pack(&id.pushkey));
                diesel::update(pushers::table.find((&app_id, &pushkey, id.user_id.as_str())))
                    .filter(pushers::position.le(now.position.0))
                    .set((
                        pushers::position.eq(now.position.0),
                        pushers::unread_told.eq(now.unread_told.map(ts)),
                        pushers::failures.eq(ts(now.failures)),
                        pushers::retry_ts.eq(ts(now.retry_ts_ms)),
                    ))
                    .execute(tx.conn)
                    .map_err(StorageError::from_diesel)?;
            }
            Ok(())
        })
        .await
    }
}
