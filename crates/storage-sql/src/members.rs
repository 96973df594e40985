//! Who is in which room now.

use async_trait::async_trait;
use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::{
    Member, MemberCounts, MemberStore, RoomMembership, RoomSummary, StorageError,
};
use greenroom_stream::ChangeKind;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

use crate::{
    Db,
    connection::FromDiesel,
    rows::{id, ts},
    schema::memberships,
    summary::{counted, heroes, summary_at},
    text::unpack,
    unread::forget_unread,
};

pub(crate) type MembershipRow = (String, String, i64, String, String, bool);

pub(crate) fn room_membership(row: MembershipRow) -> Result<RoomMembership, StorageError> {
    let (room_id, membership, position, event_id, sender, forgotten) = row;
    Ok(RoomMembership {
        room_id: id(room_id, "room ID")?,
        membership: membership.into(),
        position: StreamPosition(position),
        event_id: id(event_id, "event ID")?,
        sender: id(sender, "user ID")?,
        forgotten,
    })
}

type Columns = (
    memberships::room_id,
    memberships::membership,
    memberships::position,
    memberships::event_id,
    memberships::sender,
    memberships::forgotten,
);

pub(crate) const COLUMNS: Columns = (
    memberships::room_id,
    memberships::membership,
    memberships::position,
    memberships::event_id,
    memberships::sender,
    memberships::forgotten,
);

fn words(memberships: &[MembershipState]) -> Vec<String> {
    memberships
        .iter()
        .map(|membership| membership.as_str().to_owned())
        .collect()
}

/// Rooms that a user has left between the positions: those they have forgotten, or the others.
async fn left_rooms(
    db: &Db,
    user_id: &UserId,
    after: StreamPosition,
    upto: StreamPosition,
    forgotten: bool,
) -> Result<Vec<RoomMembership>, StorageError> {
    let user_id = user_id.to_owned();
    db.read(move |conn| {
        let rows: Vec<MembershipRow> = memberships::table
            .filter(memberships::user_id.eq(user_id.as_str()))
            .filter(
                memberships::membership
                    .eq_any(words(&[MembershipState::Leave, MembershipState::Ban])),
            )
            .filter(memberships::position.gt(after.0))
            .filter(memberships::position.le(upto.0))
            .filter(memberships::forgotten.eq(forgotten))
            .order(memberships::position.asc())
            .select(COLUMNS)
            .load(conn)
            .map_err(StorageError::from_diesel)?;
        rows.into_iter().map(room_membership).collect()
    })
    .await
}

#[async_trait]
impl MemberStore for Db {
    async fn rooms_of(
        &self,
        user_id: &UserId,
        wanted: &[MembershipState],
    ) -> Result<Vec<RoomMembership>, StorageError> {
        let (user_id, wanted) = (user_id.to_owned(), words(wanted));
        self.read(move |conn| {
            let rows: Vec<MembershipRow> = memberships::table
                .filter(memberships::user_id.eq(user_id.as_str()))
                .filter(memberships::membership.eq_any(wanted))
                .filter(memberships::forgotten.eq(false))
                .order(memberships::position.asc())
                .select(COLUMNS)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(room_membership).collect()
        })
        .await
    }

