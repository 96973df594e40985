//! The shape of a sync answer. Events in it are JSON already.

use std::collections::BTreeMap;

use greenroom_stream::UnreadCount;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;

/// A list of events.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventList {
    /// The events.
    pub events: Vec<Box<RawValue>>,
}

impl EventList {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The answer of `/sync`. See
/// [`/sync`](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync).
///
/// A section that is `None` is left out; the oldest clients get all of them, empty or not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SyncAnswer {
    /// The token for the next request.
    pub next_batch: String,
    /// Global account data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_data: Option<EventList>,
    /// Who is online.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<EventList>,
    /// Rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<RoomsAnswer>,
}

/// The rooms of a sync answer, by what the user is in them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoomsAnswer {
    /// Joined rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<BTreeMap<OwnedRoomId, JoinedRoom>>,
    /// Rooms the user is invited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<BTreeMap<OwnedRoomId, InvitedRoom>>,
    /// Rooms the user has knocked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knock: Option<BTreeMap<OwnedRoomId, KnockedRoom>>,
    /// Rooms the user has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leave: Option<BTreeMap<OwnedRoomId, LeftRoom>>,
}

/// A stretch of a timeline.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Batch {
    /// The events, oldest first.
    pub events: Vec<Box<RawValue>>,
    /// Whether events between the since token and the first of these were left out.
    pub limited: bool,
    /// Where to page back from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
}

/// How to name and count a room.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Members to name it after.
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<OwnedUserId>>,
    /// How many are joined.
    #[serde(rename = "m.joined_member_count")]
    pub joined_member_count: u64,
    /// How many are invited.
    #[serde(rename = "m.invited_member_count")]
    pub invited_member_count: u64,
}

/// Unread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnreadNotifications {
    /// Those that are highlighted.
    pub highlight_count: u64,
    /// All of them.
    pub notification_count: u64,
}

impl From<UnreadCount> for UnreadNotifications {
    fn from(count: UnreadCount) -> Self {
        Self {
            highlight_count: count.highlights,
            notification_count: count.notifications,
        }
    }
}

/// A joined room.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JoinedRoom {
    /// How to name and count it, if that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// State before the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<EventList>,
    /// State after the timeline, for clients that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_after: Option<EventList>,
    /// The timeline.
    pub timeline: Batch,
    /// Typing and receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EventList>,
    /// The user's account data in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_data: Option<EventList>,
    /// Unread counts: of the main timeline, where those of threads are told apart.
    pub unread_notifications: UnreadNotifications,
    /// Unread counts of threads, by their roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_thread_notifications: Option<BTreeMap<OwnedEventId, UnreadNotifications>>,
}

/// A room the user is invited to.
#[derive(Clone, Debug, Serialize)]
pub struct InvitedRoom {
    /// What may be known of it.
    pub invite_state: EventList,
}

/// A room the user has knocked on.
#[derive(Clone, Debug, Serialize)]
pub struct KnockedRoom {
    /// What may be known of it.
    pub knock_state: EventList,
}

/// A room the user has left.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LeftRoom {
    /// State before the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<EventList>,
    /// State after the timeline, for clients that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_after: Option<EventList>,
    /// The timeline up to where they left.
    pub timeline: Batch,
    /// The user's account data in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_data: Option<EventList>,
}

impl SyncAnswer {
    /// Whether there is nothing that a client would want to be woken for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn none<T>(map: Option<&BTreeMap<OwnedRoomId, T>>) -> bool {
            map.is_none_or(BTreeMap::is_empty)
        }
        self.account_data.as_ref().is_none_or(EventList::is_empty)
            && self.presence.as_ref().is_none_or(EventList::is_empty)
            && self.rooms.as_ref().is_none_or(|rooms| {
                none(rooms.join.as_ref())
                    && none(rooms.invite.as_ref())
                    && none(rooms.knock.as_ref())
                    && none(rooms.leave.as_ref())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_sections_are_nothing_and_a_room_is_something() {
        let mut answer = SyncAnswer::default();
        assert!(answer.is_empty());
        answer.fill_sections();
        assert!(answer.is_empty(), "the old API's sections say nothing");
        answer.account_data = Some(EventList::default());
        assert!(answer.is_empty());
        let rooms = answer.rooms.get_or_insert_default();
        let room_id = ruma::room_id!("!room:localhost").to_owned();
        let left = BTreeMap::from([(room_id, LeftRoom::default())]);
        rooms.leave = Some(left);
        assert!(!answer.is_empty());
    }
}
