//! What somebody may be told of rooms that they are not in, and how spaces hang together.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{RoomPreview, SpaceStore, StorageError};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use serde_json::Value;

use crate::{
    Db,
    append::CURRENT,
    connection::{AnyConnection, FromDiesel},
    directory::{RoomRow, public_room},
    rows::{EventRow, stored, ts},
    schema::{events, memberships, room_state, rooms},
};

/// How many rooms one query asks for: databases bound the number of its parameters.
const ROOMS_AT_ONCE: usize = 500;
const CHILD: &str = "m.space.child";
const ENCRYPTION: &str = "m.room.encryption";
const JOIN_RULES: &str = "m.room.join_rules";

/// What a preview says that `rooms` has no copy of.
#[derive(Default)]
struct Details {
    encryption: Option<String>,
    allowed_rooms: Vec<OwnedRoomId>,
}

impl Details {
    /// Takes in one of the two events. Anything of the wrong type counts as absent: state may say
    /// anything.
    fn add(&mut self, event: &StoredEvent) {
        let Ok(pdu) = serde_json::from_slice::<Value>(&event.json) else {
            return;
        };
        let field = |name: &str| pdu.get("content")?.get(name);
        if event.event_type == ENCRYPTION {
            self.encryption = field("algorithm").and_then(Value::as_str).map(Into::into);
            return;
        }
        let conditions = field("allow").and_then(Value::as_array);
        self.allowed_rooms = conditions
            .into_iter()
            .flatten()
            .filter(|condition| {
                condition
                    .get("type")
                    .is_some_and(|kind| kind == "m.room_membership")
            })
            .filter_map(|condition| condition.get("room_id")?.as_str()?.try_into().ok())
            .collect();
    }
}

fn previews(
    conn: &mut AnyConnection,
    room_ids: &[OwnedRoomId],
    reader: Option<&OwnedUserId>,
) -> Result<Vec<RoomPreview>, StorageError> {
    let ids: Vec<&str> = room_ids.iter().map(|id| id.as_str()).collect();
    let rows: Vec<(RoomRow, String)> = rooms::table
        .filter(rooms::room_id.eq_any(&ids))
        .select((
            (
                rooms::room_id,
                rooms::name,
                rooms::topic,
                rooms::canonical_alias,
                rooms::avatar_url,
                rooms::join_rule,
                rooms::room_type,
                rooms::guest_access,
                rooms::history_visibility,
                rooms::joined_members,
            ),
            rooms::version,
        ))
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    let mut details = details(conn, &ids)?;
    let standing = match reader {
        Some(reader) => standing(conn, &ids, reader)?,
        None => HashMap::new(),
    };
    let allowed: HashSet<&OwnedRoomId> = details
        .values()
        .flat_map(|details| &details.allowed_rooms)
        .collect();
    let mut joined = HashSet::new();
    if let Some(reader) = reader {
        let allowed: Vec<&str> = allowed.into_iter().map(|id| id.as_str()).collect();
        for some in allowed.chunks(ROOMS_AT_ONCE) {
            let memberships = self::standing(conn, some, reader)?;
            joined.extend(
                memberships
                    .into_iter()
                    .filter(|(_, membership)| *membership == MembershipState::Join)
                    .map(|(room_id, _)| room_id),
            );
        }
    }
    rows.into_iter()
        .map(|(row, version)| {
            let room = public_room(row)?;
            let details = details.remove(room.room_id.as_str()).unwrap_or_default();
            Ok(RoomPreview {
                version: crate::rows::id(version, "room version")?,
                encryption: details.encryption,
                membership: standing.get(room.room_id.as_str()).cloned(),
                in_allowed_room: details
                    .allowed_rooms
                    .iter()
                    .any(|room_id| joined.contains(room_id.as_str())),
                allowed_rooms: details.allowed_rooms,
                room,
            })
        })
        .collect()
}

fn details(
    conn: &mut AnyConnection,
    room_ids: &[&str],
) -> Result<HashMap<String, Details>, StorageError> {
    let rows: Vec<EventRow> = room_state::table
        .inner_join(events::table.on(events::position.eq(room_state::event_position)))
        .filter(room_state::room_id.eq_any(room_ids))
        .filter(room_state::event_type.eq_any([ENCRYPTION, JOIN_RULES]))
        .filter(room_state::state_key.eq(""))
        // Not by the index of ends, in which all current members of a room are.
        .filter((room_state::replaced_at + 0_i64).eq(CURRENT))
        .select(EventRow::as_select())
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    let mut details = HashMap::<String, Details>::new();
    for event in stored(rows)? {
        let room = details.entry(event.room_id.to_string()).or_default();
        room.add(&event);
    }
    Ok(details)
}

/// What somebody is to these rooms.
fn standing(
    conn: &mut AnyConnection,
    room_ids: &[&str],
    user_id: &UserId,
) -> Result<HashMap<String, MembershipState>, StorageError> {
    let rows: Vec<(String, String)> = memberships::table
        .filter(memberships::room_id.eq_any(room_ids))
        .filter(memberships::user_id.eq(user_id.as_str()))
        .select((memberships::room_id, memberships::membership))
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    Ok(rows
        .into_iter()
        .map(|(room_id, membership)| (room_id, membership.into()))
        .collect())
}

#[async_trait]
impl SpaceStore for Db {
    async fn room_previews(
        &self,
        room_ids: Vec<OwnedRoomId>,
        reader: Option<&UserId>,
    ) -> Result<Vec<RoomPreview>, StorageError> {
        if room_ids.is_empty() {
            return Ok(Vec::new());
        }
        let reader = reader.map(ToOwned::to_owned);
        self.read(move |conn| {
            let mut found = Vec::with_capacity(room_ids.len());
            for some in room_ids.chunks(ROOMS_AT_ONCE) {
                found.extend(previews(conn, some, reader.as_ref())?);
            }
            Ok(found)
        })
        .await
    }

    async fn space_children(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<EventRow> = room_state::table
                .inner_join(events::table.on(events::position.eq(room_state::event_position)))
                .filter(room_state::room_id.eq(room_id.as_str()))
                .filter(room_state::event_type.eq(CHILD))
                // The range of the type is what the index can use.
                .filter((room_state::position + 0_i64).le(at.0))
                .filter((room_state::replaced_at + 0_i64).gt(at.0))
                .order(room_state::event_position.asc())
                .limit(ts(limit))
                .select(EventRow::as_select())
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            stored(rows)
        })
        .await
    }
}
