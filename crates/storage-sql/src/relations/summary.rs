//! What is summed up of the relations to events, for one reader.

use std::collections::{HashMap, HashSet};

use diesel::{
    ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    SelectableHelper, dsl::count_star,
};
use greenroom_model::{Aggregations, StoredEvent, StreamPosition, Target, Thread, rel_type};
use greenroom_storage::{RelationReader, StorageError};
use ruma::OwnedEventId;

use crate::{
    connection::{AnyConnection, FromDiesel},
    rows::{EventRow, id, stored},
    schema::{aggregations, events, relations},
    text::pack,
    timeline::MAX_IN,
};

/// The most references that are told of one event: the newest.
const MAX_REFERENCES: i64 = 1_000;
/// How many replies are looked at together to find one for the reader.
const BATCH: i64 = 100;
/// Added to a column to keep the engine from an index of it: edits are read by their time.
const UNINDEXED: i64 = 0;

/// Sums up what relates to these events, and to the newest replies of threads among it.
pub(super) fn of(
    conn: &mut AnyConnection,
    targets: &[Target],
    reader: &RelationReader,
) -> Result<HashMap<OwnedEventId, Aggregations>, StorageError> {
    let mut summed = sum(conn, targets, reader)?;
    let latest: Vec<Target> = summed
        .values()
        .filter_map(|summed| summed.thread.as_ref())
        .map(|thread| as_target(&thread.latest))
        .filter(|latest| {
            targets
                .iter()
                .all(|known| known.event_id != latest.event_id)
        })
        .collect();
    summed.extend(sum(conn, &latest, reader)?);
    Ok(summed)
}

/// The IDs of those of the events that have a row of `aggregations`.
pub(super) fn known(
    conn: &mut AnyConnection,
    targets: Vec<Target>,
) -> Result<HashSet<OwnedEventId>, StorageError> {
    let mut keys: HashMap<Vec<u8>, OwnedEventId> = targets
        .into_iter()
        .map(|target| (target.key().as_bytes().to_vec(), target.event_id))
        .collect();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for some in keys.keys().collect::<Vec<_>>().chunks(MAX_IN) {
        let rows: Vec<Vec<u8>> = aggregations::table
            .filter(aggregations::target.eq_any(some.iter().map(|key| key.as_slice())))
            .select(aggregations::target)
            .load(conn)
            .map_err(StorageError::from_diesel)?;
        found.extend(rows);
    }
    Ok(found.iter().filter_map(|key| keys.remove(key)).collect())
}

/// A reply in a thread as the target of others.
fn as_target(reply: &StoredEvent) -> Target {
    Target {
        room_id: reply.room_id.clone(),
        event_id: reply.event_id.clone(),
        position: reply.position,
        event_type: reply.event_type.clone(),
        sender: reply.sender.clone(),
        editable: reply.state_key.is_none(),
        threadable: false,
    }
}

/// A row of `aggregations`.
type Counted = (Vec<u8>, i64, i64, i64, Option<i64>);

/// What was found, with positions in the place of events.
struct Found<'a> {
    target: &'a Target,
    edit: Option<i64>,
    thread: Option<FoundThread>,
    references: Vec<OwnedEventId>,
}

struct FoundThread {
    latest: i64,
    count: u64,
    participated: bool,
}

fn sum(
    conn: &mut AnyConnection,
    targets: &[Target],
    reader: &RelationReader,
) -> Result<HashMap<OwnedEventId, Aggregations>, StorageError> {
    let keys: HashMap<Vec<u8>, &Target> = targets
        .iter()
        .map(|target| (target.key().as_bytes().to_vec(), target))
        .collect();
    let mut found = Vec::new();
    for some in keys.keys().collect::<Vec<_>>().chunks(MAX_IN) {
        let rows: Vec<Counted> = aggregations::table
            .filter(aggregations::target.eq_any(some.iter().map(|key| key.as_slice())))
            .select((
                aggregations::target,
                aggregations::edits,
                aggregations::referrers,
                aggregations::replies,
                aggregations::latest_reply,
            ))
            .load(conn)
            .map_err(StorageError::from_diesel)?;
        for row in rows {
            if let Some(target) = keys.get(&row.0) {
                found.push(look_up(conn, target, &row, reader)?);
            }
        }
    }
    let mut events = events_at(conn, &found)?;
    Ok(found
        .into_iter()
        .map(|found| {
            let summed = Aggregations {
                edit: found.edit.and_then(|at| events.get(&at).cloned()),
                thread: found.thread.and_then(|thread| {
                    Some(Thread {
                        latest: events.remove(&thread.latest)?,
                        count: thread.count,
                        participated: thread.participated,
                    })
                }),
                references: found.references,
            };
            (found.target.event_id.clone(), summed)
        })
        .filter(|(_, summed)| !summed.is_empty())
        .collect())
}

