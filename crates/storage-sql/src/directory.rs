//! Room aliases and the published room directory.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl,
    RunQueryDsl, TextExpressionMethods,
};
use greenroom_storage::{
    DirectoryStore, PublicRoom, PublicRoomsPage, PublicRoomsQuery, StorageError,
};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};

use crate::{
    Db,
    connection::{AnyConnection, FromDiesel},
    rows::{id, ms, ts},
    schema::{room_aliases, rooms},
    text::{fold, pack, pack_owned, unpack},
};

/// The longest search term that is looked for, in bytes. Engines refuse patterns beyond a limit of
/// their own.
const MAX_TERM_BYTES: usize = 10_000;

pub(crate) type RoomRow = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
);

pub(crate) fn public_room(row: RoomRow) -> Result<PublicRoom, StorageError> {
    let (room_id, name, topic, alias, avatar, join_rule, room_type, guest, visibility, joined) =
        row;
    Ok(PublicRoom {
        room_id: id(room_id, "room ID")?,
        name: name.map(unpack),
        topic: topic.map(unpack),
        canonical_alias: alias.map(unpack),
        avatar_url: avatar.map(unpack),
        join_rule: join_rule.map(unpack),
        room_type: room_type.map(unpack),
        guest_can_join: guest.as_deref() == Some("can_join"),
        world_readable: visibility.as_deref() == Some("world_readable"),
        joined_members: ms(joined),
    })
}

/// `%term%` with LIKE's own characters taken literally.
fn pattern(term: &str) -> String {
    let mut pattern = String::from("%");
    for c in fold(&pack(term)).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn search(
    query: &PublicRoomsQuery,
    conn: &mut AnyConnection,
) -> Result<PublicRoomsPage, StorageError> {
    let term = query.search_term.as_deref().filter(|term| !term.is_empty());
    if term.is_some_and(|term| term.len() > MAX_TERM_BYTES) {
        return Ok(PublicRoomsPage::default());
    }
    macro_rules! matching {
        () => {{
            // The bare column, not `= true`: only so is it the condition of the partial index.
            // Where everybody has left there is nobody to meet.
            let mut matching = rooms::table
                .filter(rooms::published)
                .filter(rooms::joined_members.gt(0))
                .into_boxed();
            if let Some(term) = term {
                matching = matching.filter(rooms::search_text.like(pattern(term)).escape('\\'));
            }
            if let Some(types) = &query.room_types {
                let named: Vec<Option<String>> = types
                    .iter()
                    .flatten()
                    .map(|t| Some(pack_owned(t)))
                    .collect();
                matching = if types.contains(&None) {
                    matching.filter(
                        rooms::room_type
                            .is_null()
                            .or(rooms::room_type.eq_any(named)),
                    )
                } else {
                    matching.filter(rooms::room_type.eq_any(named))
                };
            }
            matching
        }};
    }
    let total: i64 = matching!()
        .count()
        .get_result(conn)
        .map_err(StorageError::from_diesel)?;
    let mut page = matching!();
    // The range of the first column is what the index can use; the rest picks among equals.
    page = match (&query.from, query.backwards) {
        (None, false) => page.filter(rooms::joined_members.le(i64::MAX)),
        (None, true) => page.filter(rooms::joined_members.ge(0)),
        (Some((members, room_id)), false) => {
            let members = ts(*members);
            page.filter(rooms::joined_members.le(members)).filter(
                rooms::joined_members
                    .lt(members)
                    .or(rooms::room_id.lt(room_id.to_string())),
            )
        }
        (Some((members, room_id)), true) => {
            let members = ts(*members);
            page.filter(rooms::joined_members.ge(members)).filter(
                rooms::joined_members
                    .gt(members)
                    .or(rooms::room_id.gt(room_id.to_string())),
            )
        }
    };
    page = if query.backwards {
        page.order((rooms::joined_members.asc(), rooms::room_id.asc()))
    } else {
        page.order((rooms::joined_members.desc(), rooms::room_id.desc()))
    };
    let rows: Vec<RoomRow> = page
        .limit(ts(query.limit.saturating_add(1)))
        .select((
            rooms::room_id,
            rooms::name,
            rooms::topic,
            rooms::canonical_alias,
            rooms::avatar_url,
            rooms::join_rule,
            rooms::room_type,
            rooms::guest_access,
            rooms::history_visibility,
            rooms::joined_members,
        ))
        .load(conn)
        .map_err(StorageError::from_diesel)?;
    into_page(rows, query, ms(total))
}

/// A page of the rows found, of which there is one more than asked for if there are more.
fn into_page(
    rows: Vec<RoomRow>,
    query: &PublicRoomsQuery,
    total: u64,
) -> Result<PublicRoomsPage, StorageError> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX - 1);
    let more = rows.len() > limit;
    let mut rooms: Vec<PublicRoom> = rows
        .into_iter()
        .take(limit)
        .map(public_room)
        .collect::<Result<_, _>>()?;
    if query.backwards {
        rooms.reverse();
    }
    Ok(PublicRoomsPage { rooms, more, total })
}

#[async_trait]
impl DirectoryStore for Db {
    async fn create_alias(
        &self,
        alias: &RoomAliasId,
        room_id: &RoomId,
        creator: &UserId,
    ) -> Result<(), StorageError> {
        let (alias, room_id, creator) =
            (alias.to_string(), room_id.to_string(), creator.to_string());
        self.write(move |tx| {
            diesel::insert_into(room_aliases::table)
                .values((
                    room_aliases::alias.eq(alias),
                    room_aliases::room_id.eq(room_id),
                    room_aliases::creator.eq(creator),
                ))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(())
        })
        .await
    }

    async fn alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Option<(OwnedRoomId, OwnedUserId)>, StorageError> {
        let alias = alias.to_string();
        self.read(move |conn| {
            let row: Option<(String, String)> = room_aliases::table
                .find(alias)
                .select((room_aliases::room_id, room_aliases::creator))
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            row.map(|(room_id, creator)| Ok((id(room_id, "room ID")?, id(creator, "user ID")?)))
                .transpose()
        })
        .await
    }

    async fn delete_alias(&self, alias: &RoomAliasId) -> Result<bool, StorageError> {
        let alias = alias.to_string();
        self.write(move |tx| {
            let deleted = diesel::delete(room_aliases::table.find(alias))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(deleted > 0)
        })
        .await
    }

    async fn aliases(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>, StorageError> {
        let room_id = room_id.to_string();
        self.read(move |conn| {
            let aliases: Vec<String> = room_aliases::table
                .filter(room_aliases::room_id.eq(room_id))
                .order(room_aliases::alias.asc())
                .select(room_aliases::alias)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            aliases
                .into_iter()
                .map(|alias| id(alias, "room alias"))
                .collect()
        })
        .await
    }

    async fn publish(&self, room_id: &RoomId, published: bool) -> Result<bool, StorageError> {
        let room_id = room_id.to_string();
        self.write(move |tx| {
            let changed = diesel::update(rooms::table.find(room_id))
                .set(rooms::published.eq(published))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            Ok(changed > 0)
        })
        .await
    }

    async fn published(&self, room_id: &RoomId) -> Result<Option<bool>, StorageError> {
        let room_id = room_id.to_string();
        self.read(move |conn| {
            rooms::table
                .find(room_id)
                .select(rooms::published)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)
        })
        .await
    }

    async fn public_rooms(&self, query: PublicRoomsQuery) -> Result<PublicRoomsPage, StorageError> {
        self.read(move |conn| search(&query, conn)).await
    }
}
