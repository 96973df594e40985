//! Finding users by name.
//!
//! A user has a row for each word they are found by, so that a search is a range of words. Whether
//! the searcher may find them is asked of the memberships at hand, and kept nowhere.

mod words;

use std::collections::HashSet;

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl,
    QueryResult, RunQueryDsl,
    dsl::{exists, sql},
    sql_types::Bool,
};
use greenroom_storage::{FoundUser, StorageError, UserDirectoryStore};
use ruma::{OwnedUserId, UserId};
use serde_json::Value;

use self::words::{searched, words_of};
use crate::{
    Db,
    connection::{AnyConnection, FromDiesel, on_either},
    rows::id,
    schema::{accounts, directory_words, memberships, profile_fields, rooms},
    text::{pack, pack_owned},
};

/// How many users with a fitting name are looked at one by one, to see whether the searcher may
/// find them. Where more have one, those are looked for whom the searcher may find.
const CANDIDATES: i64 = 500;
/// How many of them one query looks at.
const AT_ONCE: usize = 50;
/// How many open rooms' members are looked through at once.
const ROOMS_AT_ONCE: i64 = 200;
/// How often, at most: who is found by a name that so many have is any of them.
const ROUNDS: usize = 25;
/// How many accounts are read at once where the directory is filled.
const FILLED_AT_ONCE: i64 = 500;
/// Behind all words that begin with the one it follows.
const END: char = '\u{10FFFF}';
const JOIN: &str = "join";
/// Written out, so that it is the condition of the partial index.
const OPEN: &str = "(rooms.join_rule = 'public' OR rooms.history_visibility = 'world_readable')";

/// Writes anew by which words an active user is found. Part of the act that changes the name.
pub(crate) fn write_words(
    conn: &mut AnyConnection,
    user_id: &UserId,
    display_name: Option<&str>,
) -> QueryResult<()> {
    forget_words(conn, user_id)?;
    let rows: Vec<_> = words_of(user_id, display_name)
        .iter()
        .map(|word| {
            (
                directory_words::user_id.eq(user_id.as_str()),
                directory_words::word.eq(pack_owned(word)),
            )
        })
        .collect();
    on_either!(conn, c => diesel::insert_into(directory_words::table)
        .values(&rows)
        .execute(c))?;
    Ok(())
}

/// Takes a user out of the directory.
pub(crate) fn forget_words(conn: &mut AnyConnection, user_id: &UserId) -> QueryResult<()> {
    let of_user = directory_words::table.filter(directory_words::user_id.eq(user_id.as_str()));
    diesel::delete(of_user).execute(conn)?;
    Ok(())
}

