//! The index of words in PostgreSQL: an array of hashed tokens for each event under a GIN index, which
//! needs no extension and no text.

use diesel::{
    ExpressionMethods, PgConnection, QueryDsl, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Array, BigInt, Integer},
};
use greenroom_storage::SearchQuery;

use super::Entry;

diesel::table! {
    search_entries (position) {
        position -> BigInt,
        tokens -> Array<Integer>,
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    position: i64,
}

/// Four bytes for a token. Two that share them cost a candidate that is no hit.
fn hashes(tokens: &[String]) -> Vec<i32> {
    let short = |token: &String| {
        let hash = greenroom_search::hash(token);
        let folded = hash ^ (hash >> 32);
        i32::from_le_bytes(std::array::from_fn(|at| {
            folded.to_le_bytes().get(at).copied().unwrap_or_default()
        }))
    };
    let mut hashes: Vec<i32> = tokens.iter().map(short).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Leaves nothing in it.
pub(super) fn clear(conn: &mut PgConnection) -> diesel::QueryResult<()> {
    conn.batch_execute("TRUNCATE search_entries")
}

/// Puts entries in that are not there yet.
pub(super) fn insert(conn: &mut PgConnection, entries: &[Entry]) -> diesel::QueryResult<()> {
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                search_entries::position.eq(entry.position),
                search_entries::tokens.eq(hashes(&entry.tokens)),
            )
        })
        .collect();
    diesel::insert_into(search_entries::table)
        .values(rows)
        .execute(conn)?;
    Ok(())
}

/// Takes an entry out.
pub(super) fn delete(conn: &mut PgConnection, entry: &Entry) -> diesel::QueryResult<()> {
    diesel::delete(search_entries::table.find(entry.position)).execute(conn)?;
    Ok(())
}

/// As SQL text: diesel has no word for a part that must not be planned together with the rest. The
/// planner would rather read the table backwards by position, whoever's events are there, until it has
/// found as many as are wanted.
pub(super) fn candidates(
    conn: &mut PgConnection,
    query: &SearchQuery,
) -> diesel::QueryResult<Vec<i64>> {
    let any: Vec<String> = (0..query.any.len())
        .map(|at| format!("AND tokens && ${}", at + 5))
        .collect();
    let any = any.join(" ");
    let sql = format!(
        "WITH hits AS MATERIALIZED (SELECT position FROM search_entries WHERE tokens @> $1 {any}) \
         SELECT position FROM hits WHERE position >= $2 AND position <= $3 \
         ORDER BY position DESC LIMIT $4"
    );
    let mut sql = sql_query(sql)
        .into_boxed::<diesel::pg::Pg>()
        .bind::<Array<Integer>, _>(hashes(&query.all))
        .bind::<BigInt, _>(query.from.0)
        .bind::<BigInt, _>(query.upto.0)
        .bind::<BigInt, _>(crate::rows::ts(query.limit));
    for tokens in &query.any {
        sql = sql.bind::<Array<Integer>, _>(hashes(tokens));
    }
    let found: Vec<Found> = sql.load(conn)?;
    Ok(found.into_iter().map(|found| found.position).collect())
}
