//! The replacement of a room by another.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::{
    ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper,
};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Appended, Committed, RoomUpgrade, StorageError, UpgradeStore};
use ruma::{RoomId, UserId, events::room::member::MembershipState};

use crate::{
    Db,
    account_data::{read_one, write_account_data},
    append::PreparedAppend,
    connection::{AnyConnection, FromDiesel},
    rooms::{PreparedRoom, write_in_order},
    rows::{EventRow, stored},
    schema::{events, memberships, room_aliases, room_state, rooms},
    writer::{Head, WriteTx},
};

const TAG: &str = "m.tag";
const DIRECT: &str = "m.direct";

/// What must not have changed of a room.
struct Basis {
    room_id: String,
    as_of: StreamPosition,
    types: Vec<String>,
    banned: BTreeSet<String>,
}

/// Whether the state is no longer what it was. A redaction changes what it says without putting
/// anything into its place.
fn has_changed(conn: &mut AnyConnection, basis: &Basis) -> diesel::QueryResult<bool> {
    let (room_id, as_of) = (&*basis.room_id, basis.as_of);
    let changed: Option<i64> = room_state::table
        .filter(room_state::room_id.eq(room_id))
        .filter(room_state::position.gt(as_of.0))
        .filter(room_state::event_type.eq_any(&basis.types))
        .select(room_state::position)
        .first(conn)
        .optional()?;
    if changed.is_some() {
        return Ok(true);
    }
    let banned_now: Vec<String> = memberships::table
        .filter(memberships::room_id.eq(room_id))
        .filter(memberships::membership.eq(MembershipState::Ban.as_str()))
        .select(memberships::user_id)
        .load(conn)?;
    let banned = &basis.banned;
    if banned_now.len() != banned.len() || banned_now.iter().any(|it| !banned.contains(it)) {
        return Ok(true);
    }
    let redaction: Option<i64> = events::table
        .filter(events::room_id.eq(room_id))
        .filter(events::position.gt(as_of.0))
        .filter(events::event_type.eq("m.room.redaction"))
        .select(events::position)
        .first(conn)
        .optional()?;
    Ok(redaction.is_some())
}

/// Hands what leads to a room over to the one that takes its place.
fn hand_over(
    tx: &mut WriteTx<'_>,
    old_room: &str,
    mut replacement: PreparedRoom,
) -> Result<(), StorageError> {
    let room = rooms::table.find(old_room);
    let published: bool = room
        .select(rooms::published)
        .first(tx.conn)
        .map_err(StorageError::from_diesel)?;
    if published {
        diesel::update(room)
            .set(rooms::published.eq(false))
            .execute(tx.conn)
            .map_err(StorageError::from_diesel)?;
    }
    diesel::update(room_aliases::table.filter(room_aliases::room_id.eq(old_room)))
        .set(room_aliases::room_id.eq(&replacement.room_id))
        .execute(tx.conn)
        .map_err(StorageError::from_diesel)?;
    replacement.published = published;
    replacement.write(tx).map(drop)
}

#[async_trait]
impl UpgradeStore for Db {
    async fn bans(&self, room_id: &RoomId) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<EventRow> = memberships::table
                .inner_join(events::table.on(events::position.eq(memberships::position)))
                .filter(memberships::room_id.eq(room_id.as_str()))
                .filter(memberships::membership.eq(MembershipState::Ban.as_str()))
                .order(memberships::position.asc())
                .select(EventRow::as_select())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            stored(rows)
        })
        .await
    }

    fn upgrade_room(&self, upgrade: RoomUpgrade) -> Committed {
        let head = Head {
            room_id: upgrade.tombstone.room_id.clone(),
            generation: upgrade.tombstone.generation,
        };
        let basis = Basis {
            room_id: head.room_id.to_string(),
            as_of: upgrade.as_of,
            types: upgrade.state_types,
            banned: upgrade.banned.iter().map(ToString::to_string).collect(),
        };
        let replacement = PreparedRoom::new(upgrade.replacement);
        let last_events = [Some(upgrade.tombstone), upgrade.levels];
        let last_events = last_events.into_iter().flatten().map(PreparedAppend::new);
        let last_events: Vec<_> = last_events.collect();
        let queued = self.writer.in_turn(head, move |tx| {
            if has_changed(tx.conn, &basis).map_err(StorageError::from_diesel)? {
                return Err(StorageError::Conflict);
            }
            hand_over(tx, &basis.room_id, replacement)?;
            let positions = write_in_order(tx, last_events)?;
            Ok(Appended {
                position: positions.first().copied().unwrap_or(basis.as_of),
            })
        });
        Box::pin(async move {
            queued?
                .await
                .map_err(|_| StorageError::Unavailable("the writer has stopped".to_owned()))?
        })
    }

    async fn carry_labels(
        &self,
        user_id: &UserId,
        from: &RoomId,
        to: &RoomId,
    ) -> Result<(), StorageError> {
        let (user_id, from, to) = (user_id.to_owned(), from.to_owned(), to.to_owned());
        self.write(move |tx| {
            let tags = read_one(tx.conn, &user_id, from.as_str(), TAG)?;
            if let Some(tags) = tags
                && read_one(tx.conn, &user_id, to.as_str(), TAG)?.is_none()
            {
                write_account_data(tx, &user_id, Some(&to), TAG, &tags)?;
            }
            let direct = read_one(tx.conn, &user_id, "", DIRECT)?;
            if let Some(direct) = direct.and_then(|direct| beside(&direct, &from, &to)) {
                write_account_data(tx, &user_id, None, DIRECT, direct.as_bytes())?;
            }
            Ok(())
        })
        .await
    }
}

/// The direct chats with `to` wherever `from` is; `None` if that changes nothing, or if what the
/// client has set are no lists of rooms.
fn beside(direct: &[u8], from: &RoomId, to: &RoomId) -> Option<String> {
    let mut direct: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(direct).ok()?;
    let mut changed = false;
    for rooms in direct.values_mut().filter_map(|rooms| rooms.as_array_mut()) {
        if rooms.iter().any(|room| room == from.as_str())
            && rooms.iter().all(|room| room != to.as_str())
        {
            rooms.push(to.as_str().into());
            changed = true;
        }
    }
    changed.then(|| serde_json::Value::Object(direct).to_string())
}
