//! A user whose unread counts somebody asks for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom_model::StreamPosition;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tokio::sync::RwLock;

use crate::{judge::Judge, rules::PushRules, unread::RoomTally};

/// A user's rules, as they are and as they were.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) rules: PushRules,
    pub(crate) judge: Arc<Judge>,
    /// The rules before, and up to where they judge.
    pub(crate) before: Option<(StreamPosition, Arc<Judge>)>,
}

impl Rules {
    pub(crate) fn new(user_id: &UserId, rules: PushRules) -> Self {
        Self {
            judge: Arc::new(Judge::new(user_id, rules.ruleset())),
            rules,
            before: None,
        }
    }

    /// The rules that stood when an event came.
    pub(crate) fn at(&self, position: StreamPosition) -> &Arc<Judge> {
        match &self.before {
            Some((upto, judge)) if position <= *upto => judge,
            _ => &self.judge,
        }
    }
}

/// A user whose unread counts somebody asks for.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) user_id: OwnedUserId,
    /// Held for reading while events are judged, for writing while the rules change.
    pub(crate) rules: RwLock<Option<Rules>>,
    rooms: Mutex<HashMap<OwnedRoomId, Arc<RoomTally>>>,
    last_asked: Mutex<Instant>,
}

impl User {
    pub(crate) fn new(user_id: &UserId) -> Self {
        Self {
            user_id: user_id.to_owned(),
            rules: RwLock::new(None),
            rooms: Mutex::default(),
            last_asked: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn touch(&self) {
        *self.last_asked.lock() = Instant::now();
    }

    pub(crate) fn idle_for(&self) -> Duration {
        self.last_asked.lock().elapsed()
    }

    /// The tally of a room, which need not have been read yet.
    pub(crate) fn room(&self, room_id: &RoomId) -> Arc<RoomTally> {
        let mut rooms = self.rooms.lock();
        if let Some(known) = rooms.get(room_id) {
            return Arc::clone(known);
        }
        let tally = Arc::<RoomTally>::default();
        rooms.insert(room_id.to_owned(), Arc::clone(&tally));
        tally
    }

    pub(crate) fn known_room(&self, room_id: &RoomId) -> Option<Arc<RoomTally>> {
        self.rooms.lock().get(room_id).cloned()
    }

    pub(crate) fn rooms(&self) -> Vec<(OwnedRoomId, Arc<RoomTally>)> {
        let rooms = self.rooms.lock();
        let both = |(room_id, tally): (&OwnedRoomId, &Arc<RoomTally>)| {
            (room_id.clone(), Arc::clone(tally))
        };
        rooms.iter().map(both).collect()
    }
}