/// Fills the directory of a database from before there was one. Every active user has words, so
/// that one row says that this was done.
pub(crate) fn fill(conn: &mut AnyConnection) -> Result<(), StorageError> {
    let any: Option<String> = directory_words::table
        .filter(directory_words::user_id.gt(""))
        .select(directory_words::user_id)
        .first(conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    if any.is_some() {
        return Ok(());
    }
    let filled = conn.transaction(|conn| -> QueryResult<()> {
        let mut last = String::new();
        loop {
            let users: Vec<String> = accounts::table
                .filter(accounts::user_id.gt(&last))
                .filter(accounts::deactivated.eq(false))
                .order(accounts::user_id.asc())
                .limit(FILLED_AT_ONCE)
                .select(accounts::user_id)
                .load(conn)?;
            let Some(newest) = users.last() else {
                return Ok(());
            };
            last.clone_from(newest);
            for user_id in users {
                fill_one(conn, user_id)?;
            }
        }
    });
    filled.map_err(StorageError::from_diesel)
}

fn fill_one(conn: &mut AnyConnection, user_id: String) -> QueryResult<()> {
    let Ok(user_id) = OwnedUserId::try_from(user_id) else {
        return Ok(());
    };
    let name: Option<Vec<u8>> = profile_fields::table
        .find((user_id.as_str(), "displayname"))
        .select(profile_fields::value)
        .first(conn)
        .optional()?;
    let name = name.and_then(|name| serde_json::from_slice::<Value>(&name).ok());
    write_words(conn, &user_id, name.as_ref().and_then(Value::as_str))
}

/// The words of a search, as ranges of the stored ones.
struct Wanted(Vec<(String, String)>);

impl Wanted {
    fn new(term: &str) -> Option<Self> {
        let words = searched(term);
        let range = |word: &String| {
            let begin = pack(word).into_owned();
            let end = format!("{begin}{END}");
            (begin, end)
        };
        (!words.is_empty()).then(|| Self(words.iter().map(range).collect()))
    }
}

/// Adds to a query, which must be boxed, that a column's user is found by each of these ranges.
macro_rules! found_by {
    ($query:expr, $user:expr, $ranges:expr) => {{
        let mut query = $query;
        for (begin, end) in $ranges {
            let also = diesel::alias!(directory_words as also);
            query = query.filter(exists(
                also.filter(also.field(directory_words::user_id).eq($user))
                    .filter(also.field(directory_words::word).ge(begin))
                    .filter(also.field(directory_words::word).lt(end))
                    .select(also.field(directory_words::user_id)),
            ));
        }
        query
    }};
}

fn find(
    conn: &mut AnyConnection,
    searcher: &str,
    wanted: &Wanted,
    limit: usize,
) -> QueryResult<Vec<(String, bool)>> {
    let Some(((begin, end), others)) = wanted.0.split_first() else {
        return Ok(Vec::new());
    };
    let candidates = directory_words::table
        .filter(directory_words::word.ge(begin))
        .filter(directory_words::word.lt(end))
        .order((directory_words::word.asc(), directory_words::user_id.asc()))
        .limit(CANDIDATES)
        .select((directory_words::user_id, directory_words::word))
        .into_boxed();
    let rows: Vec<(String, String)> =
        found_by!(candidates, directory_words::user_id, others).load(conn)?;
    let are_all = rows.len() < usize::try_from(CANDIDATES).unwrap_or(0);
    // One user may be found by several words: the first one fits best.
    let mut seen = HashSet::new();
    let candidates: Vec<(String, bool)> = rows
        .into_iter()
        .filter(|(user_id, _)| seen.insert(user_id.clone()))
        .map(|(user_id, word)| (user_id, word == *begin))
        .collect();
    let mut found = Vec::new();
    for some in candidates.chunks(AT_ONCE) {
        let ids: Vec<&String> = some.iter().map(|(user_id, _)| user_id).collect();
        let visible = visible_among(conn, searcher, &ids)?;
        let some = some.iter().filter(|(user_id, _)| visible.contains(user_id));
        found.extend(some.cloned());
        if found.len() >= limit {
            break;
        }
    }
    if found.len() < limit && !are_all {
        let known: HashSet<String> = found.iter().map(|(user_id, _)| user_id.clone()).collect();
        let mut more = companions(conn, searcher, wanted, limit)?;
        more.extend(in_open_rooms(conn, wanted, limit)?);
        let more: HashSet<String> = more.difference(&known).cloned().collect();
        found.extend(more.into_iter().map(|user_id| (user_id, false)));
    }
    found.truncate(limit);
    Ok(found)
}

/// Those among `users` who are joined to a room that the searcher is joined to, or to an open one.
fn visible_among(
    conn: &mut AnyConnection,
    searcher: &str,
    users: &[&String],
) -> QueryResult<HashSet<String>> {
    let mine = diesel::alias!(memberships as mine);
    let shared = exists(
        mine.filter(mine.field(memberships::room_id).eq(memberships::room_id))
            .filter(mine.field(memberships::user_id).eq(searcher))
            .filter(mine.field(memberships::membership).eq(JOIN))
            .select(mine.field(memberships::room_id)),
    );
    let open = exists(
        rooms::table
            .filter(rooms::room_id.eq(memberships::room_id))
            .filter(sql::<Bool>(OPEN))
            .select(rooms::room_id),
    );
    let found: Vec<String> = memberships::table
        .filter(memberships::user_id.eq_any(users))
        .filter(memberships::membership.eq(JOIN))
        .filter(shared.or(open))
        .distinct()
        .select(memberships::user_id)
        .load(conn)?;
    Ok(found.into_iter().collect())
}

/// Some of those in the searcher's rooms who are found by all words.
fn companions(
    conn: &mut AnyConnection,
    searcher: &str,
    wanted: &Wanted,
    limit: usize,
) -> QueryResult<HashSet<String>> {
    let mine = diesel::alias!(memberships as mine);
    let users = memberships::table
        .inner_join(mine.on(mine.field(memberships::room_id).eq(memberships::room_id)))
        .filter(mine.field(memberships::user_id).eq(searcher))
        .filter(mine.field(memberships::membership).eq(JOIN))
        .filter(memberships::membership.eq(JOIN))
        .distinct()
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(memberships::user_id)
        .into_boxed();
    let found: Vec<String> = found_by!(users, memberships::user_id, &wanted.0).load(conn)?;
    Ok(found.into_iter().collect())
}

/// Some of those in open rooms who are found by all words.
fn in_open_rooms(
    conn: &mut AnyConnection,
    wanted: &Wanted,
    limit: usize,
) -> QueryResult<HashSet<String>> {
    let mut found = HashSet::new();
    let mut last = String::new();
    for _ in 0..ROUNDS {
        if found.len() >= limit {
            break;
        }
        // Rooms first, in a question of their own: in one with their members an engine may begin
        // with all members of all rooms.
        let open: Vec<String> = rooms::table
            .filter(rooms::room_id.gt(&last))
            .filter(sql::<Bool>(OPEN))
            .order(rooms::room_id.asc())
            .limit(ROOMS_AT_ONCE)
            .select(rooms::room_id)
            .load(conn)?;
        let Some(newest) = open.last() else { break };
        last.clone_from(newest);
        let users = memberships::table
            .filter(memberships::room_id.eq_any(&open))
            .filter(memberships::membership.eq(JOIN))
            .distinct()
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(memberships::user_id)
            .into_boxed();
        let users: Vec<String> = found_by!(users, memberships::user_id, &wanted.0).load(conn)?;
        found.extend(users);
    }
    Ok(found)
}

#[async_trait]
impl UserDirectoryStore for Db {
    async fn find_users(
        &self,
        searcher: &UserId,
        term: &str,
        limit: u64,
    ) -> Result<Vec<FoundUser>, StorageError> {
        let Some(wanted) = Wanted::new(term) else {
            return Ok(Vec::new());
        };
        let searcher = searcher.to_owned();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.read(move |conn| {
            let found = find(conn, searcher.as_str(), &wanted, limit);
            found
                .map_err(StorageError::from_diesel)?
                .into_iter()
                .map(|(user_id, exact)| {
                    let user_id = id(user_id, "user ID")?;
                    Ok(FoundUser { user_id, exact })
                })
                .collect()
        })
        .await
    }
}
