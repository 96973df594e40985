//! Typing and presence: in memory only, with counters of their own inside the since token.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, presence::PresenceState};

/// Something that is true now and is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EphemeralChange {
    /// Somebody started or stopped typing in a room.
    Typing {
        /// Where.
        room_id: OwnedRoomId,
        /// The typing counter after the change.
        counter: u64,
    },
    /// A user's presence changed in a way that others should see.
    Presence {
        /// Whose.
        user_id: OwnedUserId,
        /// The presence counter after the change.
        counter: u64,
    },
}

/// Who types in one room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypingUsers {
    /// The typing counter when this set last changed.
    pub counter: u64,
    /// Everyone who types now, in the order they started.
    pub user_ids: Vec<OwnedUserId>,
}

/// Who is typing where.
pub trait TypingSource: Send + Sync {
    /// The process-wide counter: it grows with every change in any room.
    fn counter(&self) -> u64;

    /// The rooms where somebody types; `None` if they may be more than `at_most`: then whoever
    /// asks does better to look at the rooms that they mean.
    fn rooms(&self, at_most: usize) -> Option<Vec<OwnedRoomId>>;

    /// Who types in `room_id`, and since which counter this has been so. `None` if nobody has
    /// typed there since the process started.
    fn typing(&self, room_id: &RoomId) -> Option<TypingUsers>;
}

/// One user's presence as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceStatus {
    /// The presence counter when this last changed.
    pub counter: u64,
    /// Online, unavailable or offline.
    pub presence: PresenceState,
    /// The status message, if one is set.
    pub status_msg: Option<String>,
    /// Milliseconds since the user was last active, if they were since the process started.
    pub last_active_ago_ms: Option<u64>,
    /// Whether the user is active at this moment.
    pub currently_active: bool,
}

/// Who is online.
pub trait PresenceSource: Send + Sync {
    /// Whether presence is on at all. If not, nothing is tracked and nothing is delivered.
    fn enabled(&self) -> bool;

    /// The process-wide counter: it grows with every change of any user.
    fn counter(&self) -> u64;

    /// The presence of `user_id`; `None` if the process knows nothing of them.
    fn presence(&self, user_id: &UserId) -> Option<PresenceStatus>;

    /// A device of `user_id` syncs and says how it wants to be seen. It stays so until
    /// [`sync_ended`](Self::sync_ended), and a while longer in case the next sync follows.
    fn synced(&self, user_id: &UserId, set_presence: SyncPresence);

    /// A sync that was announced by [`synced`](Self::synced), with the same presence, was
    /// answered or given up. To be called exactly once for each, also when the request is dropped.
    fn sync_ended(&self, user_id: &UserId, set_presence: SyncPresence);
}

/// The `set_presence` parameter of a sync.
pub type SyncPresence = PresenceState;
