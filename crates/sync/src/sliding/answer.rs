//! The shape of an answer of sliding sync. Events in it are JSON already.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId, events::room::member::MembershipState};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::UnreadNotifications;

/// An answer of sliding sync, as of
/// [MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186) with its unstable names.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SlidingAnswer {
    /// The request's own `txn_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// The position for the next request.
    pub pos: String,
    /// How many rooms are in each list of the request.
    pub lists: BTreeMap<String, ListAnswer>,
    /// The rooms with something new in them.
    pub rooms: BTreeMap<OwnedRoomId, RoomAnswer>,
    /// What is new beside rooms.
    pub extensions: ExtensionsAnswer,
}

/// One list.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ListAnswer {
    /// How many rooms its filters let through, wanted or not.
    pub count: u64,
}

/// One room. What is `None` has not changed; in an `initial` one, it is not there.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoomAnswer {
    /// The room's name; `Some(None)` if it has lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// The room's avatar; `Some(None)` if it has lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Option<String>>,
    /// Members to name it after, if it has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Arc<[Hero]>>,
    /// Whether this replaces all that the client knows of the room.
    #[serde(skip_serializing_if = "is_false")]
    pub initial: bool,
    /// Whether the timeline begins with events that the client may have.
    #[serde(
        rename = "unstable_expanded_timeline",
        skip_serializing_if = "is_false"
    )]
    pub expanded_timeline: bool,
    /// Whether it is one of the user's direct rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_dm: Option<bool>,
    /// What the user is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipState>,
    /// What may be known of a room that the user is invited to or knocks on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_state: Option<Vec<Box<RawValue>>>,
    /// Changes of the state that is wanted, as of the end of the timeline.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_state: Vec<Box<RawValue>>,
    /// Events, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Box<RawValue>>,
    /// Where to page back from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// Whether there are events before the first one that the client may not have.
    #[serde(skip_serializing_if = "is_false")]
    pub limited: bool,
    /// How many of the timeline's last events came since the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_live: Option<u64>,
    /// How much is unread.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub unread: Option<UnreadNotifications>,
    /// How many are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_count: Option<u64>,
    /// How many are invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_count: Option<u64>,
    /// Where the last event stands that a room list goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bump_stamp: Option<i64>,
}

/// A member to name a room after.
#[derive(Clone, Debug, Serialize, Hash)]
pub struct Hero {
    /// Who.
    pub user_id: OwnedUserId,
    /// Their name in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// Their avatar in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What is new beside rooms.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExtensionsAnswer {
    /// Messages to the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_device: Option<ToDeviceAnswer>,
    /// Keys for encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2ee: Option<E2eeAnswer>,
    /// Account data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_data: Option<AccountDataAnswer>,
    /// Receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<EventByRoom>,
    /// Who types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typing: Option<EventByRoom>,
}

/// Messages to the device. There are none, since nobody can send any to this server yet.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ToDeviceAnswer {
    /// Up to where there are none.
    pub next_batch: String,
}

/// Keys for encryption. This server takes none yet: none are left of any algorithm.
#[derive(Clone, Debug, Default, Serialize)]
pub struct E2eeAnswer {
    /// How many one-time keys of each algorithm are left.
    pub device_one_time_keys_count: BTreeMap<String, u64>,
}

/// Account data.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountDataAnswer {
    /// Of no room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub global: Vec<Box<RawValue>>,
    /// By room.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>,
}

impl AccountDataAnswer {
    pub(super) fn is_empty(&self) -> bool {
        self.global.is_empty() && self.rooms.is_empty()
    }
}

/// One event for each of some rooms.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventByRoom {
    /// The events.
    pub rooms: BTreeMap<OwnedRoomId, Box<RawValue>>,
}

impl EventByRoom {
    pub(super) fn some(rooms: BTreeMap<OwnedRoomId, Box<RawValue>>) -> Option<Self> {
        (!rooms.is_empty()).then_some(Self { rooms })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl SlidingAnswer {
    /// Whether there is nothing that a client would want to be woken for.
    pub(super) fn is_empty(&self) -> bool {
        let ExtensionsAnswer {
            to_device: _,
            e2ee: _,
            account_data,
            receipts,
            typing,
        } = &self.extensions;
        self.rooms.is_empty() && account_data.is_none() && receipts.is_none() && typing.is_none()
    }
}
