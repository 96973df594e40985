//! The user's own data: global, and in rooms.

use std::collections::BTreeMap;

use greenroom_model::StreamPosition;
use greenroom_storage::AccountDataEntry;
use ruma::{OwnedRoomId, RoomId};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{SyncError, service::Reading};

#[derive(Serialize)]
struct DataEvent<'a> {
    #[serde(rename = "type")]
    data_type: &'a str,
    content: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RoomId>,
}

/// Account data as an event, which says its room if it is given one.
pub(crate) fn data_event(
    entry: &AccountDataEntry,
    room_id: Option<&RoomId>,
) -> Result<Box<RawValue>, SyncError> {
    let event = DataEvent {
        data_type: &entry.data_type,
        content: &entry.content,
        room_id,
    };
    to_raw_value(&event).map_err(|error| greenroom_events::EventError::from(error).into())
}

/// Account data of rooms, as events.
pub(crate) type OfRooms = BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>;

impl Reading<'_> {
    /// What has changed of the user's data; for a full state, all of it.
    pub(crate) async fn account_data_changes(&self) -> Result<Vec<AccountDataEntry>, SyncError> {
        let after = match self.request.full_state {
            true => StreamPosition::START,
            false => self.after(),
        };
        // The first answer has what everyone has, also where nothing was ever committed.
        if self.since.is_some() && self.user.newest_account_data() <= after {
            return Ok(Vec::new());
        }
        let store = &self.service.parts.account_data;
        let upto = self.upto.position;
        let mut changes = store
            .account_data_changes(&self.user.user_id, after, upto)
            .await?;
        if self.since.is_none() {
            for (data_type, content) in self
                .service
                .parts
                .builtin_account_data
                .of(&self.user.user_id)
            {
                let set = |entry: &AccountDataEntry| {
                    entry.room_id.is_none() && entry.data_type == data_type
                };
                if !changes.iter().any(set) {
                    let position = upto;
                    changes.push(AccountDataEntry {
                        room_id: None,
                        data_type,
                        content,
                        position,
                    });
                }
            }
        }
        changes.retain(|entry| self.wants(entry));
        Ok(changes)
    }

    /// Whether the filter lets it through. Its sender is whose it is.
    fn wants(&self, entry: &AccountDataEntry) -> bool {
        let filter = match &entry.room_id {
            None => &self.filter.account_data,
            Some(_) => &self.filter.room_account_data,
        };
        entry.room_id.as_ref().is_none_or(|room_id| {
            filter.allows_room(room_id) && self.filter.rooms.allows_room(room_id)
        }) && filter.allows_type(&entry.data_type, Some(&self.user.user_id))
            && filter.allows_content(entry.content.get())
    }

    /// All of the user's data in a room, for a room that the client has not seen: what was set
    /// before, such as a tag while invited, was not told then.
    pub(crate) async fn all_data_of_room(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let store = &self.service.parts.account_data;
        let (from, upto) = (StreamPosition::START, self.upto.position);
        let mut all = store
            .account_data_changes(&self.user.user_id, from, upto)
            .await?;
        all.retain(|entry| entry.room_id.as_deref() == Some(room_id) && self.wants(entry));
        let (_, mut of_rooms) = Self::split_account_data(all);
        Ok(of_rooms.remove(room_id).unwrap_or_default())
    }

    /// Global data, and that of each room, as events. Data that does not read is logged and left
    /// out: one bad row must not end the user's syncing.
    pub(crate) fn split_account_data(
        changes: Vec<AccountDataEntry>,
    ) -> (Vec<Box<RawValue>>, OfRooms) {
        let mut global = Vec::new();
        let mut of_rooms = OfRooms::new();
        for entry in changes {
            match (data_event(&entry, None), entry.room_id) {
                (Ok(event), None) => global.push(event),
                (Ok(event), Some(room_id)) => of_rooms.entry(room_id).or_default().push(event),
                (Err(error), _) => tracing::error!(%error, "account data does not read"),
            }
        }
        (global, of_rooms)
    }
}
