//! The index of words in SQLite: a table of FTS5.
//!
//! It holds no text (`content=''`) and of each token only in which events it is (`detail=none`), in lists that are
//! compressed. An entry is taken out by saying again what is in it.

use diesel::{
    ExpressionMethods, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
};
use greenroom_storage::SearchQuery;

use super::Entry;

diesel::table! {
    search_index (rowid) {
        rowid -> BigInt,
        // What to do with the row, where it is not to be put in.
        #[sql_name = "search_index"]
        command -> Nullable<Text>,
        tokens -> Text,
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    position: i64,
}

/// Leaves nothing in it.
pub(super) fn clear(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    conn.batch_execute("INSERT INTO search_index (search_index) VALUES ('delete-all')")
}

/// Puts entries in that are not there yet.
pub(super) fn insert(conn: &mut SqliteConnection, entries: &[Entry]) -> diesel::QueryResult<()> {
    for entry in entries {
        diesel::insert_into(search_index::table)
            .values((
                search_index::rowid.eq(entry.position),
                search_index::tokens.eq(entry.tokens.join(" ")),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Takes an entry out that is there.
pub(super) fn delete(conn: &mut SqliteConnection, entry: &Entry) -> diesel::QueryResult<()> {
    diesel::insert_into(search_index::table)
        .values((
            search_index::command.eq("delete"),
            search_index::rowid.eq(entry.position),
            search_index::tokens.eq(entry.tokens.join(" ")),
        ))
        .execute(conn)?;
    Ok(())
}

/// What FTS5 calls `MATCH` has no place in diesel's language.
pub(super) fn candidates(
    conn: &mut SqliteConnection,
    query: &SearchQuery,
) -> diesel::QueryResult<Vec<i64>> {
    let found: Vec<Found> = sql_query(
        "SELECT rowid AS position FROM search_index \
         WHERE search_index MATCH ? AND rowid >= ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?",
    )
    .bind::<Text, _>(expression(query))
    .bind::<BigInt, _>(query.from.0)
    .bind::<BigInt, _>(query.upto.0)
    .bind::<BigInt, _>(crate::rows::ts(query.limit))
    .load(conn)?;
    Ok(found.into_iter().map(|found| found.position).collect())
}

/// The query in FTS5's own language. Tokens are in quotes and hold none, so nothing in them is an operator.
fn expression(query: &SearchQuery) -> String {
    let quoted = |token: &String| format!("\"{}\"", token.replace('"', ""));
    let any = query.any.iter().map(|tokens| {
        let tokens: Vec<String> = tokens.iter().map(quoted).collect();
        format!("({})", tokens.join(" OR "))
    });
    let parts: Vec<String> = query.all.iter().map(quoted).chain(any).collect();
    parts.join(" AND ")
}
