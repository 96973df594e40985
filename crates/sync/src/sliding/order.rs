//! The rooms of a user, the one where something happened last first: kept in memory, and put in
//! order again only where something moved.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use greenroom_model::StreamPosition;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, events::room::member::MembershipState};

use super::{
    account::UserData,
    told::{AsItIs, RoomKey},
};
use crate::index::{Identity, Moves, Room, Standing, User};

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

/// A user's rooms by their keys.
pub(crate) type ByKey = Arc<HashMap<RoomKey, Arc<Listed>, AsItIs>>;

#[derive(Debug)]
struct Known {
    /// Where the user's memberships stood when the rooms were taken in.
    memberships: StreamPosition,
    rooms: Rooms,
    /// The number of the last event that the order takes in; `None` if it is none yet.
    ordered: Option<u64>,
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
    pub(crate) by_key: ByKey,
    /// Whether the user is invited to any of them.
    pub(crate) has_invites: bool,
}

impl Rooms {
    pub(crate) fn get(&self, room_id: &RoomId) -> Option<&Arc<Listed>> {
        self.by_key.get(&RoomKey::new(room_id))
    }
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

impl Known {
    /// Puts the rooms in order, by looking only at those where something has happened since.
    fn put_in_order(&mut self, moves: &Moves) {
        // What comes while the rooms are looked at is looked at again the next time.
        let now = moves.count();
        let few = self.rooms.in_order.len() / 4;
        let since = self.ordered.and_then(|number| moves.after(number, few));
        match since {
            Some(rooms) => self.move_up(&rooms),
            None => {
                if let Some(in_order) = order(&self.rooms.in_order) {
                    self.rooms.in_order = in_order;
                }
            }
        }
        self.ordered = Some(now);
    }

    /// Puts rooms before all others: something has happened in them after all that is in order.
    fn move_up(&mut self, moved: &[RoomKey]) {
        let moved: HashSet<_> = moved.iter().collect();
        let rooms = moved
            .into_iter()
            .filter_map(|key| self.rooms.by_key.get(key));
        let mut up: Vec<_> = rooms
            .filter(|room| room.room.is_some())
            .map(|room| (room.activity(), Arc::clone(room)))
            .collect();
        up.sort_by_key(|(position, _)| Reverse(*position));
        let up: Vec<_> = up.into_iter().map(|(_, room)| room).collect();
        let first = self.rooms.in_order.iter();
        if first.zip(&up).all(|(one, other)| Arc::ptr_eq(one, other)) {
            return;
        }
        let moved: HashSet<_> = up.iter().map(Arc::as_ptr).collect();
        let in_order = Arc::make_mut(&mut self.rooms.in_order);
        in_order.retain(|room| !moved.contains(&Arc::as_ptr(room)));
        in_order.splice(0..0, up);
    }
}

impl SlidingUser {
    /// The user's rooms with all that changed up to `upto`, in order if that is wanted. `None` if
    /// memory has run ahead of that: then it has to be asked again.
    pub(crate) fn rooms(
        &self,
        user: &User,
        moves: &Moves,
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
                let before = outdated.take().map(|known| known.rooms.by_key);
                outdated.insert(take_in(user, memberships, &before.unwrap_or_default()))
            }
        };
        if order_is_wanted {
            known.put_in_order(moves);
        }
        let rooms = known.rooms.clone();
        (user.newest_membership() == memberships).then_some(rooms)
    }
}

fn take_in(user: &User, memberships: StreamPosition, before: &ByKey) -> Known {
    let mut by_key = HashMap::with_capacity_and_hasher(before.len(), AsItIs::default());
    user.each_room(|room_id, standing| {
        let key = RoomKey::new(room_id);
        let known = before.get(&key).filter(|known| known.is_of(standing));
        let listed = known.map_or_else(|| Arc::new(Listed::new(room_id, standing)), Arc::clone);
        by_key.insert(key, listed);
    });
    let in_order: Vec<_> = by_key.values().cloned().collect();
    let is_invite = |room: &Arc<Listed>| room.membership == MembershipState::Invite;
    Known {
        memberships,
        rooms: Rooms {
            has_invites: in_order.iter().any(is_invite),
            in_order: Arc::new(in_order),
            by_key: Arc::new(by_key),
        },
        ordered: None,
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
