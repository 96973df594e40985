//! Which rooms concern a user, and where each room's newest change stands: in memory, for those
//! who sync.
//!
//! Nothing here is the truth: it is read from the database when a user first syncs, and kept up
//! by committed changes. Changes that come while a user is read are told from older rows by their
//! positions, so the order in which the two arrive does not matter.

mod observer;
mod room;
mod user;

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use futures_util::FutureExt;
use greenroom_storage::{MemberStore, StorageError, TimelineStore};
use greenroom_stream::ChangeStream;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

pub(crate) use self::{
    observer::IndexObserver,
    room::{Room, TailEvent},
    user::{Standing, User},
};
use crate::hub::HubHandle;

/// How long a user who does not sync stays in memory.
const IDLE_AFTER: Duration = Duration::from_secs(30 * 60);

/// The index.
pub(crate) struct Index {
    pub(crate) users: DashMap<OwnedUserId, Arc<User>>,
    pub(crate) rooms: DashMap<OwnedRoomId, Arc<Room>>,
    members: Arc<dyn MemberStore>,
    timeline: Arc<dyn TimelineStore>,
    stream: ChangeStream,
    hub: HubHandle,
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
            members,
            timeline,
            stream,
            hub,
        }
    }

    /// A user's part of the index, read from the database the first time.
    pub(crate) async fn user(&self, user_id: &UserId) -> Result<Arc<User>, StorageError> {
        let user = match self.users.get(user_id) {
            Some(user) => Arc::clone(&user),
            None => Arc::clone(
                &self
                    .users
                    .entry(user_id.to_owned())
                    .or_insert_with(|| User::new(user_id)),
            ),
        };
        user.touch();
        if !user.is_loaded() {
            // Boxed: it is large, and hardly any sync needs it.
            self.load(&user).boxed().await?;
        }
        Ok(user)
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
        let joined: Vec<OwnedRoomId> = rows
            .iter()
            .filter(|row| row.membership == MembershipState::Join)
            .map(|row| row.room_id.clone())
            .collect();
        let newest = self.timeline.newest_positions(joined).await?;
        for (room_id, position) in newest {
            self.listen(&room_id, user, |room| room.loaded(position, now));
        }
        for row in rows {
            let room = match row.membership {
                MembershipState::Join => self.rooms.get(&row.room_id).map(|room| Arc::clone(&room)),
                _ => None,
            };
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
        for room_id in user.loaded(now) {
            // They left while they were being read.
            self.unlisten(&room_id, user);
        }
        Ok(())
    }

    /// Makes a user a listener of a room, which is taken into the index if it is not there.
    fn listen(&self, room_id: &RoomId, user: &Arc<User>, seen: impl FnOnce(&Room)) -> Arc<Room> {
        // Under the map's lock, so that the room is not swept away in between.
        let room = self
            .rooms
            .entry(room_id.to_owned())
            .or_insert_with(|| Arc::new(Room::new(room_id)));
        seen(&room);
        room.add_listener(user);
        Arc::clone(&room)
    }

    fn unlisten(&self, room_id: &RoomId, user: &User) {
        if let Some(room) = self.rooms.get(room_id) {
            room.remove_listener(&user.user_id);
        }
        self.rooms.remove_if(room_id, |_, room| room.is_deserted());
    }

    /// Everyone in memory who shares a room with this user, themselves included.
    pub(crate) fn neighbors(&self, user: &User) -> Vec<Arc<User>> {
        let mut found: std::collections::HashMap<OwnedUserId, Arc<User>> =
            std::collections::HashMap::new();
        for room in user.joined_rooms() {
            for neighbor in room.listeners() {
                found.entry(neighbor.user_id.clone()).or_insert(neighbor);
            }
        }
        found.into_values().collect()
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
            self.users.remove(&user.user_id);
            for room in user.joined_rooms() {
                self.unlisten(&room.room_id, &user);
            }
        }
        metrics::gauge!("greenroom_sync_users").set(self.users.len() as f64);
        metrics::gauge!("greenroom_sync_rooms").set(self.rooms.len() as f64);
    }
}
