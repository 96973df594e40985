//! Stores in memory, for the tests of this crate.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use greenroom_storage::{
    AccountDataEntry, AccountDataStore, Member, MemberCounts, MemberStore, Profile, ProfileStore,
    RoomMembership, RoomSummary, StorageError,
};
use parking_lot::Mutex;
use ruma::{
    EventId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState,
};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use tokio::sync::Notify;

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

type Result<T> = std::result::Result<T, StorageError>;

/// Profiles of some users.
pub(crate) struct MemoryProfiles {
    profiles: Mutex<HashMap<OwnedUserId, Profile>>,
    pending: Mutex<BTreeMap<OwnedUserId, u64>>,
    /// Woken whenever a change has reached all rooms.
    pub(crate) done: Notify,
}

impl MemoryProfiles {
    pub(crate) fn of(user_ids: &[&UserId]) -> Self {
        let profiles = user_ids
            .iter()
            .map(|user_id| ((*user_id).to_owned(), Profile::new()));
        Self {
            profiles: Mutex::new(profiles.collect()),
            pending: Mutex::default(),
            done: Notify::new(),
        }
    }
}

#[async_trait]
impl ProfileStore for MemoryProfiles {
    async fn profile(&self, user_id: &UserId) -> Result<Option<Profile>> {
        Ok(self.profiles.lock().get(user_id).cloned())
    }

    async fn names(&self, user_ids: &[OwnedUserId]) -> Result<HashMap<OwnedUserId, Profile>> {
        let profiles = self.profiles.lock();
        let known = |user_id: &OwnedUserId| {
            let mut profile = profiles.get(user_id)?.clone();
            profile.retain(|key, _| matches!(key.as_str(), "displayname" | "avatar_url"));
            Some((user_id.clone(), profile))
        };
        Ok(user_ids.iter().filter_map(known).collect())
    }

    async fn set_profile_field(
        &self,
        user_id: &UserId,
        key: &str,
        value: Option<Value>,
    ) -> Result<bool> {
        let mut profiles = self.profiles.lock();
        let Some(profile) = profiles.get_mut(user_id) else {
            return Ok(false);
        };
        match value {
            Some(value) => profile.insert(key.to_owned(), value),
            None => profile.remove(key),
        };
        if matches!(key, "displayname" | "avatar_url") {
            *self.pending.lock().entry(user_id.to_owned()).or_default() += 1;
        }
        Ok(true)
    }

    async fn pending_profile_changes(&self) -> Result<Vec<(OwnedUserId, u64)>> {
        Ok(self.pending.lock().clone().into_iter().collect())
    }

    async fn profile_change_done(&self, user_id: &UserId, version: u64) -> Result<()> {
        self.pending
            .lock()
            .retain(|pending, newest| pending != user_id || *newest > version);
        self.done.notify_one();
        Ok(())
    }
}

type AccountDataKey = (OwnedUserId, Option<OwnedRoomId>, String);

/// Account data of anyone.
#[derive(Default)]
pub(crate) struct MemoryAccountData(Mutex<HashMap<AccountDataKey, Box<RawValue>>>);

fn key(user_id: &UserId, room_id: Option<&RoomId>, data_type: &str) -> AccountDataKey {
    (
        user_id.to_owned(),
        room_id.map(ToOwned::to_owned),
        data_type.to_owned(),
    )
}

#[async_trait]
impl AccountDataStore for MemoryAccountData {
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
        content: Box<RawValue>,
    ) -> Result<()> {
        self.0
            .lock()
            .insert(key(user_id, room_id, data_type), content);
        Ok(())
    }

    async fn account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
    ) -> Result<Option<Box<RawValue>>> {
        Ok(self
            .0
            .lock()
            .get(&key(user_id, room_id, data_type))
            .cloned())
    }

    async fn set_tag(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        tag: &str,
        content: Option<Box<RawValue>>,
    ) -> Result<()> {
        let mut all = self.0.lock();
        let entry = all
            .entry(key(user_id, Some(room_id), "m.tag"))
            .or_insert_with(|| raw("{}"));
        let mut whole: BTreeMap<String, BTreeMap<String, Box<RawValue>>> =
            serde_json::from_str(entry.get()).unwrap();
        let tags = whole.entry("tags".to_owned()).or_default();
        match content {
            Some(content) => tags.insert(tag.to_owned(), content),
            None => tags.remove(tag),
        };
        *entry = to_raw_value(&whole).unwrap();
        Ok(())
    }

    async fn account_data_changes(
        &self,
        _user_id: &UserId,
        _after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<AccountDataEntry>> {
        Ok(Vec::new())
    }
}

/// The rooms one user has joined.
pub(crate) struct MemoryMembers {
    user_id: OwnedUserId,
    room_ids: Vec<OwnedRoomId>,
}

impl MemoryMembers {
    pub(crate) fn joined(user_id: &UserId, room_ids: &[&RoomId]) -> Self {
        let room_ids = room_ids
            .iter()
            .map(|room_id| (*room_id).to_owned())
            .collect();
        Self {
            user_id: user_id.to_owned(),
            room_ids,
        }
    }

    fn joins(&self, user_id: &UserId) -> impl Iterator<Item = RoomMembership> {
        let rooms = self
            .room_ids
            .iter()
            .filter(move |_| user_id == self.user_id);
        rooms.map(|room_id| RoomMembership {
            room_id: room_id.clone(),
            membership: MembershipState::Join,
            position: StreamPosition(1),
            event_id: EventId::parse("$join").unwrap(),
            sender: self.user_id.clone(),
            forgotten: false,
        })
    }
}

#[async_trait]
impl MemberStore for MemoryMembers {
    async fn rooms_of(
        &self,
        user_id: &UserId,
        memberships: &[MembershipState],
    ) -> Result<Vec<RoomMembership>> {
        let rooms = self
            .joins(user_id)
            .filter(|room| memberships.contains(&room.membership));
        Ok(rooms.collect())
    }

    async fn left_rooms(
        &self,
        _user_id: &UserId,
        _after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>> {
        Ok(Vec::new())
    }

    async fn forgotten_rooms(
        &self,
        _user_id: &UserId,
        _after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>> {
        Ok(Vec::new())
    }

    async fn membership(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<RoomMembership>> {
        let found = self.joins(user_id).find(|room| room.room_id == room_id);
        Ok(found)
    }

    async fn members(
        &self,
        _room_id: &RoomId,
        _membership: MembershipState,
        _limit: Option<u64>,
    ) -> Result<Vec<Member>> {
        Ok(Vec::new())
    }

    async fn member_counts(&self, _room_id: &RoomId) -> Result<MemberCounts> {
        Ok(MemberCounts::default())
    }

    async fn heroes(&self, _room_id: &RoomId, _reader: &UserId) -> Result<Vec<OwnedUserId>> {
        Ok(Vec::new())
    }

    async fn room_summary(
        &self,
        _room_id: &RoomId,
        _reader: &UserId,
        _at: StreamPosition,
    ) -> Result<RoomSummary> {
        Ok(RoomSummary::default())
    }

    async fn share_room(&self, _one: &UserId, _other: &UserId) -> Result<bool> {
        Ok(false)
    }

    async fn mutual_rooms(&self, _: &UserId, _: &UserId) -> Result<Vec<OwnedRoomId>> {
        Ok(Vec::new())
    }

    async fn forget(&self, _room_id: &RoomId, _user_id: &UserId) -> Result<bool> {
        Ok(false)
    }
}