/// The edits and replies that were found.
fn events_at(
    conn: &mut AnyConnection,
    found: &[Found<'_>],
) -> Result<HashMap<i64, StoredEvent>, StorageError> {
    let positions: Vec<i64> = found
        .iter()
        .flat_map(|found| {
            let latest = found.thread.as_ref().map(|thread| thread.latest);
            found.edit.into_iter().chain(latest)
        })
        .collect();
    let mut events = HashMap::new();
    for some in positions.chunks(MAX_IN) {
        let rows: Vec<EventRow> = events::table
            .filter(events::position.eq_any(some))
            .select(EventRow::as_select())
            .load(conn)
            .map_err(StorageError::from_diesel)?;
        events.extend(
            stored(rows)?
                .into_iter()
                .map(|event| (event.position.0, event)),
        );
    }
    Ok(events)
}

fn look_up<'a>(
    conn: &mut AnyConnection,
    target: &'a Target,
    (key, edits, referrers, replies, latest_reply): &Counted,
    reader: &RelationReader,
) -> Result<Found<'a>, StorageError> {
    let lookup = Lookup {
        key,
        target,
        reader,
    };
    let edit = match *edits > 0 && target.editable && !reader.ignores(target.sender.as_str()) {
        true => lookup.edit(conn).map_err(StorageError::from_diesel)?,
        false => None,
    };
    let thread = match latest_reply.filter(|_| target.threadable) {
        Some(latest) => lookup
            .thread(conn, *replies, latest)
            .map_err(StorageError::from_diesel)?,
        None => None,
    };
    let references = match *referrers > 0 {
        true => lookup.references(conn)?,
        false => Vec::new(),
    };
    Ok(Found {
        target,
        edit,
        thread,
        references,
    })
}

/// What relates to one event.
struct Lookup<'a> {
    key: &'a [u8],
    target: &'a Target,
    reader: &'a RelationReader,
}

