//! Which rooms concern a user, and where each room's newest change stands: in memory, for those
//! who sync.
//!
//! Nothing here is the truth: it is read from the database when a user first syncs, and kept up
//! by committed changes. Changes that come while a user is read are told from older rows by their
//! positions, so the order in which the two arrive does not matter.

mod facts;
mod introduced;
mod moves;
mod observer;
mod presence;
mod room;
#[cfg(test)]
mod tests;
mod user;

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use futures_util::FutureExt;
use greenroom_model::StreamPosition;
use greenroom_storage::{MemberStore, StorageError, TimelineStore};
use greenroom_stream::ChangeStream;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

use self::presence::PresenceLog;
pub(crate) use self::{
    introduced::{Member, Members},
    moves::Moves,
    observer::IndexObserver,
    room::{BUMP_TYPES, Identity, Room, TailEvent, Whole},
    user::{Standing, User},
};
use crate::hub::HubHandle;

/// How long a user who does not sync stays in memory.
const IDLE_AFTER: Duration = Duration::from_mins(30);

/// After everything.
const END: StreamPosition = StreamPosition(i64::MAX);

/// The index.
pub(crate) struct Index {
    pub(crate) users: DashMap<OwnedUserId, Arc<User>>,
    pub(crate) rooms: DashMap<OwnedRoomId, Arc<Room>>,
    /// In which of the rooms something happened last.
    pub(crate) moves: Moves,
    members: Arc<dyn MemberStore>,
    timeline: Arc<dyn TimelineStore>,
    stream: ChangeStream,
    hub: HubHandle,
    presence_told: AtomicU64,
    /// Written before `presence_told` grows, and by one at a time.
    presence: Mutex<PresenceLog>,
}

/// A room that somebody follows without being in it.
pub(crate) struct Peek {
    index: Arc<Index>,
    room: Arc<Room>,
    user_id: OwnedUserId,
}

impl Drop for Peek {
    fn drop(&mut self) {
        self.room.remove_peeker(&self.user_id);
        let rooms = &self.index.rooms;
        rooms.remove_if(&self.room.room_id, |_, room| room.is_deserted());
    }
}

impl Index {
    pub(crate) fn new(
        members: Arc<dyn MemberStore>,
        timeline: Arc<dyn TimelineStore>,
        stream: ChangeStream,
        hub: HubHandle,
    ) -> Self {
        Self {
            users: DashMap::new(),
            rooms: DashMap::new(),
            moves: Moves::default(),
            members,
            timeline,
            stream,
            hub,
            presence_told: AtomicU64::new(0),
            presence: Mutex::default(),
        }
    }

    /// A user's part of the index, read from the database the first time.
    pub(crate) async fn user(&self, user_id: &UserId) -> Result<Arc<User>, StorageError> {
        let user = self.touched(user_id).unwrap_or_else(|| {
            let user = self
                .users
                .entry(user_id.to_owned())
                .or_insert_with(|| User::new(user_id));
            user.touch();
            Arc::clone(&user)
        });
        if !user.is_loaded() {
            // Boxed: it is large, and hardly any sync needs it.
            self.load(&user).boxed().await?;
        }
        Ok(user)
    }

    /// Under the map's lock, so that the user is not swept away in between.
    fn touched(&self, user_id: &UserId) -> Option<Arc<User>> {
        let user = self.users.get(user_id)?;
        user.touch();
        Some(Arc::clone(&user))
    }

    async fn load(&self, user: &Arc<User>) -> Result<(), StorageError> {
        let _one_at_a_time = user.loading.lock().await;
        if user.is_loaded() {
            return Ok(());
        }
        // Whatever was announced before this is in the rows; what comes later is told to the
        // observer, which finds the user in the map.
        let now = self.stream.position();
        let wanted = [
            MembershipState::Join,
            MembershipState::Invite,
            MembershipState::Knock,
        ];
        let rows = self.members.rooms_of(&user.user_id, &wanted).await?;
        // Who left after `now` is no longer in the rows, and its observer may come later.
        let mut left = self.members.left_rooms(&user.user_id, now, END).await?;
        left.extend(
            self.members
                .forgotten_rooms(&user.user_id, now, END)
                .await?,
        );
        if let Some(newest) = left.iter().map(|row| row.position).max() {
            user.membership_changed(newest);
        }
        let joined: Vec<OwnedRoomId> = rows
            .iter()
            .filter(|row| row.membership == MembershipState::Join)
            .map(|row| row.room_id.clone())
            .collect();
        // The rooms are taken in before their newest events are read: what comes later is told to
        // the observer, which finds them in the map.
        let mut rooms: HashMap<OwnedRoomId, Arc<Room>> = joined
            .iter()
            .map(|room_id| (room_id.clone(), self.listen(room_id, user)))
            .collect();
        let newest = self.timeline.newest_positions(joined).await?;
        for (room_id, position) in newest {
            if let Some(room) = rooms.get(&room_id) {
                room.loaded(position, now);
            }
        }
        for row in rows {
            let room = rooms.remove(&row.room_id);
            user.set_standing(
                row.room_id,
                Standing {
                    membership: row.membership,
                    position: row.position,
                    joined_since: row.position,
                    sender: row.sender,
                    room,
                },
            );
        }
        // Whom the user sees is known by now.
        for room_id in user.loaded(now, self.presence_told()) {
            // They left while they were being read.
            self.unlisten(&room_id, user);
        }
        Ok(())
    }

