//! Event appends: prepared on the caller's thread, written by the writer many at a time.

use std::sync::Arc;

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper,
    dsl::max,
};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Append, RedactedEvent, StorageError};
use greenroom_stream::{ChangeKind, MembershipChange};
use ruma::{OwnedUserId, events::room::member::MembershipState};
use serde::Deserialize;

use crate::{
    connection::{AnyConnection, FromDiesel, on_either},
    rows::{EventRow, ts},
    schema::{events, memberships, room_state, rooms},
    text::{pack, pack_owned},
    writer::WriteTx,
};

/// `room_state.replaced_at` of an event that still holds its place.
pub(crate) const CURRENT: i64 = i64::MAX;

/// The events table's row of one append. No column has a default: a batch is one statement.
#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub(crate) struct NewEventRow {
    pub(crate) position: i64,
    event_id: String,
    room_id: String,
    event_type: String,
    state_key: Option<String>,
    sender: String,
    origin_server_ts: i64,
    depth: i64,
    json: Vec<u8>,
    redacted_by: Option<String>,
    replaces_state: Option<String>,
    txn_key: Option<Vec<u8>>,
    device_id: Option<String>,
    txn_id: Option<String>,
}

/// An append with everything parsed and copied that need not be on the writer's thread. Positions
/// are filled in by the writer.
pub(crate) struct PreparedAppend {
    pub(crate) generation: u64,
    pub(crate) row: NewEventRow,
    pub(crate) event: StoredEvent,
    membership: Option<MemberRow>,
    summary: Vec<(SummaryColumn, Option<String>)>,
    redacts: Option<RedactedEvent>,
}

struct MemberRow {
    user_id: OwnedUserId,
    membership: MembershipState,
    previous: Option<MembershipState>,
    display_name: Option<String>,
    avatar_url: Option<String>,
}

/// A column of `rooms` that copies a piece of the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SummaryColumn {
    Name,
    Topic,
    CanonicalAlias,
    AvatarUrl,
    JoinRule,
    GuestAccess,
    HistoryVisibility,
    RoomType,
}

/// What the database copies out of an event's content. Anything of the wrong type counts as
/// absent: old events may hold anything.
#[derive(Default, Deserialize)]
struct Copied {
    #[serde(default)]
    content: serde_json::Map<String, serde_json::Value>,
}

