//! Stores in memory and an observer that takes notes, for the tests of this crate.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use greenroom_model::{StateKey, StoredEvent, StreamPosition};
use greenroom_storage::{
    Direction, Member, MemberCounts, MemberStore, PresenceStore, Receipt, ReceiptStore,
    RoomMembership, RoomSummary, StateStore, StorageError, TimelineStore,
};
use greenroom_stream::{Change, ChangeObserver, ChangeStream, EphemeralChange};
use parking_lot::Mutex;
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UInt,
    UserId, events::room::member::MembershipState, room_id, user_id,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

type Result<T> = std::result::Result<T, StorageError>;

pub(crate) fn alice() -> &'static UserId {
    user_id!("@alice:localhost")
}

pub(crate) fn bob() -> &'static UserId {
    user_id!("@bob:localhost")
}

pub(crate) fn room() -> &'static RoomId {
    room_id!("!room:localhost")
}

/// Notes what was announced.
#[derive(Default)]
pub(crate) struct Recorder {
    changes: Mutex<Vec<EphemeralChange>>,
    announced: Notify,
}

impl Recorder {
    /// A stream whose only observer is the recorder.
    pub(crate) fn stream() -> (Arc<Self>, ChangeStream) {
        let (recorder, stream) = (Arc::new(Self::default()), ChangeStream::new());
        stream.observe(vec![Arc::clone(&recorder) as Arc<dyn ChangeObserver>]);
        (recorder, stream)
    }

    /// What was announced since this was last asked.
    pub(crate) fn take(&self) -> Vec<EphemeralChange> {
        std::mem::take(&mut *self.changes.lock())
    }

    /// Waits for the next announcement.
    pub(crate) async fn announced(&self) {
        self.announced.notified().await;
    }
}

impl ChangeObserver for Recorder {
    fn changed(&self, _changes: &[Change]) {}

    fn ephemeral_changed(&self, change: &EphemeralChange) {
        self.changes.lock().push(change.clone());
        self.announced.notify_one();
    }
}

/// Who is in which room.
#[derive(Default)]
pub(crate) struct MemoryMembers(Mutex<Vec<(OwnedRoomId, OwnedUserId, MembershipState)>>);

impl MemoryMembers {
    /// `alice` and `bob` in `room`.
    pub(crate) fn in_one_room() -> Arc<Self> {
        let members = Self::default();
        members.set(room(), alice(), MembershipState::Join);
        members.set(room(), bob(), MembershipState::Join);
        Arc::new(members)
    }

    pub(crate) fn set(&self, room_id: &RoomId, user_id: &UserId, membership: MembershipState) {
        let mut members = self.0.lock();
        members.retain(|(room, user, _)| room != room_id || user != user_id);
        members.push((room_id.to_owned(), user_id.to_owned(), membership));
    }

    fn of(&self, user_id: &UserId) -> Vec<RoomMembership> {
        let members = self.0.lock();
        let of_user = members.iter().filter(|(_, user, _)| user == user_id);
        of_user
            .map(|(room_id, user, membership)| RoomMembership {
                room_id: room_id.clone(),
                membership: membership.clone(),
                position: StreamPosition(1),
                event_id: EventId::parse("$member").unwrap(),
                sender: user.clone(),
                forgotten: false,
            })
            .collect()
    }
}

