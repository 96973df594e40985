//! Event appends: prepared on the caller's thread, written by the writer many at a time.

mod row;

use std::sync::Arc;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper, dsl::max,
};
use greenroom_model::{Relation, StoredEvent, StreamPosition, TransactionKey};
use greenroom_storage::{Append, RedactedEvent, StorageError};
use greenroom_stream::{ChangeKind, MembershipChange};
use ruma::{OwnedUserId, events::room::member::MembershipState};
use serde::Deserialize;

use self::row::NewEventRow;
use crate::{
    connection::{AnyConnection, FromDiesel},
    event_times::write_time_step,
    relations::{forget_relation, write_relation},
    rows::EventRow,
    schema::{events, memberships, room_state, rooms},
    search,
    text::{fold, pack},
    writer::WriteTx,
};

/// `room_state.replaced_at` of an event that still holds its place.
pub(crate) const CURRENT: i64 = i64::MAX;

/// An append with everything parsed that need not be on the writer's thread. The position is
/// filled in by the writer.
pub(crate) struct PreparedAppend {
    pub(crate) generation: u64,
    pub(crate) event: Arc<StoredEvent>,
    steps_back: bool,
    depth: u64,
    txn_key: Option<TransactionKey>,
    membership: Option<MemberRow>,
    summary: Option<(SummaryColumn, Option<String>)>,
    relation: Option<Relation>,
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

impl Copied {
    fn from(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }

    fn text(&self, key: &str) -> Option<String> {
        let value = self.content.get(key)?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// What a summary column says. Of a topic it is the plain text: the one among its
    /// representations, or the field that clients knew before there were any.
    fn summary(&self, column: SummaryColumn, key: &str) -> Option<String> {
        let plain = match column {
            SummaryColumn::Topic => self.plain_topic(),
            _ => None,
        };
        plain.or_else(|| self.text(key))
    }

    fn plain_topic(&self) -> Option<String> {
        let representations = self.content.get("m.topic")?.get("m.text")?.as_array()?;
        let plain = representations.iter().find(|representation| {
            // "Defaults to `text/plain` if omitted."
            let mimetype = representation.get("mimetype");
            mimetype.is_none_or(|mimetype| mimetype == "text/plain")
        });
        let body = plain?.get("body")?.as_str()?;
        (!body.is_empty()).then(|| body.to_owned())
    }
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
        let membership = append.membership.and_then(|(membership, previous)| {
            let content = Copied::from(&append.json);
            Some(MemberRow {
                user_id: append.state_key.as_deref()?.try_into().ok()?,
                membership,
                previous,
                display_name: content.text("displayname"),
                avatar_url: content.text("avatar_url"),
            })
        });
        let summary = summary_column(&append.event_type, append.state_key.as_deref())
            .map(|(column, key)| (column, Copied::from(&append.json).summary(column, key)));
        let (txn_key, transaction) = append
            .transaction
            .map(|(key, device, txn)| (key, (device, txn)))
            .unzip();
        Self {
            generation: append.generation,
            steps_back: append.steps_back,
            depth: append.depth,
            txn_key,
            membership,
            summary,
            relation: append.relation,
            redacts: append.redacts,
            event: Arc::new(StoredEvent {
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
                transaction,
            }),
        }
    }