fn copied(json: &[u8], key: &str) -> Option<String> {
    let event: Copied = serde_json::from_slice(json).unwrap_or_default();
    event
        .content
        .get(key)?
        .as_str()
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

/// The summary column that a state event sets, and the key of its content that goes there.
fn summary_column(
    event_type: &str,
    state_key: Option<&str>,
) -> Option<(SummaryColumn, &'static str)> {
    if state_key != Some("") {
        return None;
    }
    Some(match event_type {
        "m.room.name" => (SummaryColumn::Name, "name"),
        "m.room.topic" => (SummaryColumn::Topic, "topic"),
        "m.room.canonical_alias" => (SummaryColumn::CanonicalAlias, "alias"),
        "m.room.avatar" => (SummaryColumn::AvatarUrl, "url"),
        "m.room.join_rules" => (SummaryColumn::JoinRule, "join_rule"),
        "m.room.guest_access" => (SummaryColumn::GuestAccess, "guest_access"),
        "m.room.history_visibility" => (SummaryColumn::HistoryVisibility, "history_visibility"),
        "m.room.create" => (SummaryColumn::RoomType, "type"),
        _ => return None,
    })
}

impl PreparedAppend {
    pub(crate) fn new(append: Append) -> Self {
        let (txn_key, device_id, txn_id) = match &append.transaction {
            Some((key, device, txn)) => (
                Some(key.as_bytes().to_vec()),
                Some(device.to_string()),
                Some(pack_owned(txn.as_str())),
            ),
            None => (None, None, None),
        };
        let row = NewEventRow {
            position: 0,
            event_id: append.event_id.to_string(),
            room_id: append.room_id.to_string(),
            event_type: pack_owned(&append.event_type),
            state_key: append.state_key.as_deref().map(pack_owned),
            sender: append.sender.to_string(),
            origin_server_ts: ts(append.origin_server_ts.0.into()),
            depth: ts(append.depth),
            json: append.json.to_vec(),
            redacted_by: None,
            replaces_state: append.replaces_state.as_ref().map(ToString::to_string),
            txn_key,
            device_id,
            txn_id,
        };
        let membership = append.membership.and_then(|(membership, previous)| {
            Some(MemberRow {
                user_id: append.state_key.as_deref()?.try_into().ok()?,
                membership,
                previous,
                display_name: copied(&append.json, "displayname"),
                avatar_url: copied(&append.json, "avatar_url"),
            })
        });
        let summary = summary_column(&append.event_type, append.state_key.as_deref())
            .map(|(column, key)| (column, copied(&append.json, key)))
            .into_iter()
            .collect();
        Self {
            generation: append.generation,
            row,
            membership,
            summary,
            redacts: append.redacts,
            event: StoredEvent {
                position: StreamPosition::START,
                event_id: append.event_id,
                room_id: append.room_id,
                event_type: append.event_type,
                state_key: append.state_key,
                sender: append.sender,
                origin_server_ts: append.origin_server_ts,
                json: append.json,
                redacted_by: None,
                replaces_state: append.replaces_state,
                transaction: append.transaction.map(|(_, device, txn)| (device, txn)),
            },
        }
    }
}

/// Writes appends whose positions are set: one insert for all events, then what the state events
/// and redactions among them change.
pub(crate) fn write_appends(
    tx: &mut WriteTx<'_>,
    appends: &[&PreparedAppend],
) -> Result<(), StorageError> {
    let rows: Vec<&NewEventRow> = appends.iter().map(|append| &append.row).collect();
    on_either!(tx.conn, c => diesel::insert_into(events::table).values(rows).execute(c))
        .map_err(StorageError::from_diesel)?;
    for append in appends {
        if append.event.state_key.is_some() {
            write_state(tx.conn, append).map_err(StorageError::from_diesel)?;
        }
        let membership = append.membership.as_ref().map(|member| MembershipChange {
            event_id: append.event.event_id.clone(),
            user_id: member.user_id.clone(),
            previous: member.previous.clone(),
            membership: member.membership.clone(),
        });
        let event = Arc::new(append.event.clone());
        tx.announce(
            append.event.position,
            ChangeKind::Event { event, membership },
        );
        if let Some(redacted) = &append.redacts {
            write_redaction(tx, append, redacted)?;
        }
    }
    Ok(())
}

/// Puts a state event into its place.
fn write_state(conn: &mut AnyConnection, append: &PreparedAppend) -> diesel::QueryResult<()> {
    let row = &append.row;
    let state_key = row.state_key.as_deref().unwrap_or_default();
    if row.replaces_state.is_some() {
        // The last version is found by key, however many there were.
        let last: Option<i64> = room_state::table
            .filter(room_state::room_id.eq(&row.room_id))
            .filter(room_state::event_type.eq(&row.event_type))
            .filter(room_state::state_key.eq(state_key))
            .select(max(room_state::position))
            .first(conn)?;
        if let Some(last) = last {
            diesel::update(room_state::table)
                .filter(room_state::room_id.eq(&row.room_id))
                .filter(room_state::event_type.eq(&row.event_type))
                .filter(room_state::state_key.eq(state_key))
                .filter(room_state::position.eq(last))
                .set(room_state::replaced_at.eq(row.position))
                .execute(conn)?;
        }
    }
    diesel::insert_into(room_state::table)
        .values((
            room_state::room_id.eq(&row.room_id),
            room_state::event_type.eq(&row.event_type),
            room_state::state_key.eq(state_key),
            room_state::position.eq(row.position),
            room_state::replaced_at.eq(CURRENT),
            room_state::event_position.eq(row.position),
        ))
        .execute(conn)?;
    if let Some(member) = &append.membership {
        write_member(conn, append, member)?;
    }
    for (column, value) in &append.summary {
        write_summary(conn, &row.room_id, *column, value.as_deref())?;
    }
    Ok(())
}

fn write_member(
    conn: &mut AnyConnection,
    append: &PreparedAppend,
    member: &MemberRow,
) -> diesel::QueryResult<()> {
    let row = &append.row;
    let values = (
        memberships::room_id.eq(&row.room_id),
        memberships::user_id.eq(member.user_id.as_str()),
        memberships::membership.eq(member.membership.as_str()),
        memberships::position.eq(row.position),
        memberships::event_id.eq(&row.event_id),
        memberships::sender.eq(&row.sender),
        memberships::display_name.eq(member.display_name.as_deref().map(pack)),
        memberships::avatar_url.eq(member.avatar_url.as_deref().map(pack)),
        memberships::forgotten.eq(false),
    );
    if member.previous.is_some() {
        diesel::update(memberships::table)
            .filter(memberships::room_id.eq(&row.room_id))
            .filter(memberships::user_id.eq(member.user_id.as_str()))
            .set(values)
            .execute(conn)?;
    } else {
        diesel::insert_into(memberships::table)
            .values(values)
            .execute(conn)?;
    }
    let change = |membership: &MembershipState| {
        let now = i64::from(member.membership == *membership);
        now - i64::from(member.previous.as_ref() == Some(membership))
    };
    let (joined, invited) = (
        change(&MembershipState::Join),
        change(&MembershipState::Invite),
    );
    if joined != 0 || invited != 0 {
        diesel::update(rooms::table.find(&row.room_id))
            .set((
                rooms::joined_members.eq(rooms::joined_members + joined),
                rooms::invited_members.eq(rooms::invited_members + invited),
            ))
            .execute(conn)?;
    }
    Ok(())
}

fn write_summary(
    conn: &mut AnyConnection,
    room_id: &str,
    column: SummaryColumn,
    value: Option<&str>,
) -> diesel::QueryResult<()> {
    let room = rooms::table.find(room_id);
    let value = value.map(pack);
    let update = diesel::update(room);
    match column {
        SummaryColumn::Name => update.set(rooms::name.eq(value)).execute(conn),
        SummaryColumn::Topic => update.set(rooms::topic.eq(value)).execute(conn),
        SummaryColumn::CanonicalAlias => update.set(rooms::canonical_alias.eq(value)).execute(conn),
        SummaryColumn::AvatarUrl => update.set(rooms::avatar_url.eq(value)).execute(conn),
        SummaryColumn::JoinRule => update.set(rooms::join_rule.eq(value)).execute(conn),
        SummaryColumn::GuestAccess => update.set(rooms::guest_access.eq(value)).execute(conn),
        SummaryColumn::HistoryVisibility => update
            .set(rooms::history_visibility.eq(value))
            .execute(conn),
        SummaryColumn::RoomType => update.set(rooms::room_type.eq(value)).execute(conn),
    }?;
    Ok(())
}

/// Empties a redacted event, and every copy of what it said.
fn write_redaction(
    tx: &mut WriteTx<'_>,
    append: &PreparedAppend,
    redacted: &RedactedEvent,
) -> Result<(), StorageError> {
    let emptied = diesel::update(events::table)
        .filter(events::event_id.eq(redacted.event_id.as_str()))
        .filter(events::room_id.eq(&append.row.room_id))
        .set((
            events::json.eq(redacted.json.to_vec()),
            events::redacted_by.eq(Some(&append.row.event_id)),
        ))
        .execute(tx.conn)
        .map_err(StorageError::from_diesel)?;
    if emptied == 0 {
        return Ok(());
    }
    let row: Option<EventRow> = events::table
        .filter(events::event_id.eq(redacted.event_id.as_str()))
        .select(EventRow::as_select())
        .first(tx.conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    let Some(event) = row.map(StoredEvent::try_from).transpose()? else {
        return Ok(());
    };
    forget_copies(tx.conn, &event).map_err(StorageError::from_diesel)?;
    let room_id = event.room_id.clone();
    tx.change(ChangeKind::Redacted {
        room_id,
        event: Arc::new(event),
    });
    Ok(())
}

/// Takes what a redacted event no longer says out of the tables that copy the current state.
fn forget_copies(conn: &mut AnyConnection, event: &StoredEvent) -> diesel::QueryResult<()> {
    if event.event_type == "m.room.member" {
        diesel::update(memberships::table)
            .filter(memberships::room_id.eq(event.room_id.as_str()))
            .filter(memberships::event_id.eq(event.event_id.as_str()))
            .set((
                memberships::display_name.eq(None::<String>),
                memberships::avatar_url.eq(None::<String>),
            ))
            .execute(conn)?;
    }
    let Some((column, key)) = summary_column(&event.event_type, event.state_key.as_deref()) else {
        return Ok(());
    };
    let current: i64 = room_state::table
        .filter(room_state::room_id.eq(event.room_id.as_str()))
        .filter(room_state::event_type.eq(pack(&event.event_type)))
        .filter(room_state::state_key.eq(""))
        .filter(room_state::event_position.eq(event.position.0))
        .filter(room_state::replaced_at.eq(CURRENT))
        .count()
        .get_result(conn)?;
    if current > 0 {
        let value = copied(&event.json, key);
        write_summary(conn, event.room_id.as_str(), column, value.as_deref())?;
    }
    Ok(())
}
