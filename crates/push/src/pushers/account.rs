//! A user with pushers, and what is unread to them, as far as it is in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use greenroom_stream::{RecentEvents, UnreadQuery};
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, events::room::member::MembershipState};
use tokio::sync::Semaphore;

use super::{
    context::{Context, Trouble},
    slot::Slot,
};

/// How many requests to gateways that do not answer promptly one user has at once: a user can name
/// many.
const AT_ONCE_SLOW: usize = 4;

/// Rooms whose count has to be asked for anew.
#[derive(Debug, Default)]
struct Stale {
    /// Every room.
    all: bool,
    rooms: BTreeSet<OwnedRoomId>,
}

/// A user with pushers.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) user_id: OwnedUserId,
    slots: Mutex<Vec<Arc<Slot>>>,
    /// How many messages are unread, by room; rooms without any are left out.
    unread: tokio::sync::Mutex<BTreeMap<OwnedRoomId, u64>>,
    stale: Mutex<Stale>,
    /// Leave to ask gateways that do not answer promptly.
    pub(super) slow: Semaphore,
}

/// Nothing is in memory here.
struct NoRecent;

impl RecentEvents for NoRecent {
    fn between(
        &self,
        _: greenroom_model::StreamPosition,
        _: greenroom_model::StreamPosition,
    ) -> Option<Vec<Arc<greenroom_model::StoredEvent>>> {
        None
    }
}

impl Account {
    pub(super) fn new(user_id: OwnedUserId) -> Self {
        Self {
            user_id,
            slots: Mutex::default(),
            unread: tokio::sync::Mutex::default(),
            stale: Mutex::new(Stale {
                all: true,
                rooms: BTreeSet::new(),
            }),
            slow: Semaphore::new(AT_ONCE_SLOW),
        }
    }

    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().clone()
    }

    pub(super) fn set_slots(&self, slots: Vec<Arc<Slot>>) {
        *self.slots.lock() = slots;
    }

    /// What is unread in a room may have changed; in every room if none is given.
    pub(super) fn forget(&self, room_id: Option<&RoomId>) {
        let mut stale = self.stale.lock();
        if let Some(room_id) = room_id {
            if !stale.all {
                stale.rooms.insert(room_id.to_owned());
            }
        } else {
            stale.all = true;
            stale.rooms.clear();
        }
    }

    /// How many messages are unread, in all rooms.
    pub(super) async fn unread(&self, context: &Context) -> Result<u64, Trouble> {
        let mut unread = self.unread.lock().await;
        let stale = std::mem::take(&mut *self.stale.lock());
        let counted = if stale.all {
            self.count_all(context, &mut unread).await
        } else {
            self.count(context, &mut unread, &stale.rooms).await
        };
        if let Err(error) = counted {
            let mut again = self.stale.lock();
            again.all |= stale.all;
            again.rooms.extend(stale.rooms);
            return Err(error);
        }
        Ok(unread.values().sum())
    }

    async fn count_all(
        &self,
        context: &Context,
        unread: &mut BTreeMap<OwnedRoomId, u64>,
    ) -> Result<(), Trouble> {
        let rooms = context
            .members
            .rooms_of(&self.user_id, &[MembershipState::Join])
            .await?;
        unread.clear();
        for room in rooms {
            self.count_in(context, unread, &room.room_id, room.position)
                .await?;
        }
        Ok(())
    }

    async fn count(
        &self,
        context: &Context,
        unread: &mut BTreeMap<OwnedRoomId, u64>,
        rooms: &BTreeSet<OwnedRoomId>,
    ) -> Result<(), Trouble> {
        for room_id in rooms {
            let standing = context.members.membership(room_id, &self.user_id).await?;
            match standing.filter(|it| it.membership == MembershipState::Join) {
                Some(standing) => {
                    self.count_in(context, unread, room_id, standing.position)
                        .await?;
                }
                None => {
                    unread.remove(room_id);
                }
            }
        }
        Ok(())
    }

    async fn count_in(
        &self,
        context: &Context,
        unread: &mut BTreeMap<OwnedRoomId, u64>,
        room_id: &RoomId,
        joined_since: greenroom_model::StreamPosition,
    ) -> Result<(), Trouble> {
        let asked = UnreadQuery {
            user_id: &self.user_id,
            room_id,
            joined_since,
            upto: context.stream.position(),
            recent: &NoRecent,
        };
        match context.unread.unread(asked).await?.room.notifications {
            0 => unread.remove(room_id),
            count => unread.insert(room_id.to_owned(), count),
        };
        Ok(())
    }
}