    /// Makes a user a listener of a room, which is taken into the index if it is not there.
    fn listen(&self, room_id: &RoomId, user: &Arc<User>) -> Arc<Room> {
        // Under the map's lock, so that the room is not swept away in between.
        let room = self.entry(room_id);
        room.add_listener(user);
        Arc::clone(&room)
    }

    fn entry(&self, room_id: &RoomId) -> impl Deref<Target = Arc<Room>> {
        self.rooms
            .entry(room_id.to_owned())
            .or_insert_with(|| Arc::new(Room::new(room_id)))
    }

    fn unlisten(&self, room_id: &RoomId, user: &User) {
        if let Some(room) = self.rooms.get(room_id) {
            room.remove_listener(user);
        }
        self.rooms.remove_if(room_id, |_, room| room.is_deserted());
    }

    /// Lets a user be woken by a room they are not in, until the answer is dropped.
    pub(crate) fn peek(self: &Arc<Self>, room_id: &RoomId, user: &Arc<User>) -> Peek {
        let room = self.entry(room_id);
        room.add_peeker(user);
        Peek {
            index: Arc::clone(self),
            room: Arc::clone(&room),
            user_id: user.user_id.clone(),
        }
    }

    /// How many changes of presence every listener knows of.
    pub(crate) fn presence_told(&self) -> u64 {
        self.presence_told.load(Ordering::Acquire)
    }

    /// Notes a change of presence.
    ///
    /// The count grows after that and not before: who has read it finds what it counts.
    fn note_presence(&self, user_id: &UserId) {
        let mut presence = self.presence.lock();
        let number = self.presence_told() + 1;
        presence.note(user_id, number);
        self.presence_told.store(number, Ordering::Release);
    }

    /// Those whose presence has changed after the change numbered `after` and who share a room
    /// with a user, themselves included, with the number of their last change; `None` if that is
    /// not known of a time so long ago.
    pub(crate) fn presence_after(
        &self,
        user: &User,
        after: u64,
    ) -> Option<Vec<(OwnedUserId, u64)>> {
        if after < user.presence_from() {
            return None;
        }
        if after >= self.presence_told() {
            return Some(Vec::new());
        }
        let mut changed = self.presence.lock().after(after);
        changed.retain(|(user_id, _)| {
            // Not under the lock of the map.
            let other = self.users.get(user_id).map(|other| Arc::clone(&other));
            *user_id == user.user_id || other.is_some_and(|other| user.shares_a_room_with(&other))
        });
        Some(changed)
    }

    /// Everyone in memory who shares a room with a user, themselves included if they are in any.
    pub(crate) fn neighbors(&self, user: &User) -> Vec<Arc<User>> {
        let rooms = user.joined_rooms();
        let seats: usize = rooms.iter().map(|room| room.count_listeners()).sum();
        if seats > self.users.len() {
            // Many meet the user in many rooms: each is asked once, which one room in common
            // answers. Not under the lock of the map.
            let mut all: Vec<_> = self.users.iter().map(|it| Arc::clone(&it)).collect();
            all.retain(|other| user.shares_a_room_with(other));
            return all;
        }
        let mut found: HashMap<*const User, Arc<User>> = HashMap::new();
        for room in rooms {
            room.each_listener(|neighbor| {
                let known = found.entry(Arc::as_ptr(neighbor));
                known.or_insert_with(|| Arc::clone(neighbor));
            });
        }
        found.into_values().collect()
    }

    /// Forgets everyone: what is here may miss something that is committed. Readings that have
    /// begun find that their user is [forgotten](User::is_forgotten).
    fn forget(&self) {
        // Rooms first: who is read from now on listens to new ones.
        self.rooms.clear();
        self.users.retain(|_, user| {
            user.set_forgotten();
            false
        });
        self.hub.answer_all();
    }

    /// Forgets users who have not synced for a while, and rooms that nobody listens to.
    pub(crate) fn sweep(&self) {
        let idle: Vec<Arc<User>> = self
            .users
            .iter()
            .filter(|user| user.idle_for() >= IDLE_AFTER)
            .map(|user| Arc::clone(&user))
            .collect();
        for user in idle {
            let still = |_: &OwnedUserId, user: &Arc<User>| user.idle_for() >= IDLE_AFTER;
            if self.users.remove_if(&user.user_id, still).is_none() {
                continue;
            }
            for room in user.joined_rooms() {
                self.unlisten(&room.room_id, &user);
            }
        }
        // Who does not sync has been offline for long, and everyone knows.
        let is_here = |user_id: &UserId| self.users.contains_key(user_id);
        self.presence.lock().retain(is_here);
        self.hub.sweep();
        metrics::gauge!("greenroom_sync_users").set(self.users.len() as f64);
        metrics::gauge!("greenroom_sync_rooms").set(self.rooms.len() as f64);
    }
}
