//! How a room is named and counted, now and a moment ago.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use greenroom_storage::{MemberCounts, RoomSummary, StorageError};
use ruma::{OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use serde_json::Value;

use crate::{
    connection::{AnyConnection, FromDiesel},
    rows::{id, ms, ts},
    schema::{memberships, room_state, rooms},
    state::entries_at,
    text::unpack,
};

/// How many heroes a summary names.
const HEROES: usize = 5;

/// How often a summary is read again because the room changed meanwhile.
const TRIES: usize = 8;

const MEMBER: &str = "m.room.member";
const NAMES: [&str; 2] = ["m.room.name", "m.room.canonical_alias"];

/// What was in a place of the state that has changed since, for a summary to be taken back.
#[derive(Default)]
struct Before {
    /// Members, by where their events stood.
    members: Vec<(i64, String, MembershipState)>,
    /// How many more were joined and invited.
    joined: i64,
    invited: i64,
    /// Whether the room had a name, if that may have changed.
    is_named: Option<bool>,
}

/// What a room is named after and how many are in it at a position.
///
/// Columns and memberships are as of now; what has changed after `at`, which is hardly ever
/// anything, is taken back. The statements may see different moments: if the room has changed
/// between them, they are asked again.
pub(crate) fn summary_at(
    conn: &mut AnyConnection,
    room_id: &RoomId,
    reader: &UserId,
    at: StreamPosition,
) -> Result<RoomSummary, StorageError> {
    let mut later = BTreeMap::new();
    let mut summary = RoomSummary::default();
    for _ in 0..TRIES {
        let before = before(conn, room_id, at, &later)?;
        let (mut counts, is_named) = counted(conn, room_id)?;
        counts.joined = counts.joined.saturating_add_signed(before.joined);
        counts.invited = counts.invited.saturating_add_signed(before.invited);
        let heroes = match before.is_named.unwrap_or(is_named) {
            true => None,
            false => Some(heroes(conn, room_id, reader, at, &before.members)?),
        };
        summary = RoomSummary { counts, heroes };
        let seen = std::mem::replace(&mut later, changed_after(conn, room_id, at)?);
        if seen == later {
            break;
        }
    }
    Ok(summary)
}

/// The places that a summary goes by and that have changed after a position, with the last change.
fn changed_after(
    conn: &mut AnyConnection,
    room_id: &RoomId,
    at: StreamPosition,
) -> Result<BTreeMap<StateKey, i64>, StorageError> {
    let rows: Vec<(String, String, i64)> = room_state::table
        .filter(room_state::room_id.eq(room_id.as_str()))
        .filter(room_state::position.gt(at.0))
        .order(room_state::position.asc())
        .select((
            room_state::event_type,
            room_state::state_key,
            room_state::position,
        ))
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    let places = rows.into_iter().map(|(event_type, state_key, position)| {
        let place = (unpack(event_type), unpack(state_key));
        (place, position)
    });
    let matters = |event_type: &str| event_type == MEMBER || NAMES.contains(&event_type);
    Ok(places.filter(|(place, _)| matters(&place.0)).collect())
}

fn before(
    conn: &mut AnyConnection,
    room_id: &RoomId,
    at: StreamPosition,
    later: &BTreeMap<StateKey, i64>,
) -> Result<Before, StorageError> {
    let mut before = Before::default();
    if later.is_empty() {
        return Ok(before);
    }
    let members = later.keys().filter(|(event_type, _)| event_type == MEMBER);
    for (event_type, user_id) in members {
        let place = [(event_type.clone(), user_id.clone())];
        let then = entries_at(conn, room_id.as_str(), &place, at)?.pop();
        let now: Option<String> = memberships::table
            .find((room_id.as_str(), user_id.as_str()))
            .select(memberships::membership)
            .first(conn)
            .optional()
            .map_err(StorageError::from_diesel)?;
        let was = then
            .as_ref()
            .and_then(|event| content(event, "membership"))
            .map(MembershipState::from);
        let now = now.map(MembershipState::from);
        let change = |membership: MembershipState| {
            let is = |it: &Option<MembershipState>| i64::from(it.as_ref() == Some(&membership));
            is(&was) - is(&now)
        };
        before.joined += change(MembershipState::Join);
        before.invited += change(MembershipState::Invite);
        if let (Some(event), Some(was)) = (then, was) {
            let member = (event.position.0, user_id.clone(), was);
            before.members.push(member);
        }
    }
    if later.keys().any(|(event_type, _)| event_type != MEMBER) {
        let places = NAMES.map(|event_type| (event_type.to_owned(), String::new()));
        let then = entries_at(conn, room_id.as_str(), &places, at)?;
        let names = then.iter().any(|event| {
            let field = match event.event_type == NAMES[0] {
                true => "name",
                false => "alias",
            };
            content(event, field).is_some_and(|name| !name.is_empty())
        });
        before.is_named = Some(names);
    }
    Ok(before)
}

/// A field of an event's content, if it is text.
fn content(event: &StoredEvent, field: &str) -> Option<String> {
    let event: Value = serde_json::from_slice(&event.json).ok()?;
    event
        .get("content")?
        .get(field)?
        .as_str()
        .map(str::to_owned)
}

/// How many are in a room, and whether it has a name or canonical alias.
pub(crate) fn counted(
    conn: &mut AnyConnection,
    room_id: &RoomId,
) -> Result<(MemberCounts, bool), StorageError> {
    let row: Option<(i64, i64, Option<String>, Option<String>)> = rooms::table
        .find(room_id.as_str())
        .select((
            rooms::joined_members,
            rooms::invited_members,
            rooms::name,
            rooms::canonical_alias,
        ))
        .first(conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    let (joined, invited, name, alias) = row.unwrap_or_default();
    let counts = MemberCounts {
        joined: ms(joined),
        invited: ms(invited),
    };
    Ok((counts, name.is_some() || alias.is_some()))
}

/// The heroes at a position. Memberships are as of now: those that have changed since are `then`.
pub(crate) fn heroes(
    conn: &mut AnyConnection,
    room_id: &RoomId,
    reader: &UserId,
    at: StreamPosition,
    then: &[(i64, String, MembershipState)],
) -> Result<Vec<OwnedUserId>, StorageError> {
    let present = [MembershipState::Join, MembershipState::Invite];
    let gone = [MembershipState::Leave, MembershipState::Ban];
    for kind in [present, gone] {
        // One more than needed, because the reader may be among them. A range per membership
        // keeps it to the index, however many members there are.
        let mut found: Vec<(i64, String)> = Vec::new();
        let then = then.iter().filter(|(_, _, was)| kind.contains(was));
        found.extend(then.map(|(position, user_id, _)| (*position, user_id.clone())));
        for membership in &kind {
            found.extend(
                memberships::table
                    .filter(memberships::room_id.eq(room_id.as_str()))
                    .filter(memberships::membership.eq(membership.as_str()))
                    .filter(memberships::position.le(at.0))
                    .order(memberships::position.asc())
                    .limit(ts(HEROES as u64 + 1))
                    .select((memberships::position, memberships::user_id))
                    .load::<(i64, String)>(conn)
                    .map_err(StorageError::from_diesel)?,
            );
        }
        found.sort();
        found.retain(|(_, user_id)| user_id != reader.as_str());
        if !found.is_empty() {
            return found
                .into_iter()
                .take(HEROES)
                .map(|(_, user_id)| id(user_id, "user ID"))
                .collect();
        }
    }
    Ok(Vec::new())
}
