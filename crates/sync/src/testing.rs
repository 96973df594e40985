//! Stores for unit tests: what they answer is set beforehand, and something may happen between
//! a question and its answer.

use std::sync::Arc;

use async_trait::async_trait;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{
    Direction, Member, MemberCounts, MemberStore, RoomMembership, RoomSummary, StorageError,
    TimelineStore,
};
use parking_lot::Mutex;
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::room::member::MembershipState, uint,
};

type Result<T> = std::result::Result<T, StorageError>;
type Meanwhile = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// Answers what it was told to.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) rooms: Mutex<Vec<RoomMembership>>,
    pub(crate) left: Mutex<Vec<RoomMembership>>,
    pub(crate) newest: Mutex<Vec<(OwnedRoomId, StreamPosition)>>,
    /// Happens once the user's rooms have been read, before anyone hears of them.
    pub(crate) after_rooms: Meanwhile,
    /// Happens once the newest positions have been read, before anyone hears of them.
    pub(crate) after_newest: Meanwhile,
}

fn happen(meanwhile: &Meanwhile) {
    let act = meanwhile.lock().take();
    if let Some(act) = act {
        act();
    }
}

/// An event of a room, with a content of so many bytes.
pub(crate) fn event(room_id: &RoomId, position: i64, bytes: usize) -> Arc<StoredEvent> {
    let body = "x".repeat(bytes);
    let json = format!(r#"{{"content":{{"body":"{body}"}},"type":"m.room.message"}}"#);
    Arc::new(StoredEvent {
        position: StreamPosition(position),
        event_id: EventId::parse(format!("$event{position}")).unwrap(),
        room_id: room_id.to_owned(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        sender: OwnedUserId::try_from("@alice:localhost").unwrap(),
        origin_server_ts: MilliSecondsSinceUnixEpoch(uint!(1)),
        json: json.into_bytes().into(),
        redacted_by: None,
        replaces_state: None,
        transaction: None,
    })
}

/// A row that says what a user is in a room.
pub(crate) fn row(room_id: &RoomId, membership: MembershipState, position: i64) -> RoomMembership {
    RoomMembership {
        room_id: room_id.to_owned(),
        membership,
        position: StreamPosition(position),
        event_id: EventId::parse(format!("$event{position}")).unwrap(),
        sender: OwnedUserId::try_from("@alice:localhost").unwrap(),
        forgotten: false,
    }
}

#[async_trait]
impl MemberStore for Script {
    async fn rooms_of(
        &self,
        _user_id: &UserId,
        _memberships: &[MembershipState],
    ) -> Result<Vec<RoomMembership>> {
        let rooms = self.rooms.lock().clone();
        happen(&self.after_rooms);
        Ok(rooms)
    }

    async fn left_rooms(
        &self,
        _user_id: &UserId,
        after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>> {
        let left = self.left.lock().clone();
        let later = left.into_iter().filter(|row| row.position > after);
        Ok(later.collect())
    }

    async fn forgotten_rooms(
        &self,
        _user_id: &UserId,
        _after: StreamPosition,
        _upto: StreamPosition,
    ) -> Result<Vec<RoomMembership>> {
        Ok(Vec::new())
    }

    async fn membership(&self, _: &RoomId, _: &UserId) -> Result<Option<RoomMembership>> {
        Ok(None)
    }

    async fn members(&self, _: &RoomId, _: MembershipState, _: Option<u64>) -> Result<Vec<Member>> {
        Ok(Vec::new())
    }

    async fn member_counts(&self, _: &RoomId) -> Result<MemberCounts> {
        Ok(MemberCounts::default())
    }

    async fn heroes(&self, _: &RoomId, _: &UserId) -> Result<Vec<OwnedUserId>> {
        Ok(Vec::new())
    }

    async fn room_summary(&self, _: &RoomId, _: &UserId, _: StreamPosition) -> Result<RoomSummary> {
        Ok(RoomSummary::default())
    }

    async fn share_room(&self, _: &UserId, _: &UserId) -> Result<bool> {
        Ok(false)
    }

    async fn mutual_rooms(&self, _: &UserId, _: &UserId) -> Result<Vec<OwnedRoomId>> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: &RoomId, _: &UserId) -> Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl TimelineStore for Script {
    async fn events_between(
        &self,
        _: &RoomId,
        _: StreamPosition,
        _: StreamPosition,
        _: Direction,
        _: u64,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn events_in_rooms(
        &self,
        _: &[OwnedRoomId],
        _: StreamPosition,
        _: StreamPosition,
        _: u64,
    ) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn event(&self, _: &EventId) -> Result<Option<StoredEvent>> {
        Ok(None)
    }

    async fn events(&self, _: Vec<OwnedEventId>) -> Result<Vec<StoredEvent>> {
        Ok(Vec::new())
    }

    async fn newest_position(&self, _: &RoomId) -> Result<Option<StreamPosition>> {
        Ok(None)
    }

    async fn newest_positions(
        &self,
        _: Vec<OwnedRoomId>,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>> {
        let newest = self.newest.lock().clone();
        happen(&self.after_newest);
        Ok(newest)
    }
}
