//! One user's part of the index.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use greenroom_model::StreamPosition;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, UserId, events::room::member::MembershipState};

use super::{Room, facts::KnownFacts, introduced::Introduced};
use crate::sliding::SlidingUser;

/// What a user is in one room.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) membership: MembershipState,
    /// The member event's position.
    pub(crate) position: StreamPosition,
    /// For a member: they have been joined at least since here, without a break.
    pub(crate) joined_since: StreamPosition,
    /// Who sent the member event.
    pub(crate) sender: OwnedUserId,
    /// The room, if they are joined.
    pub(crate) room: Option<Arc<Room>>,
}

/// A user who syncs.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) user_id: OwnedUserId,
    /// Held while the user is read from the database.
    pub(super) loading: tokio::sync::Mutex<()>,
    loaded: AtomicBool,
    rooms: Mutex<HashMap<OwnedRoomId, Standing>>,
    /// What was read about those rooms.
    pub(crate) facts: KnownFacts,
    /// Which members the user's devices have been told of.
    pub(crate) introduced: Introduced,
    /// What sliding sync keeps with the user.
    pub(crate) sliding: SlidingUser,
    newest_membership: AtomicI64,
    newest_account_data: AtomicI64,
    /// Of changes of presence before this one, whom they concern is not known.
    presence_from: AtomicU64,
    /// The number of the last wake-up. Only the hub moves it.
    cue: AtomicU64,
    last_sync: Mutex<Instant>,
    /// Whether this may miss changes.
    forgotten: AtomicBool,
}

impl User {
    pub(crate) fn new(user_id: &UserId) -> Arc<Self> {
        Arc::new(Self {
            user_id: user_id.to_owned(),
            loading: tokio::sync::Mutex::new(()),
            loaded: AtomicBool::new(false),
            rooms: Mutex::default(),
            facts: KnownFacts::default(),
            introduced: Introduced::default(),
            sliding: SlidingUser::default(),
            newest_membership: AtomicI64::new(0),
            newest_account_data: AtomicI64::new(0),
            presence_from: AtomicU64::new(0),
            cue: AtomicU64::new(0),
            last_sync: Mutex::new(Instant::now()),
            forgotten: AtomicBool::new(false),
        })
    }

    pub(super) fn touch(&self) {
        *self.last_sync.lock() = Instant::now();
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.last_sync.lock().elapsed()
    }

    /// Whether what was read by this must not be answered: the index has dropped it, because it
    /// may miss changes.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }

    pub(super) fn set_forgotten(&self) {
        self.forgotten.store(true, Ordering::Release);
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Ends the loading: whatever changed before `now`, or of presence up to the change numbered
    /// `presence`, may be unknown to this index. Gives the rooms that were left meanwhile.
    pub(super) fn loaded(&self, now: StreamPosition, presence: u64) -> Vec<OwnedRoomId> {
        self.presence_from.store(presence, Ordering::Release);
        self.newest_membership.fetch_max(now.0, Ordering::AcqRel);
        self.newest_account_data.fetch_max(now.0, Ordering::AcqRel);
        let mut rooms = self.rooms.lock();
        let gone = |standing: &Standing| {
            matches!(
                standing.membership,
                MembershipState::Leave | MembershipState::Ban
            )
        };
        let left = rooms
            .iter()
            .filter(|(_, standing)| gone(standing))
            .map(|(room_id, _)| room_id.clone())
            .collect();
        rooms.retain(|_, standing| !gone(standing));
        self.loaded.store(true, Ordering::Release);
        left
    }

    /// Takes in a membership, unless a newer one is known. Rooms that a loaded user has left are
    /// not kept.
    pub(super) fn set_standing(&self, room_id: OwnedRoomId, mut standing: Standing) {
        self.membership_changed(standing.position);
        let mut rooms = self.rooms.lock();
        if let Some(known) = rooms.get(&room_id) {
            if known.position > standing.position {
                return;
            }
            if known.membership == MembershipState::Join
                && standing.membership == MembershipState::Join
            {
                standing.joined_since = known.joined_since;
            }
        }
        let gone = matches!(
            standing.membership,
            MembershipState::Leave | MembershipState::Ban
        );
        if gone && self.is_loaded() {
            self.facts.forget(&room_id);
            rooms.remove(&room_id);
        } else {
            rooms.insert(room_id, standing);
        }
    }

    pub(super) fn membership_changed(&self, position: StreamPosition) {
        self.newest_membership
            .fetch_max(position.0, Ordering::AcqRel);
    }

    pub(super) fn account_data_changed(&self, position: StreamPosition) {
        self.newest_account_data
            .fetch_max(position.0, Ordering::AcqRel);
    }

    /// Where the user's memberships last changed, at most.
    pub(crate) fn newest_membership(&self) -> StreamPosition {
        StreamPosition(self.newest_membership.load(Ordering::Acquire))
    }

    /// Where the user's account data last changed, at most.
    pub(crate) fn newest_account_data(&self) -> StreamPosition {
        StreamPosition(self.newest_account_data.load(Ordering::Acquire))
    }

    /// Looks at every room of the user's, under the lock: `see` must be quick.
    pub(crate) fn each_room(&self, mut see: impl FnMut(&OwnedRoomId, &Standing)) {
        for (room_id, standing) in &*self.rooms.lock() {
            see(room_id, standing);
        }
    }

    /// Whether the user is in any of these rooms.
    pub(crate) fn is_in_one_of(&self, rooms: &[OwnedRoomId]) -> bool {
        if rooms.is_empty() {
            return false;
        }
        let known = self.rooms.lock();
        let mut standings = rooms.iter().filter_map(|room_id| known.get(room_id));
        standings.any(|standing| standing.room.is_some())
    }

    pub(crate) fn joined_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms
            .lock()
            .values()
            .filter_map(|standing| standing.room.clone())
            .collect()
    }

    /// Whether both are in one room.
    pub(crate) fn shares_a_room_with(&self, other: &Self) -> bool {
        if std::ptr::eq(self, other) {
            return true;
        }
        // Always in the same order, so that two who ask of each other do not wait for each other.
        let is_first = std::ptr::from_ref(self) < std::ptr::from_ref(other);
        let (first, second) = if is_first {
            (self, other)
        } else {
            (other, self)
        };
        let (first, second) = (first.rooms.lock(), second.rooms.lock());
        let (few, many) = match first.len() <= second.len() {
            true => (&*first, &*second),
            false => (&*second, &*first),
        };
        let is_joined = |standing: &Standing| standing.room.is_some();
        few.iter().any(|(room_id, standing)| {
            is_joined(standing) && many.get(room_id).is_some_and(is_joined)
        })
    }

    /// Of changes of presence before this one, whom they concern is not known.
    pub(super) fn presence_from(&self) -> u64 {
        self.presence_from.load(Ordering::Acquire)
    }

    pub(crate) fn cue(&self) -> u64 {
        self.cue.load(Ordering::Acquire)
    }

    pub(crate) fn set_cue(&self, number: u64) {
        self.cue.store(number, Ordering::Release);
    }
}
