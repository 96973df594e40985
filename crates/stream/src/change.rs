//! Facts: what a committed act has changed.

use std::sync::Arc;

use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedUserId, events::room::member::MembershipState,
};

/// One committed change and where it stands in the stream.
#[derive(Clone, Debug)]
pub struct Change {
    /// The change's own position.
    pub position: StreamPosition,
    /// What it is.
    pub kind: ChangeKind,
}

/// What can change. A new variant makes the compiler show every observer that has to decide.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// An event was appended to its room.
    Event {
        /// The event as stored.
        event: Arc<StoredEvent>,
        /// What it did to a membership, if it is a member event.
        membership: Option<MembershipChange>,
    },
    /// An event that was delivered before has lost its content.
    Redacted {
        /// The room of both events.
        room_id: OwnedRoomId,
        /// The event that was emptied, as it reads now.
        event: Arc<StoredEvent>,
    },
    /// A user's account data changed.
    AccountData {
        /// Whose.
        user_id: OwnedUserId,
        /// In which room; `None` for global account data.
        room_id: Option<OwnedRoomId>,
        /// Of which type.
        data_type: String,
    },
    /// Somebody has read up to an event.
    Receipt {
        /// Where.
        room_id: OwnedRoomId,
        /// Who.
        user_id: OwnedUserId,
        /// Whether only that user may know (`m.read.private`).
        private: bool,
        /// The thread (`main` or a root's event ID); `None` for the whole room.
        thread_id: Option<String>,
        /// The position of the event that they have read up to.
        event_position: StreamPosition,
    },
    /// A user forgot a room that they had left.
    Forgotten {
        /// Who.
        user_id: OwnedUserId,
        /// Which room.
        room_id: OwnedRoomId,
    },
    /// Access tokens are no longer valid: those of one device, or all of the user's.
    SessionsEnded {
        /// Whose.
        user_id: OwnedUserId,
        /// Which device; `None` means all of them.
        device_id: Option<OwnedDeviceId>,
    },
    /// A user's profile has changed.
    Profile {
        /// Whose.
        user_id: OwnedUserId,
    },
}

/// A member event's effect on the membership of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// The event that did it.
    pub event_id: OwnedEventId,
    /// Whose membership.
    pub user_id: OwnedUserId,
    /// What it was before; `None` if there was no member event.
    pub previous: Option<MembershipState>,
    /// What it is now.
    pub membership: MembershipState,
}
