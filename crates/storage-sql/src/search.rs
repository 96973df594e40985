//! The index of words: how it follows the stream, and how a redaction takes words out of it.
//!
//! It is no part of an append, which would cost each message a page or more. [`Db::index_more`] reads
//! some events, makes their entries on a reader's thread, and puts them into the index in one small act
//! of the writer, with the position up to which the index goes now. So it is whole up to that position,
//! whatever happens to the process, and a redaction knows whether its target is in it.

mod postgres;
mod sqlite;

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_search::{Key, VERSION, entry, is_searchable};
use greenroom_storage::{Judge, SearchQuery, SearchStore, StorageError};

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::{EventRow, stored},
    schema::{events, search_progress},
    timeline::MAX_IN,
};

/// So many events are indexed in one act: a millisecond or two, in which nobody else can write.
const BATCH: i64 = 100;
/// So far one reading of them goes: what is not searched is only passed by, but that takes time too.
const STRIDE: i64 = 20_000;

/// An event's place in the index.
struct Entry {
    position: i64,
    tokens: Vec<String>,
}

/// Empties an index that another version has made, before anything is done with it: what is in it
/// cannot be taken out of it one by one.
pub(crate) fn adopt(conn: &mut AnyConnection) -> Result<(), StorageError> {
    let version: i64 = search_progress::table
        .find(1)
        .select(search_progress::version)
        .first(conn)
        .map_err(StorageError::from_diesel)?;
    if version == VERSION {
        return Ok(());
    }
    match conn {
        AnyConnection::Sqlite(conn) => sqlite::clear(conn),
        AnyConnection::Postgres(conn) => postgres::clear(conn),
    }
    .and_then(|()| {
        diesel::update(search_progress::table.find(1))
            .set((
                search_progress::version.eq(VERSION),
                search_progress::position.eq(0),
            ))
            .execute(conn)
    })
    .map(|_| ())
    .map_err(StorageError::from_diesel)
}

/// Takes an event, as it was, out of the index.
pub(crate) fn forget(conn: &mut AnyConnection, event: &StoredEvent) -> diesel::QueryResult<()> {
    if !is_searchable(event) || progress(conn)? < event.position.0 {
        return Ok(());
    }
    let Some(tokens) = entry(event) else {
        return Ok(());
    };
    let entry = Entry {
        position: event.position.0,
        tokens,
    };
    match conn {
        AnyConnection::Sqlite(conn) => sqlite::delete(conn, &entry),
        AnyConnection::Postgres(conn) => postgres::delete(conn, &entry),
    }
}

fn progress(conn: &mut AnyConnection) -> diesel::QueryResult<i64> {
    search_progress::table
        .find(1)
        .select(search_progress::position)
        .first(conn)
}

/// The types of events that are searched.
fn types() -> Vec<&'static str> {
    let types = ["m.room.message", "m.room.name", "m.room.topic"];
    debug_assert_eq!(types.len(), Key::ALL.len());
    types.to_vec()
}

/// The entries of the next events behind `done`, and up to where that takes the index.
fn next(conn: &mut AnyConnection, done: i64, upto: i64) -> Result<(Vec<Entry>, i64), StorageError> {
    let end = upto.min(done.saturating_add(STRIDE));
    let rows: Vec<EventRow> = events::table
        .filter(events::position.gt(done))
        .filter(events::position.le(end))
        .filter(events::event_type.eq_any(types()))
        .order(events::position.asc())
        .limit(BATCH)
        .select(EventRow::as_select())
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    let found = stored(rows)?;
    let end = match found.last() {
        Some(last) if i64::try_from(found.len()) == Ok(BATCH) => last.position.0,
        _ => end,
    };
    let searchable = found.iter().filter(|event| is_searchable(event));
    let entries = searchable.filter_map(|event| {
        Some(Entry {
            position: event.position.0,
            tokens: entry(event)?,
        })
    });
    Ok((entries.collect(), end))
}

/// Puts entries into the index, but for those of events that were redacted since they were read.
fn index(
    conn: &mut AnyConnection,
    done: i64,
    end: i64,
    mut entries: Vec<Entry>,
) -> diesel::QueryResult<i64> {
    let current = progress(conn)?;
    if current != done {
        return Ok(current);
    }
    let positions: Vec<i64> = entries.iter().map(|entry| entry.position).collect();
    let redacted: Vec<i64> = events::table
        .filter(events::position.eq_any(positions))
        .filter(events::redacted_by.is_not_null())
        .select(events::position)
        .load(conn)?;
    entries.retain(|entry| !redacted.contains(&entry.position));
    match conn {
        AnyConnection::Sqlite(conn) => sqlite::insert(conn, &entries)?,
        AnyConnection::Postgres(conn) => postgres::insert(conn, &entries)?,
    }
    diesel::update(search_progress::table.find(1))
        .set(search_progress::position.eq(end))
        .execute(conn)?;
    Ok(end)
}

#[async_trait]
impl SearchStore for Db {
    async fn index_more(&self, upto: StreamPosition) -> Result<StreamPosition, StorageError> {
        let read = self.read(move |conn| {
            let done = progress(conn).map_err(StorageError::from_diesel)?;
            if done >= upto.0 {
                return Ok((done, done, Vec::new()));
            }
            let (entries, end) = next(conn, done, upto.0)?;
            Ok((done, end, entries))
        });
        let (done, end, entries) = read.await?;
        if end <= done {
            return Ok(StreamPosition(done));
        }
        let indexed = self
            .write(move |tx| index(tx.conn, done, end, entries).map_err(StorageError::from_diesel))
            .await?;
        Ok(StreamPosition(indexed))
    }

    async fn candidates(&self, query: SearchQuery) -> Result<Vec<StreamPosition>, StorageError> {
        // No language of theirs has a word for nothing.
        if query.all.is_empty() || query.any.iter().any(Vec::is_empty) {
            return Ok(Vec::new());
        }
        self.read(move |conn| {
            let positions = match conn {
                AnyConnection::Sqlite(conn) => sqlite::candidates(conn, &query),
                AnyConnection::Postgres(conn) => postgres::candidates(conn, &query),
            };
            let positions = positions.map_err(StorageError::from_diesel)?;
            Ok(positions.into_iter().map(StreamPosition).collect())
        })
        .await
    }

    async fn judged(
        &self,
        positions: Vec<StreamPosition>,
        judge: Judge,
    ) -> Result<Vec<(StoredEvent, f32)>, StorageError> {
        self.read(move |conn| {
            let mut fitting = Vec::new();
            for some in positions.chunks(MAX_IN) {
                let rows: Vec<EventRow> = events::table
                    .filter(events::position.eq_any(some.iter().map(|position| position.0)))
                    .order(events::position.desc())
                    .select(EventRow::as_select())
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                fitting.extend(stored(rows)?.into_iter().filter_map(|event| {
                    let rank = judge(&event)?;
                    Some((event, rank))
                }));
            }
            Ok(fitting)
        })
        .await
    }
}
