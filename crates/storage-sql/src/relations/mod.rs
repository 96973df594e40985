//! Events that relate to others.
//!
//! An event that relates to another has a row of `relations`, and one of `indirect_relations` for
//! each event that it is two or three steps away from. What is summed up of the edits, references
//! and replies of one event is counted in a row of `aggregations`, in the same transaction: a page
//! of events asks there which of them have any, and a thread's length is read, not counted.

mod summary;
mod write;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use greenroom_model::{
    Aggregations, AnnotationKey, StoredEvent, StreamPosition, Target, TargetKey, rel_type,
};
use greenroom_storage::{
    Direction, RelatingQuery, RelationReader, RelationStore, StorageError, ThreadsPage,
    ThreadsQuery,
};
use ruma::{EventId, OwnedEventId, RoomId, UserId};

pub(crate) use self::write::{forget_relation, write_relation};
use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::{EventRow, id, stored, ts},
    schema::{aggregations, events, indirect_relations, relations},
    text::{pack_owned, unpack},
};

/// How many threads one question looks at, at most, for those it returns.
const THREADS_BUDGET: usize = 1_000;
/// How many at once.
const THREADS_BATCH: u64 = 100;

#[async_trait]
impl RelationStore for Db {
    async fn aggregations(
        &self,
        targets: Vec<Target>,
        reader: RelationReader,
    ) -> Result<HashMap<OwnedEventId, Aggregations>, StorageError> {
        if targets.is_empty() || reader.visible.is_empty() {
            return Ok(HashMap::new());
        }
        self.read(move |conn| summary::of(conn, &targets, &reader))
            .await
    }

    async fn summed(&self, targets: Vec<Target>) -> Result<HashSet<OwnedEventId>, StorageError> {
        self.read(move |conn| summary::known(conn, targets)).await
    }

    async fn relating_events(
        &self,
        query: RelatingQuery,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.read(move |conn| {
            let mut found = stored(direct(conn, &query)?)?;
            if query.recurse {
                found.extend(stored(indirect(conn, &query)?)?);
                found.sort_by_key(|event| event.position);
                if query.direction == Direction::Backward {
                    found.reverse();
                }
                found.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
            }
            Ok(found)
        })
        .await
    }

    async fn threads(&self, query: ThreadsQuery) -> Result<ThreadsPage, StorageError> {
        self.read(move |conn| threads(conn, &query)).await
    }

    async fn has_annotated(
        &self,
        room_id: &RoomId,
        target: &EventId,
        sender: &UserId,
        event_type: &str,
        key: &str,
    ) -> Result<bool, StorageError> {
        let target = TargetKey::new(room_id, target);
        let (sender, event_type) = (sender.to_owned(), pack_owned(event_type));
        let key = AnnotationKey::new(key);
        self.read(move |conn| {
            write::is_annotated(conn, target, sender.as_str(), &event_type, key)
                .map_err(StorageError::from_diesel)
        })
        .await
    }
}

/// The events that relate to the one asked for themselves.
fn direct(conn: &mut AnyConnection, query: &RelatingQuery) -> Result<Vec<EventRow>, StorageError> {
    let target = TargetKey::new(&query.room_id, &query.target);
    let mut rows = relations::table
        .inner_join(events::table.on(events::position.eq(relations::position)))
        .filter(relations::target.eq(target.as_bytes()))
        .filter(relations::position.gt(query.after.0))
        .filter(relations::position.le(query.upto.0))
        .limit(ts(query.limit))
        .select(EventRow::as_select())
        .into_boxed();
    if let Some(rel_type) = &query.rel_type {
        rows = rows.filter(relations::rel_type.eq(pack_owned(rel_type)));
        if let Some(event_type) = &query.event_type {
            rows = rows.filter(relations::event_type.eq(pack_owned(event_type)));
        }
    }
    let rows = match query.direction {
        Direction::Forward => rows.order(relations::position.asc()),
        Direction::Backward => rows.order(relations::position.desc()),
    };
    rows.load(conn).map_err(StorageError::from_diesel)
}