#[async_trait]
impl MemberStore for MemoryMembers {
    async fn rooms_of(
        &self,
        user_id: &UserId,
        memberships: &[MembershipState],
    ) -> Result<Vec<RoomMembership>> {
        let rooms = self.of(user_id).into_iter();
        Ok(rooms
            .filter(|room| memberships.contains(&room.membership))
            .collect())
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
        Ok(self
            .of(user_id)
            .into_iter()
            .find(|room| room.room_id == room_id))
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

    async fn share_room(&self, one: &UserId, other: &UserId) -> Result<bool> {
        let others = self.rooms_of(other, &[MembershipState::Join]).await?;
        let rooms = self.rooms_of(one, &[MembershipState::Join]).await?;
        Ok(rooms
            .iter()
            .any(|room| others.iter().any(|other| other.room_id == room.room_id)))
    }

    async fn mutual_rooms(&self, _: &UserId, _: &UserId) -> Result<Vec<OwnedRoomId>> {
        Ok(Vec::new())
    }

    async fn forget(&self, _room_id: &RoomId, _user_id: &UserId) -> Result<bool> {
        Ok(false)
    }
}

/// A message of alice's.
pub(crate) fn event(room_id: &RoomId, event_id: &str, content: &Value) -> StoredEvent {
    StoredEvent {
        position: StreamPosition(7),
        event_id: EventId::parse(event_id).unwrap(),
        room_id: room_id.to_owned(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        sender: alice().to_owned(),
        origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::from(1_u32)),
        json: json!({ "content": content })
            .to_string()
            .into_bytes()
            .into(),
        redacted_by: None,
        replaces_state: None,
        transaction: None,
    }
}

/// Events that exist.
#[derive(Default)]
pub(crate) struct MemoryTimeline(Mutex<HashMap<OwnedEventId, StoredEvent>>);

impl MemoryTimeline {
    pub(crate) fn add(&self, event: StoredEvent) {
        self.0.lock().insert(event.event_id.clone(), event);
    }
}

#[async_trait]
impl TimelineStore for MemoryTimeline {
    async fn events_between(
        &self,
        _room_id: &RoomId,
        _after: StreamPosition,
        _upto: StreamPosition,
        _direction: Direction,
        _limit: u64,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn events_in_rooms(
        &self,
        _room_ids: &[OwnedRoomId],
        _after: StreamPosition,
        _upto: StreamPosition,
        _limit: u64,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn event(&self, event_id: &EventId) -> Result<Option<StoredEvent>> {
        Ok(self.0.lock().get(event_id).cloned())
    }

    async fn events(&self, _event_ids: Vec<OwnedEventId>) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn newest_positions(
        &self,
        _room_ids: Vec<OwnedRoomId>,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>> {
        Ok(Vec::new())
    }

    async fn newest_position(&self, _room_id: &RoomId) -> Result<Option<StreamPosition>> {
        Ok(None)
    }
}

/// A room's state that says nothing but what its visibility was, and from where on.
#[derive(Default)]
pub(crate) struct MemoryState(pub(crate) Mutex<Vec<StoredEvent>>);

#[async_trait]
impl StateStore for MemoryState {
    async fn state_at(
        &self,
        _room_id: &RoomId,
        _at: StreamPosition,
        _event_types: Option<Vec<String>>,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn state_without_members_at(
        &self,
        _room_id: &RoomId,
        _at: StreamPosition,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn state_entries_at(
        &self,
        _room_id: &RoomId,
        _at: StreamPosition,
        _keys: Vec<StateKey>,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn state_changes(
        &self,
        _room_id: &RoomId,
        _after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn reader_history(
        &self,
        _room_id: &RoomId,
        _user_id: &UserId,
    ) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>)> {
        Ok((self.0.lock().clone(), Vec::new()))
    }
}

/// Who is kept as online.
#[derive(Default)]
pub(crate) struct MemoryOnline {
    users: Mutex<BTreeSet<OwnedUserId>>,
    written: Notify,
}

impl MemoryOnline {
    /// Waits until these are.
    pub(crate) async fn until(&self, expected: &[&UserId]) {
        while !self.users.lock().iter().eq(expected.iter().copied()) {
            self.written.notified().await;
        }
    }
}

#[async_trait]
impl PresenceStore for MemoryOnline {
    async fn set_online(&self, changes: Vec<(OwnedUserId, bool)>) -> Result<()> {
        let mut users = self.users.lock();
        for (user_id, online) in changes {
            match online {
                true => users.insert(user_id),
                false => users.remove(&user_id),
            };
        }
        self.written.notify_one();
        Ok(())
    }

    async fn online_users(&self) -> Result<Vec<OwnedUserId>> {
        Ok(self.users.lock().iter().cloned().collect())
    }
}

/// One call of `set_receipts`: the receipts, and the read marker.
pub(crate) type Write = (Vec<Receipt>, Option<OwnedEventId>);

/// Receipts as they were written.
#[derive(Default)]
pub(crate) struct MemoryReceipts(pub(crate) Mutex<Vec<Write>>);

#[async_trait]
impl ReceiptStore for MemoryReceipts {
    async fn set_receipts(
        &self,
        _room_id: &RoomId,
        _user_id: &UserId,
        receipts: Vec<Receipt>,
        fully_read: Option<OwnedEventId>,
    ) -> Result<()> {
        self.0.lock().push((receipts, fully_read));
        Ok(())
    }

    async fn receipts(
        &self,
        _room_id: &RoomId,
        _reader: &UserId,
        _after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<Receipt>> {
        Ok(Vec::new())
    }
}
