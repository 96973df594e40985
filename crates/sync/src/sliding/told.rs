//! What a connection has been told, and what one answer adds to it.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, LazyLock, Weak},
};

use greenroom_model::StreamPosition;
use greenroom_stream::UnreadCount;
use ruma::{OwnedRoomId, RoomId};

use super::{
    order::{Gone, Listed},
    required::Required,
};
use crate::index::{Member, Members};

/// Keyed, so that nobody can choose IDs or names that look like others.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A room in memory of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RoomKey(u64);

impl RoomKey {
    pub(crate) fn new(room_id: &RoomId) -> Self {
        Self(KEYS.hash_one(room_id))
    }
}

/// A short stand-in for a value, to see whether it has changed. Zero stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Print(u64);

impl Print {
    pub(crate) fn of<T: Hash>(value: Option<T>) -> Self {
        Self(value.map_or(0, |value| KEYS.hash_one(value) | 1))
    }
}

/// A time in a room during which the members hold that were sent in it. Two of them may begin at
/// the same position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epoch(i64);

impl Epoch {
    /// The time after this one, which begins with an answer: to the client that has the answer
    /// with this number, up to here.
    pub(crate) fn next(self, answer: Option<u64>, upto: StreamPosition) -> Self {
        Self(KEYS.hash_one((self.0, answer, upto)).cast_signed())
    }

    /// A member of a room who was sent in this time.
    pub(crate) fn member(self, room_id: &RoomId, user_id: &str) -> Member {
        Member::new(room_id, StreamPosition(self.0), user_id)
    }
}

/// A key is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl BuildHasher for AsItIs {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

/// What the user was in a room when it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Joined,
    /// Invited, or knocking.
    Outside,
    /// Left, or removed.
    Gone,
}

/// What was last said of a room beside its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) name: Print,
    pub(crate) avatar: Print,
    pub(crate) heroes: Print,
    pub(crate) joined: u64,
    pub(crate) invited: u64,
    pub(crate) bump_stamp: i64,
    pub(crate) is_direct: bool,
    pub(crate) unread: UnreadCount,
}

/// What was sent of a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    /// Its events and state up to here; for rooms that the user is not in, the member event that
    /// says so.
    pub(crate) upto: StreamPosition,
    /// The state that was wanted. Gone if that was too long ago.
    pub(crate) required: Weak<Required>,
    /// How many of its last events were sent without a gap between them; `u32::MAX` for all.
    pub(crate) shown: u32,
    /// Since when changes of members have been sent, so that those that were sent hold.
    pub(crate) members_since: Epoch,
    /// Its receipts up to here.
    pub(crate) receipts: StreamPosition,
    /// What is unread in it, as of here.
    pub(crate) counted: StreamPosition,
    /// Its account data, at least once.
    pub(crate) has_account_data: bool,
    pub(crate) said: Said,
}

impl PartialEq for Sent {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| {
            (
                it.kind,
                it.upto,
                it.shown,
                it.members_since,
                it.receipts,
                it.counted,
                it.has_account_data,
                it.said,
            )
        };
        of(self) == of(other) && self.required.upgrade() == other.required.upgrade()
    }
}

impl Sent {
    #[cfg(test)]
    pub(crate) fn upto(upto: StreamPosition) -> Self {
        Self {
            upto,
            ..Self::default()
        }
    }
}

/// What was sent of rooms.
pub(crate) type SentRooms = HashMap<RoomKey, Sent, AsItIs>;

/// What was told of things that are not in one room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elsewhere {
    /// Rooms that the user is no longer in, of which the client knows or should.
    pub(crate) gone: Gone,
    /// The configurations that rooms were sent with, the last ones first.
    pub(crate) required: Vec<Arc<Required>>,
    /// Members that were sent, where they are lazy-loaded.
    pub(crate) members: Members,
    /// The user's direct rooms.
    pub(crate) direct: Arc<HashSet<OwnedRoomId>>,
    /// Account data up to here; `None` if it was never wanted.
    pub(crate) account_data: Option<StreamPosition>,
    /// Rooms whose account data changed while it was not wanted.
    pub(crate) account_data_behind: Arc<[RoomKey]>,
    /// Rooms where the client believes that somebody types, and as of which count.
    pub(crate) typed_in: Arc<[(RoomKey, u64)]>,
}

impl PartialEq for Elsewhere {
    fn eq(&self, other: &Self) -> bool {
        let gone = |it: &Self| -> Vec<_> {
            let rooms = it.gone.iter();
            rooms.map(|room| (room.key, room.position)).collect()
        };
        gone(self) == gone(other)
            && self.required == other.required
            && self.members == other.members
            && self.direct == other.direct
            && self.account_data == other.account_data
            && self.account_data_behind == other.account_data_behind
            && self.typed_in == other.typed_in
    }
}

/// All that a connection has been told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Where the answer ended.
    pub(crate) position: StreamPosition,
    pub(crate) rooms: SentRooms,
    pub(crate) elsewhere: Elsewhere,
}

/// What an answer adds to it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Delta {
    pub(crate) position: StreamPosition,
    pub(crate) rooms: SentRooms,
    pub(crate) elsewhere: Elsewhere,
}

/// How much memory rooms take in a map of them.
fn bytes_of(rooms: &SentRooms) -> usize {
    rooms.capacity() * (size_of::<(RoomKey, Sent)>() + 1)
}

impl Elsewhere {
    /// How much memory this takes, roughly.
    fn bytes(&self) -> usize {
        let required = self.required.iter().map(|required| required.bytes());
        self.gone.len() * (size_of::<Listed>() + 256)
            + required.sum::<usize>()
            + self.members.bytes()
            + self.direct.len() * 64
            + size_of_val(&*self.account_data_behind)
            + size_of_val(&*self.typed_in)
    }
}

impl Delta {
    /// How much memory this takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        bytes_of(&self.rooms) + self.elsewhere.bytes()
    }
}

impl Told {
    /// How much memory this takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        bytes_of(&self.rooms) + self.elsewhere.bytes()
    }

    pub(crate) fn take_in(&mut self, delta: Delta) {
        self.position = delta.position;
        self.rooms.extend(delta.rooms);
        self.elsewhere = delta.elsewhere;
    }
}
