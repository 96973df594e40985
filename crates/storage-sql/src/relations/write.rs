//! What an append writes of a relation, and what a redaction takes back.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, dsl::max};
use greenroom_model::{AnnotationKey, Relation, StoredEvent, TargetKey, rel_type};
use greenroom_storage::{RECURSION_DEPTH, StorageError};

use crate::{
    connection::{AnyConnection, FromDiesel},
    rows::ts,
    schema::{aggregations, events, indirect_relations, relations},
    text::pack,
    timeline::MAX_IN,
};

/// What is summed up of a relation; of annotations and what we do not know, nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summed {
    Edit,
    Reference,
    Reply,
}

impl Summed {
    fn new(rel_type: &str, is_edit: bool) -> Option<Self> {
        match rel_type {
            rel_type::REPLACE if is_edit => Some(Self::Edit),
            rel_type::REFERENCE => Some(Self::Reference),
            rel_type::THREAD => Some(Self::Reply),
            _ => None,
        }
    }

    /// How many edits, references and replies that is.
    fn counts(self) -> (i64, i64, i64) {
        match self {
            Self::Edit => (1, 0, 0),
            Self::Reference => (0, 1, 0),
            Self::Reply => (0, 0, 1),
        }
    }
}

/// A row of `relations` as far as others build on it.
type Above = (Vec<u8>, String, String);

/// A row of `indirect_relations`: target, depth, types.
type FartherAbove = (Vec<u8>, i64, Option<String>, Option<String>);

/// Writes down that an event which was just stored relates to another one.
///
/// # Errors
///
/// [`StorageError::DuplicateAnnotation`].
pub(crate) fn write_relation(
    conn: &mut AnyConnection,
    event: &StoredEvent,
    relation: &Relation,
) -> Result<(), StorageError> {
    let target = TargetKey::new(&event.room_id, &relation.target);
    let event_type = pack(&event.event_type);
    let annotation = relation.key.as_deref().map(AnnotationKey::new);
    if let Some(key) = annotation
        && is_annotated(conn, target, event.sender.as_str(), &event_type, key)
            .map_err(StorageError::from_diesel)?
    {
        return Err(StorageError::DuplicateAnnotation);
    }
    let rel_type = pack(&relation.rel_type);
    let edit_ts = relation
        .is_edit
        .then(|| ts(event.origin_server_ts.get().into()));
    diesel::insert_into(relations::table)
        .values((
            relations::position.eq(event.position.0),
            relations::target.eq(target.as_bytes()),
            relations::rel_type.eq(&rel_type),
            relations::event_type.eq(&event_type),
            relations::sender.eq(event.sender.as_str()),
            relations::edit_ts.eq(edit_ts),
            relations::annotation.eq(annotation.as_ref().map(AnnotationKey::as_bytes)),
        ))
        .execute(conn)
        .map_err(StorageError::from_diesel)?;
    let is_child = write_indirect(conn, event, relation, &rel_type, &event_type)
        .map_err(StorageError::from_diesel)?;
    match Summed::new(&relation.rel_type, relation.is_edit) {
        // "It is not possible to create a thread from an event which itself is the child of an
        // event relationship": one that another server has let pass is no thread here.
        None => Ok(()),
        Some(Summed::Reply) if is_child => Ok(()),
        Some(summed) => {
            add(conn, event, relation, target, summed).map_err(StorageError::from_diesel)
        }
    }
}