/// The events that relate to it by way of others.
fn indirect(
    conn: &mut AnyConnection,
    query: &RelatingQuery,
) -> Result<Vec<EventRow>, StorageError> {
    let target = TargetKey::new(&query.room_id, &query.target);
    let mut rows = indirect_relations::table
        .inner_join(events::table.on(events::position.eq(indirect_relations::position)))
        .filter(indirect_relations::target.eq(target.as_bytes()))
        .filter(indirect_relations::position.gt(query.after.0))
        .filter(indirect_relations::position.le(query.upto.0))
        .limit(ts(query.limit))
        .select(EventRow::as_select())
        .into_boxed();
    if let Some(rel_type) = &query.rel_type {
        rows = rows.filter(indirect_relations::rel_type.eq(pack_owned(rel_type)));
        if let Some(event_type) = &query.event_type {
            rows = rows.filter(indirect_relations::event_type.eq(pack_owned(event_type)));
        }
    }
    let rows = match query.direction {
        Direction::Forward => rows.order(indirect_relations::position.asc()),
        Direction::Backward => rows.order(indirect_relations::position.desc()),
    };
    rows.load(conn).map_err(StorageError::from_diesel)
}

/// A thread as its row says: its key, its root, where its newest reply stands.
type ThreadRow = (Vec<u8>, String, Option<i64>);

fn threads(conn: &mut AnyConnection, query: &ThreadsQuery) -> Result<ThreadsPage, StorageError> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut page = ThreadsPage::default();
    let (mut at, mut scanned) = (query.upto, 0);
    loop {
        // One more than is missing tells whether there is more.
        let missing = ts(query.limit.saturating_add(1) - page.roots.len() as u64);
        let batch = match query.participant {
            None => missing,
            Some(_) => missing.max(ts(THREADS_BATCH)),
        };
        let rows: Vec<ThreadRow> = aggregations::table
            .filter(aggregations::room_id.eq(query.room_id.as_str()))
            .filter(aggregations::latest_reply.le(at.0))
            .order(aggregations::latest_reply.desc())
            .limit(batch)
            .select((
                aggregations::target,
                aggregations::event_id,
                aggregations::latest_reply,
            ))
            .load(conn)
            .map_err(StorageError::from_diesel)?;
        let exhausted = i64::try_from(rows.len()).unwrap_or(i64::MAX) < batch;
        let wanted = match &query.participant {
            Some(user_id) => Some(participated(conn, &rows, user_id)?),
            None => None,
        };
        for (target, root, latest) in rows {
            let is_wanted = wanted
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&target));
            if scanned >= THREADS_BUDGET || (is_wanted && page.roots.len() >= limit) {
                page.next = Some(at);
                return Ok(page);
            }
            scanned += 1;
            at = StreamPosition(latest.unwrap_or_default()).before();
            if is_wanted {
                page.roots.push(id(unpack(root), "event ID")?);
            }
        }
        if exhausted {
            return Ok(page);
        }
    }
}

/// The keys of those threads in which a user has sent the root or a reply.
fn participated(
    conn: &mut AnyConnection,
    threads: &[ThreadRow],
    user_id: &UserId,
) -> Result<HashSet<Vec<u8>>, StorageError> {
    let targets: Vec<&[u8]> = threads
        .iter()
        .map(|(target, ..)| target.as_slice())
        .collect();
    let replied: Vec<Vec<u8>> = relations::table
        .filter(relations::target.eq_any(targets))
        .filter(relations::sender.eq(user_id.as_str()))
        .filter(relations::rel_type.eq(rel_type::THREAD))
        .select(relations::target)
        .distinct()
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    let roots: Vec<&str> = threads.iter().map(|(_, root, _)| root.as_str()).collect();
    let sent: Vec<String> = events::table
        .filter(events::event_id.eq_any(roots))
        .filter(events::sender.eq(user_id.as_str()))
        .select(events::event_id)
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    let sent: HashSet<String> = sent.into_iter().collect();
    let started = threads.iter().filter(|(_, root, _)| sent.contains(root));
    let mut participated: HashSet<Vec<u8>> = replied.into_iter().collect();
    participated.extend(started.map(|(target, ..)| target.clone()));
    Ok(participated)
}
