//! What sliding sync asks beyond the questions of the other subjects.

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use greenroom_storage::{AccountDataEntry, Receipt, RoomMembership, SlidingStore, StorageError};
use ruma::{OwnedRoomId, RoomId, UserId, events::room::member::MembershipState};

use crate::{
    Db,
    account_data::{ENTRY, EntryRow, entry},
    connection::FromDiesel,
    members::{COLUMNS as MEMBERSHIP, MembershipRow, room_membership},
    receipts::{COLUMNS as RECEIPT, ReceiptRow, receipt},
    rows::ts,
    schema::{account_data, events, memberships, receipts},
    state::entries_at,
};

#[async_trait]
impl SlidingStore for Db {
    async fn entries_of_rooms(
        &self,
        room_ids: Vec<OwnedRoomId>,
        keys: Vec<StateKey>,
        at: StreamPosition,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.read(move |conn| {
            let mut found = Vec::new();
            for room_id in &room_ids {
                found.extend(entries_at(conn, room_id.as_str(), &keys, at)?);
            }
            Ok(found)
        })
        .await
    }

    async fn removed_rooms(
        &self,
        user_id: &UserId,
        limit: u64,
    ) -> Result<Vec<RoomMembership>, StorageError> {
        let user_id = user_id.to_owned();
        self.read(move |conn| {
            let mut found = Vec::new();
            for membership in [MembershipState::Leave, MembershipState::Ban] {
                let rows: Vec<MembershipRow> = memberships::table
                    .filter(memberships::user_id.eq(user_id.as_str()))
                    .filter(memberships::membership.eq(membership.as_str()))
                    .filter(memberships::sender.ne(user_id.as_str()))
                    .filter(memberships::forgotten.eq(false))
                    .order(memberships::position.desc())
                    .limit(ts(limit))
                    .select(MEMBERSHIP)
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                for row in rows {
                    found.push(room_membership(row)?);
                }
            }
            found.sort_by_key(|row| std::cmp::Reverse(row.position));
            Ok(found)
        })
        .await
    }

    async fn newest_of_types(
        &self,
        room_id: &RoomId,
        event_types: &'static [&'static str],
        look_at: u64,
    ) -> Result<Option<StreamPosition>, StorageError> {
        let room_id = room_id.to_owned();
        self.read(move |conn| {
            // Most rooms have one among their last few events.
            let mut oldest = None;
            for look_at in [look_at.min(10), look_at] {
                let newest: Vec<(i64, String)> = events::table
                    .filter(events::room_id.eq(room_id.as_str()))
                    .order(events::position.desc())
                    .limit(ts(look_at))
                    .select((events::position, events::event_type))
                    .load(conn)
                    .map_err(StorageError::from_diesel)?;
                let found = newest
                    .iter()
                    .find(|(_, event_type)| event_types.contains(&event_type.as_str()));
                if let Some((position, _)) = found {
                    return Ok(Some(StreamPosition(*position)));
                }
                oldest = newest.last().map(|(position, _)| StreamPosition(*position));
            }
            Ok(oldest)
        })
        .await
    }

    async fn own_receipts(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Vec<Receipt>, StorageError> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.read(move |conn| {
            let rows: Vec<ReceiptRow> = receipts::table
                .filter(receipts::room_id.eq(room_id.as_str()))
                .filter(receipts::user_id.eq(user_id.as_str()))
                .select(RECEIPT)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(receipt).collect()
        })
        .await
    }

    async fn room_account_data(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
    ) -> Result<Vec<AccountDataEntry>, StorageError> {
        let (user_id, room_id) = (user_id.to_owned(), room_id.to_owned());
        self.read(move |conn| {
            let rows: Vec<EntryRow> = account_data::table
                .filter(account_data::user_id.eq(user_id.as_str()))
                .filter(account_data::room_id.eq(room_id.as_str()))
                .select(ENTRY)
                .load(conn)
                .map_err(StorageError::from_diesel)?;
            rows.into_iter().map(entry).collect()
        })
        .await
    }
}