    /// Whether all that it writes is one row of `events`.
    pub(crate) fn is_one_row(&self) -> bool {
        self.event.state_key.is_none()
            && self.redacts.is_none()
            && self.relation.is_none()
            && !self.steps_back
    }
}

/// Writes appends whose positions are set: first all events, then what the state events and
/// redactions among them change.
pub(crate) fn write_appends(
    tx: &mut WriteTx<'_>,
    appends: &[&PreparedAppend],
) -> Result<(), StorageError> {
    match tx.conn {
        // A round trip for all of them.
        AnyConnection::Postgres(conn) => {
            let rows: Vec<NewEventRow<'_>> = appends
                .iter()
                .map(|append| NewEventRow::of(append))
                .collect();
            diesel::insert_into(events::table)
                .values(rows)
                .execute(conn)
                .map_err(StorageError::from_diesel)?;
        }
        // There is none to save, and this statement stays prepared whatever their number.
        AnyConnection::Sqlite(conn) => {
            for append in appends {
                diesel::insert_into(events::table)
                    .values(NewEventRow::of(append))
                    .execute(conn)
                    .map_err(StorageError::from_diesel)?;
            }
        }
    }
    for append in appends {
        if append.event.state_key.is_some() {
            write_state(tx.conn, append).map_err(StorageError::from_diesel)?;
        }
        if append.steps_back {
            write_time_step(tx.conn, &append.event).map_err(StorageError::from_diesel)?;
        }
        if let Some(relation) = &append.relation {
            write_relation(tx.conn, &append.event, relation)?;
        }
        let membership = append.membership.as_ref().map(|member| MembershipChange {
            event_id: append.event.event_id.clone(),
            user_id: member.user_id.clone(),
            previous: member.previous.clone(),
            membership: member.membership.clone(),
        });
        tx.announce(
            append.event.position,
            ChangeKind::Event {
                event: Arc::clone(&append.event),
                membership,
            },
        );
        if let Some(redacted) = &append.redacts {
            write_redaction(tx, append, redacted)?;
        }
    }
    Ok(())
}

/// [`write_appends`] for one.
pub(crate) fn write_append(
    tx: &mut WriteTx<'_>,
    append: &PreparedAppend,
) -> Result<(), StorageError> {
    write_appends(tx, &[append])
}

/// Puts a state event into its place.
fn write_state(conn: &mut AnyConnection, append: &PreparedAppend) -> diesel::QueryResult<()> {
    let event = &*append.event;
    let (room_id, position) = (event.room_id.as_str(), event.position.0);
    let event_type = pack(&event.event_type);
    let state_key = pack(event.state_key.as_deref().unwrap_or_default());
    if event.replaces_state.is_some() {
        let place = || {
            room_state::table
                .filter(room_state::room_id.eq(room_id))
                .filter(room_state::event_type.eq(&event_type))
                .filter(room_state::state_key.eq(&state_key))
        };
        // The last version is found by key, however many there were.
        let last: Option<i64> = place().select(max(room_state::position)).first(conn)?;
        if let Some(last) = last {
            diesel::update(place().filter(room_state::position.eq(last)))
                .set(room_state::replaced_at.eq(position))
                .execute(conn)?;
        }
    }
    diesel::insert_into(room_state::table)
        .values((
            room_state::room_id.eq(room_id),
            room_state::event_type.eq(&event_type),
            room_state::state_key.eq(&state_key),
            room_state::position.eq(position),
            room_state::replaced_at.eq(CURRENT),
            room_state::event_position.eq(position),
        ))
        .execute(conn)?;
    if let Some(member) = &append.membership {
        write_member(conn, event, member)?;
    }
    if let Some((column, value)) = &append.summary {
        write_summary(conn, room_id, *column, value.as_deref())?;
    }
    Ok(())
}

fn write_member(
    conn: &mut AnyConnection,
    event: &StoredEvent,
    member: &MemberRow,
) -> diesel::QueryResult<()> {
    let room_id = event.room_id.as_str();
    let values = (
        memberships::room_id.eq(room_id),
        memberships::user_id.eq(member.user_id.as_str()),
        memberships::membership.eq(member.membership.as_str()),
        memberships::position.eq(event.position.0),
        memberships::event_id.eq(event.event_id.as_str()),
        memberships::sender.eq(event.sender.as_str()),
        memberships::display_name.eq(member.display_name.as_deref().map(pack)),
        memberships::avatar_url.eq(member.avatar_url.as_deref().map(pack)),
    );
    // "Rooms which have been forgotten will never appear [...] until the user re-joins, is
    // re-invited, or knocks": a ban that comes later, or the end of one, brings nothing back.
    let keeps_away = matches!(
        member.membership,
        MembershipState::Leave | MembershipState::Ban
    );
    let remembered = (!keeps_away).then(|| memberships::forgotten.eq(false));
    if member.previous.is_some() {
        diesel::update(memberships::table)
            .filter(memberships::room_id.eq(room_id))
            .filter(memberships::user_id.eq(member.user_id.as_str()))
            .set((values, remembered))
            .execute(conn)?;
    } else {
        diesel::insert_into(memberships::table)
            .values((values, memberships::forgotten.eq(false)))
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
        diesel::update(rooms::table.find(room_id))
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
    if matches!(
        column,
        SummaryColumn::Name | SummaryColumn::Topic | SummaryColumn::CanonicalAlias
    ) {
        write_search_text(conn, room_id)?;
    }
    Ok(())
}

/// Writes anew what a search of the directory reads.
fn write_search_text(conn: &mut AnyConnection, room_id: &str) -> diesel::QueryResult<()> {
    let shown: Option<(Option<String>, Option<String>, Option<String>)> = rooms::table
        .find(room_id)
        .select((rooms::name, rooms::topic, rooms::canonical_alias))
        .first(conn)
        .optional()?;
    let Some((name, topic, alias)) = shown else {
        return Ok(());
    };
    let words: Vec<String> = [name, topic, alias]
        .iter()
        .flatten()
        .map(|text| fold(text))
        .collect();
    diesel::update(rooms::table.find(room_id))
        .set(rooms::search_text.eq(Some(words.join("\n"))))
        .execute(conn)?;
    Ok(())
}

/// Empties a redacted event, and every copy of what it said.
fn write_redaction(
    tx: &mut WriteTx<'_>,
    append: &PreparedAppend,
    redacted: &RedactedEvent,
) -> Result<(), StorageError> {
    let target = events::table
        .filter(events::event_id.eq(pack(redacted.event_id.as_str())))
        .filter(events::room_id.eq(append.event.room_id.as_str()));
    let row: Option<EventRow> = target
        .select(EventRow::as_select())
        .first(tx.conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    let Some(mut event) = row.map(StoredEvent::try_from).transpose()? else {
        return Ok(());
    };
    // While it still says what is in the index of it.
    search::forget(tx.conn, &event).map_err(StorageError::from_diesel)?;
    diesel::update(events::table.find(event.position.0))
        .set((
            events::json.eq(&*redacted.json),
            events::redacted_by.eq(Some(append.event.event_id.as_str())),
        ))
        .execute(tx.conn)
        .map_err(StorageError::from_diesel)?;
    event.json = Arc::clone(&redacted.json);
    event.redacted_by = Some(append.event.event_id.clone());
    forget_copies(tx.conn, &event).map_err(StorageError::from_diesel)?;
    tx.scrub();
    let room_id = event.room_id.clone();
    tx.change(ChangeKind::Redacted {
        room_id,
        event: Arc::new(event),
    });
    Ok(())
}

/// Takes what a redacted event no longer says out of the tables that copy it: the current state,
/// relations.
fn forget_copies(conn: &mut AnyConnection, event: &StoredEvent) -> diesel::QueryResult<()> {
    forget_relation(conn, event)?;
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
        let value = Copied::from(&event.json).summary(column, key);
        write_summary(conn, event.room_id.as_str(), column, value.as_deref())?;
    }
    Ok(())
}