    async fn left_rooms(
        &self,
        user_id: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>, StorageError> {
        left_rooms(self, user_id, after, upto, false).await
    }

    async fn forgotten_rooms(
        &self,
        user_id: &UserId,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>, StorageError> {
        left_rooms(self, user_id, after, upto, true).await
    }

    async fn membership(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<RoomMembership>, StorageError> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.read(move |conn| {
            let row: Option<MembershipRow> = memberships::table
                .find((room_id.as_str(), user_id.as_str()))
                .select(COLUMNS)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            row.map(room_membership).transpose()
        })
        .await
    }

    async fn members(
        &self,
        room_id: &RoomId,
        membership: MembershipState,
        limit: Option<u64>,
    ) -> Result<Vec<Member>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            let rows: Vec<(String, String, Option<String>, Option<String>, i64)> =
                memberships::table
                    .filter(memberships::room_id.eq(room_id.as_str()))
                    .filter(memberships::membership.eq(membership.as_str()))
                    .order(memberships::position.asc())
                    .limit(limit.map_or(i64::MAX, ts))
                    .select((
                        memberships::user_id,
                        memberships::membership,
                        memberships::display_name,
                        memberships::avatar_url,
                        memberships::position,
                    ))
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
            rows.into_iter()
                .map(
                    |(user_id, membership, display_name, avatar_url, position)| {
                        Ok(Member {
                            user_id: id(user_id, "user ID")?,
                            membership: membership.into(),
                            display_name: display_name.map(unpack),
                            avatar_url: avatar_url.map(unpack),
                            position: StreamPosition(position),
                        })
                    },
                )
                .collect()
        })
        .await
    }

    async fn member_counts(&self, room_id: &RoomId) -> Result<MemberCounts, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| Ok(counted(conn, &room_id)?.0)).await
    }

    async fn heroes(
        &self,
        room_id: &RoomId,
        reader: &UserId,
    ) -> Result<Vec<OwnedUserId>, StorageError> {
        let (room_id, reader) = (room_id.to_owned(), reader.to_owned());
        let end = StreamPosition(i64::MAX);
        self.read(move |conn| heroes(conn, &room_id, &reader, end, &[]))
            .await
    }

    async fn room_summary(
        &self,
        room_id: &RoomId,
        reader: &UserId,
        at: StreamPosition,
    ) -> Result<RoomSummary, StorageError> {
        let (room_id, reader) = (room_id.to_owned(), reader.to_owned());
        self.read(move |conn| summary_at(conn, &room_id, &reader, at))
            .await
    }

    async fn share_room(&self, one: &UserId, other: &UserId) -> Result<bool, StorageError> {
        let (one, other) = (one.to_owned(), other.to_owned());
        let join = MembershipState::Join;
        self.read(move |conn| {
            let theirs = diesel::alias!(memberships as theirs);
            let shared: Option<String> = memberships::table
                .inner_join(theirs.on(theirs.field(memberships::room_id).eq(memberships::room_id)))
                .filter(memberships::user_id.eq(one.as_str()))
                .filter(memberships::membership.eq(join.as_str()))
                .filter(theirs.field(memberships::user_id).eq(other.as_str()))
                .filter(theirs.field(memberships::membership).eq(join.as_str()))
                .select(memberships::room_id)
                .first(conn)
                .optional()
                .map_err(StorageError::from_diesel)?;
            Ok(shared.is_some())
        })
        .await
    }

    async fn mutual_rooms(
        &self,
        one: &UserId,
        other: &UserId,
    ) -> Result<Vec<OwnedRoomId>, StorageError> {
        let (one, other) = (one.to_owned(), other.to_owned());
        let join = MembershipState::Join;
        self.read(move |conn| {
            let theirs = diesel::alias!(memberships as theirs);
            let shared: Vec<String> = memberships::table
                .inner_join(theirs.on(theirs.field(memberships::room_id).eq(memberships::room_id)))
                .filter(memberships::user_id.eq(one.as_str()))
                .filter(memberships::membership.eq(join.as_str()))
                .filter(theirs.field(memberships::user_id).eq(other.as_str()))
                .filter(theirs.field(memberships::membership).eq(join.as_str()))
                .order(memberships::room_id.asc())
                .select(memberships::room_id)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            shared
                .into_iter()
                .map(|room_id| id(room_id, "room ID"))
                .collect()
        })
        .await
    }

    async fn forget(&self, room_id: &RoomId, user_id: &UserId) -> Result<bool, StorageError> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.write(move |tx| {
            let forgotten = diesel::update(memberships::table)
                .filter(memberships::room_id.eq(room_id.as_str()))
                .filter(memberships::user_id.eq(user_id.as_str()))
                .filter(
                    memberships::membership
                        .eq_any(words(&[MembershipState::Leave, MembershipState::Ban])),
                )
                .set(memberships::forgotten.eq(true))
                .execute(tx.conn)
                .map_err(StorageError::from_diesel)?;
            if forgotten > 0 {
                forget_unread(tx, &user_id, &room_id)?;
                tx.change(ChangeKind::Forgotten { user_id, room_id });
            }
            Ok(forgotten > 0)
        })
        .await
    }
}