impl Lookup<'_> {
    /// The stretches that the reader may see of what was sent after the event.
    fn visible(&self) -> impl Iterator<Item = (i64, i64)> {
        let stretches = self.reader.visible.iter();
        stretches
            .filter(|(_, upto)| *upto > self.target.position)
            .map(|(after, upto)| (after.0, upto.0))
    }

    /// Up to where the reader may see everything that was sent after the event, if that is all that
    /// they may see of it.
    fn all_upto(&self) -> Option<i64> {
        let mut visible = self.visible();
        let (after, upto) = visible.next()?;
        (visible.next().is_none() && after < self.target.position.0).then_some(upto)
    }

    /// The newest valid edit: "determined by comparing `origin_server_ts`; if two or more
    /// replacement events have identical `origin_server_ts`, the event with the lexicographically
    /// largest `event_id`".
    fn edit(&self, conn: &mut AnyConnection) -> QueryResult<Option<i64>> {
        let mut newest = None;
        let stretches: Vec<(i64, i64)> = match self.all_upto() {
            Some(upto) => vec![(0, upto)],
            None => self.visible().collect(),
        };
        for (after, upto) in stretches {
            let found: Option<(Option<i64>, String, i64)> = relations::table
                .inner_join(events::table.on(events::position.eq(relations::position)))
                .filter(relations::target.eq(self.key))
                .filter(relations::sender.eq(self.target.sender.as_str()))
                .filter(relations::rel_type.eq(rel_type::REPLACE))
                .filter(relations::event_type.eq(pack(&self.target.event_type)))
                .filter(relations::edit_ts.is_not_null())
                .filter((relations::position + UNINDEXED).gt(after))
                .filter((relations::position + UNINDEXED).le(upto))
                .order((relations::edit_ts.desc(), events::event_id.desc()))
                .select((relations::edit_ts, events::event_id, relations::position))
                .first(conn)
                .optional()?;
            newest = newest.max(found);
        }
        Ok(newest.map(|(_, _, position)| position))
    }

    fn thread(
        &self,
        conn: &mut AnyConnection,
        replies: i64,
        latest: i64,
    ) -> QueryResult<Option<FoundThread>> {
        let all = self.all_upto().is_some_and(|upto| latest <= upto);
        let stretches: Vec<(i64, i64)> = match all {
            true => vec![(0, i64::MAX)],
            false => self.visible().collect(),
        };
        let visible = match all {
            true => replies,
            false => self.replies_in(conn, &stretches)?,
        };
        let ignored = self.ignored_replies_in(conn, &stretches)?;
        let count = u64::try_from(visible - ignored).unwrap_or(0);
        if count == 0 {
            return Ok(None);
        }
        let latest = match all && ignored == 0 {
            true => Some(latest),
            false => self.latest_reply(conn)?,
        };
        let Some(latest) = latest else {
            return Ok(None);
        };
        Ok(Some(FoundThread {
            latest,
            count,
            participated: self.participated(conn)?,
        }))
    }

    fn replies_in(&self, conn: &mut AnyConnection, stretches: &[(i64, i64)]) -> QueryResult<i64> {
        let mut count = 0;
        for (after, upto) in stretches {
            count += relations::table
                .filter(relations::target.eq(self.key))
                .filter(relations::rel_type.eq(rel_type::THREAD))
                .filter(relations::position.gt(after))
                .filter(relations::position.le(upto))
                .select(count_star())
                .first::<i64>(conn)?;
        }
        Ok(count)
    }

    /// How many of the replies are by those whom the reader ignores.
    fn ignored_replies_in(
        &self,
        conn: &mut AnyConnection,
        stretches: &[(i64, i64)],
    ) -> QueryResult<i64> {
        let Some(ignored) = &self.reader.ignored else {
            return Ok(0);
        };
        let ignored: Vec<&str> = ignored.iter().map(|user_id| user_id.as_str()).collect();
        let mut count = 0;
        for some in ignored.chunks(MAX_IN) {
            for (after, upto) in stretches {
                count += relations::table
                    .filter(relations::target.eq(self.key))
                    .filter(relations::sender.eq_any(some))
                    .filter(relations::rel_type.eq(rel_type::THREAD))
                    .filter(relations::position.gt(after))
                    .filter(relations::position.le(upto))
                    .select(count_star())
                    .first::<i64>(conn)?;
            }
        }
        Ok(count)
    }

    /// "The most recent event [...] in the thread sent by an un-ignored user."
    fn latest_reply(&self, conn: &mut AnyConnection) -> QueryResult<Option<i64>> {
        let mut upto = self.visible().last().map_or(0, |(_, upto)| upto);
        loop {
            let rows: Vec<(i64, String)> = relations::table
                .filter(relations::target.eq(self.key))
                .filter(relations::rel_type.eq(rel_type::THREAD))
                .filter(relations::position.le(upto))
                .order(relations::position.desc())
                .limit(BATCH)
                .select((relations::position, relations::sender))
                .load(conn)?;
            let exhausted = i64::try_from(rows.len()).unwrap_or(BATCH) < BATCH;
            for (position, sender) in rows {
                if self.reader.counts(StreamPosition(position), &sender) {
                    return Ok(Some(position));
                }
                upto = position - 1;
            }
            if exhausted {
                return Ok(None);
            }
        }
    }

    fn participated(&self, conn: &mut AnyConnection) -> QueryResult<bool> {
        if self.target.sender == self.reader.user_id {
            return Ok(true);
        }
        let reply: Option<i64> = relations::table
            .filter(relations::target.eq(self.key))
            .filter(relations::sender.eq(self.reader.user_id.as_str()))
            .filter(relations::rel_type.eq(rel_type::THREAD))
            .select(relations::position)
            .first(conn)
            .optional()?;
        Ok(reply.is_some())
    }

    fn references(&self, conn: &mut AnyConnection) -> Result<Vec<OwnedEventId>, StorageError> {
        let mut newest = Vec::new();
        let mut stretches: Vec<(i64, i64)> = self.visible().collect();
        stretches.reverse();
        for (after, mut upto) in stretches {
            loop {
                let rows: Vec<(i64, String, String)> = relations::table
                    .inner_join(events::table.on(events::position.eq(relations::position)))
                    .filter(relations::target.eq(self.key))
                    .filter(relations::rel_type.eq(rel_type::REFERENCE))
                    .filter((relations::position + UNINDEXED).gt(after))
                    .filter(relations::position.le(upto))
                    .order(relations::position.desc())
                    .limit(MAX_REFERENCES)
                    .select((relations::position, relations::sender, events::event_id))
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                let exhausted = i64::try_from(rows.len()).unwrap_or(i64::MAX) < MAX_REFERENCES;
                for (position, sender, event_id) in rows {
                    upto = position - 1;
                    if !self.reader.ignores(&sender) {
                        newest.push(id(event_id, "event ID")?);
                    }
                }
                let has_enough = i64::try_from(newest.len()).unwrap_or(i64::MAX) >= MAX_REFERENCES;
                if has_enough {
                    newest.truncate(usize::try_from(MAX_REFERENCES).unwrap_or(usize::MAX));
                    newest.reverse();
                    return Ok(newest);
                }
                if exhausted {
                    break;
                }
            }
        }
        newest.reverse();
        Ok(newest)
    }
}
