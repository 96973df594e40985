//! The rooms of a user, the one where something happened last first: kept in memory, and put in
//! order again only where something moved.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use greenroom_model::StreamPosition;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, events::room::member::MembershipState};

use super::{account::UserData, told::RoomKey};
use crate::index::{Identity, Room, Standing, User};

/// A room that may be in a list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) key: RoomKey,
    pub(crate) room_id: OwnedRoomId,
    pub(crate) membership: MembershipState,
    /// The member event's position.
    pub(crate) position: StreamPosition,
    /// As [`Standing::joined_since`].
    pub(crate) joined_since: StreamPosition,
    /// Who sent the member event.
    pub(crate) sender: OwnedUserId,
    /// The room, if the user is joined.
    pub(crate) room: Option<Arc<Room>>,
    /// Of a room that the user is no longer in: where they ceased to be joined, if they were.
    pub(crate) departed: Option<StreamPosition>,
    pub(crate) forgotten: bool,
    /// What identifies a room that the user is not in, as far as they may know.
    pub(super) identity: OnceLock<Arc<Identity>>,
}

impl Listed {
    pub(crate) fn new(room_id: &RoomId, standing: &Standing) -> Self {
        Self {
            key: RoomKey::new(room_id),
            room_id: room_id.to_owned(),
            membership: standing.membership.clone(),
            position: standing.position,
            joined_since: standing.joined_since,
            sender: standing.sender.clone(),
            room: standing.room.clone(),
            departed: None,
            forgotten: false,
            identity: OnceLock::new(),
        }
    }

    /// Where the last event stands that the user may know of.
    fn activity(&self) -> StreamPosition {
        match &self.room {
            Some(room) => room.newest_event(),
            None => self.position,
        }
    }

    fn is_of(&self, standing: &Standing) -> bool {
        let same_room = match (&self.room, &standing.room) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_room
            && self.position == standing.position
            && self.membership == standing.membership
            && self.joined_since == standing.joined_since
    }
}

/// Rooms that a user is no longer in.
pub(crate) type Gone = Arc<[Arc<Listed>]>;

/// Rooms in order.
pub(crate) type InOrder = Arc<Vec<Arc<Listed>>>;

#[derive(Debug)]
struct Known {
    /// Where the user's memberships stood when the rooms were taken in.
    memberships: StreamPosition,
    in_order: InOrder,
    by_id: Arc<HashMap<OwnedRoomId, Arc<Listed>>>,
}

/// What sliding sync keeps with a user.
#[derive(Debug, Default)]
pub(crate) struct SlidingUser {
    rooms: Mutex<Option<Known>>,
    /// Rooms that the user was removed from, and where their memberships stood when that was read.
    pub(super) removed: Mutex<Option<(StreamPosition, Gone)>>,
    pub(super) data: Mutex<Option<Arc<UserData>>>,
    /// Rooms in the spaces that somebody asked for, as of an edition of the space.
    pub(super) spaces: Mutex<HashMap<OwnedRoomId, (u64, super::facts::Children)>>,
}

/// The rooms of a user at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    pub(crate) in_order: InOrder,
    pub(crate) by_id: Arc<HashMap<OwnedRoomId, Arc<Listed>>>,
}

/// Puts rooms in order, if they are not.
fn order(rooms: &InOrder) -> Option<InOrder> {
    let now: Vec<StreamPosition> = rooms.iter().map(|room| room.activity()).collect();
    if now.is_sorted_by(|one, next| one >= next) {
        return None;
    }
    // Where a room stands may change meanwhile: its place goes by where it stood.
    let mut moved: Vec<_> = now.into_iter().zip(rooms.iter().cloned()).collect();
    moved.sort_by_key(|(position, _)| Reverse(*position));
    Some(Arc::new(moved.into_iter().map(|(_, room)| room).collect()))
}

impl SlidingUser {
    /// The user's rooms with all that changed up to `upto`, in order if that is wanted. `None` if
    /// memory has run ahead of that: then it has to be asked again.
    pub(crate) fn rooms(
        &self,
        user: &User,
        upto: StreamPosition,
        order_is_wanted: bool,
    ) -> Option<Rooms> {
        let mut known = self.rooms.lock();
        let memberships = user.newest_membership();
        if memberships > upto {
            // What is being told now may be noted, and not yet be there.
            return None;
        }
        let known = match &mut *known {
            Some(known) if known.memberships == memberships => known,
            outdated => {
                let before = outdated.take().map(|known| known.by_id).unwrap_or_default();
                outdated.insert(take_in(user, memberships, &before))
            }
        };
        if order_is_wanted && let Some(in_order) = order(&known.in_order) {
            known.in_order = in_order;
        }
        let rooms = Rooms {
            in_order: Arc::clone(&known.in_order),
            by_id: Arc::clone(&known.by_id),
        };
        (user.newest_membership() == memberships).then_some(rooms)
    }
}

fn take_in(
    user: &User,
    memberships: StreamPosition,
    before: &HashMap<OwnedRoomId, Arc<Listed>>,
) -> Known {
    let mut by_id = HashMap::with_capacity(before.len());
    user.each_room(|room_id, standing| {
        let known = before.get(room_id).filter(|known| known.is_of(standing));
        let listed = known.map_or_else(|| Arc::new(Listed::new(room_id, standing)), Arc::clone);
        by_id.insert(room_id.clone(), listed);
    });
    Known {
        memberships,
        in_order: Arc::new(by_id.values().cloned().collect()),
        by_id: Arc::new(by_id),
    }
}

/// Rooms in order, with others among them that are in order too.
pub(crate) fn merged(rooms: &InOrder, others: &[Arc<Listed>]) -> InOrder {
    if others.is_empty() {
        return Arc::clone(rooms);
    }
    let mut all: Vec<_> = rooms
        .iter()
        .chain(others)
        .map(|room| (room.activity(), Arc::clone(room)))
        .collect();
    all.sort_by_key(|(position, _)| Reverse(*position));
    Arc::new(all.into_iter().map(|(_, room)| room).collect())
}