/// Whether the user has annotated an event in these words.
pub(super) fn is_annotated(
    conn: &mut AnyConnection,
    target: TargetKey,
    sender: &str,
    event_type: &str,
    key: AnnotationKey,
) -> QueryResult<bool> {
    let found: Option<i64> = relations::table
        .filter(relations::target.eq(target.as_bytes()))
        .filter(relations::sender.eq(sender))
        .filter(relations::rel_type.eq(rel_type::ANNOTATION))
        .filter(relations::event_type.eq(event_type))
        .filter(relations::annotation.eq(key.as_bytes()))
        .select(relations::position)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Writes down to which events it relates by way of the one that it names. Tells whether that one
/// relates to another itself.
fn write_indirect(
    conn: &mut AnyConnection,
    event: &StoredEvent,
    relation: &Relation,
    rel_type: &str,
    event_type: &str,
) -> QueryResult<bool> {
    let parent: Option<i64> = events::table
        .filter(events::event_id.eq(pack(relation.target.as_str())))
        .filter(events::room_id.eq(event.room_id.as_str()))
        .select(events::position)
        .first(conn)
        .optional()?;
    let Some(parent) = parent.filter(|parent| *parent != event.position.0) else {
        return Ok(false);
    };
    let above: Option<Above> = relations::table
        .find(parent)
        .select((
            relations::target,
            relations::rel_type,
            relations::event_type,
        ))
        .first(conn)
        .optional()?;
    let Some((grandparent, above_rel_type, above_event_type)) = above else {
        return Ok(false);
    };
    let mut farther: Vec<FartherAbove> = indirect_relations::table
        .filter(indirect_relations::position.eq(parent))
        .filter(indirect_relations::depth.lt(ts(RECURSION_DEPTH)))
        .select((
            indirect_relations::target,
            indirect_relations::depth,
            indirect_relations::rel_type,
            indirect_relations::event_type,
        ))
        .load(conn)?;
    farther.push((grandparent, 1, Some(above_rel_type), Some(above_event_type)));
    for (target, depth, above_rel_type, above_event_type) in farther {
        let same_rel_type = above_rel_type.filter(|above| above == rel_type);
        // Only asked for together with the relation's type.
        let same_event_type = above_event_type
            .filter(|above| above == event_type)
            .filter(|_| same_rel_type.is_some());
        diesel::insert_into(indirect_relations::table)
            .values((
                indirect_relations::target.eq(target),
                indirect_relations::position.eq(event.position.0),
                indirect_relations::depth.eq(depth + 1),
                indirect_relations::rel_type.eq(same_rel_type),
                indirect_relations::event_type.eq(same_event_type),
            ))
            .execute(conn)?;
    }
    Ok(true)
}

/// Counts a relation in.
fn add(
    conn: &mut AnyConnection,
    event: &StoredEvent,
    relation: &Relation,
    target: TargetKey,
    summed: Summed,
) -> QueryResult<()> {
    let (edits, referrers, replies) = summed.counts();
    let latest_reply = (summed == Summed::Reply).then_some(event.position.0);
    let known = diesel::update(aggregations::table.find(target.as_bytes()))
        .set((
            aggregations::edits.eq(aggregations::edits + edits),
            aggregations::referrers.eq(aggregations::referrers + referrers),
            aggregations::replies.eq(aggregations::replies + replies),
            // `None` leaves the column as it is.
            latest_reply.map(|latest| aggregations::latest_reply.eq(Some(latest))),
        ))
        .execute(conn)?;
    if known == 0 {
        diesel::insert_into(aggregations::table)
            .values((
                aggregations::target.eq(target.as_bytes()),
                aggregations::room_id.eq(event.room_id.as_str()),
                aggregations::event_id.eq(pack(relation.target.as_str())),
                aggregations::edits.eq(edits),
                aggregations::referrers.eq(referrers),
                aggregations::replies.eq(replies),
                aggregations::latest_reply.eq(latest_reply),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Takes back what a redacted event said that it related to. What relates to itself stays.
pub(crate) fn forget_relation(conn: &mut AnyConnection, event: &StoredEvent) -> QueryResult<()> {
    let position = event.position.0;
    let row: Option<(Vec<u8>, String, Option<i64>)> = relations::table
        .find(position)
        .select((relations::target, relations::rel_type, relations::edit_ts))
        .first(conn)
        .optional()?;
    let Some((target, rel_type, edit_ts)) = row else {
        return Ok(());
    };
    forget_indirect(conn, event, &target)?;
    diesel::delete(relations::table.find(position)).execute(conn)?;
    match Summed::new(&rel_type, edit_ts.is_some()) {
        Some(summed) => subtract(conn, &target, summed, position),
        None => Ok(()),
    }
}

/// Cuts the ways that led over a redacted event to `target` and beyond.
fn forget_indirect(
    conn: &mut AnyConnection,
    event: &StoredEvent,
    target: &[u8],
) -> QueryResult<()> {
    let position = event.position.0;
    let mut above: Vec<Vec<u8>> = indirect_relations::table
        .filter(indirect_relations::position.eq(position))
        .select(indirect_relations::target)
        .load(conn)?;
    diesel::delete(indirect_relations::table.filter(indirect_relations::position.eq(position)))
        .execute(conn)?;
    above.push(target.to_vec());
    let own = TargetKey::new(&event.room_id, &event.event_id);
    let mut below: Vec<i64> = relations::table
        .filter(relations::target.eq(own.as_bytes()))
        .select(relations::position)
        .load(conn)?;
    let farther: Vec<i64> = indirect_relations::table
        .filter(indirect_relations::target.eq(own.as_bytes()))
        .select(indirect_relations::position)
        .load(conn)?;
    below.extend(farther);
    for target in above {
        for some in below.chunks(MAX_IN) {
            let over_it = indirect_relations::table
                .filter(indirect_relations::target.eq(&target))
                .filter(indirect_relations::position.eq_any(some));
            diesel::delete(over_it).execute(conn)?;
        }
    }
    Ok(())
}

/// Counts a relation out whose row is gone.
fn subtract(
    conn: &mut AnyConnection,
    target: &[u8],
    summed: Summed,
    position: i64,
) -> QueryResult<()> {
    let row: Option<(i64, i64, i64, Option<i64>)> = aggregations::table
        .find(target)
        .select((
            aggregations::edits,
            aggregations::referrers,
            aggregations::replies,
            aggregations::latest_reply,
        ))
        .first(conn)
        .optional()?;
    let Some((edits, referrers, replies, latest_reply)) = row else {
        return Ok(());
    };
    let (edit, reference, reply) = summed.counts();
    let left = (edits - edit, referrers - reference, replies - reply);
    if left.0 <= 0 && left.1 <= 0 && left.2 <= 0 {
        diesel::delete(aggregations::table.find(target)).execute(conn)?;
        return Ok(());
    }
    let latest_reply = match latest_reply {
        _ if left.2 <= 0 => None,
        Some(latest) if latest == position => relations::table
            .filter(relations::target.eq(target))
            .filter(relations::rel_type.eq(rel_type::THREAD))
            .select(max(relations::position))
            .first(conn)?,
        other => other,
    };
    diesel::update(aggregations::table.find(target))
        .set((
            aggregations::edits.eq(left.0),
            aggregations::referrers.eq(left.1),
            aggregations::replies.eq(left.2.max(0)),
            aggregations::latest_reply.eq(latest_reply),
        ))
        .execute(conn)?;
    Ok(())
}
