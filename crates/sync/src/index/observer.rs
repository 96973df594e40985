//! How committed changes reach the index, and whom they wake.

use std::sync::Arc;

use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_stream::{Change, ChangeKind, ChangeObserver, EphemeralChange, MembershipChange};
use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId, events::room::member::MembershipState};

use super::{Index, Standing, User};
use crate::{
    hub::Wake,
    sliding::{Connections, RoomKey},
};

/// The index as an observer. A task of its own may have to read a user first.
pub(crate) struct IndexObserver {
    index: Arc<Index>,
    connections: Arc<Connections>,
    /// Whom the changes concern that are being announced. They are woken when readers can see
    /// the changes, not before.
    due: Mutex<Wake>,
}

impl IndexObserver {
    pub(crate) fn new(index: Arc<Index>, connections: Arc<Connections>) -> Self {
        Self {
            index,
            connections,
            due: Mutex::default(),
        }
    }
}

impl Wake {
    fn room(&mut self, index: &Index, room_id: &ruma::RoomId) {
        if let Some(room) = index.rooms.get(room_id)
            && !self.rooms.iter().any(|known| Arc::ptr_eq(known, &room))
        {
            self.rooms.push(Arc::clone(&room));
        }
    }

    fn user(&mut self, index: &Index, user_id: &UserId) {
        if let Some(user) = index.users.get(user_id) {
            self.users.push(Arc::clone(&user));
        }
    }
}

impl ChangeObserver for IndexObserver {
    fn changed(&self, changes: &[Change]) {
        let index = &self.index;
        let mut due = self.due.lock();
        let wake = &mut *due;
        for change in changes {
            match &change.kind {
                ChangeKind::Event { event, membership } => {
                    index.event(event, membership.as_ref(), wake);
                }
                ChangeKind::Redacted { room_id, event } => {
                    if let Some(room) = index.rooms.get(room_id) {
                        room.replace(event);
                    }
                }
                ChangeKind::AccountData { user_id, .. } => {
                    if let Some(user) = index.users.get(user_id) {
                        user.account_data_changed(change.position);
                    }
                    wake.user(index, user_id);
                }
                ChangeKind::Receipt {
                    room_id,
                    user_id,
                    private,
                    ..
                } => {
                    if let Some(room) = index.rooms.get(room_id) {
                        room.receipt(change.position);
                    }
                    match private {
                        true => wake.user(index, user_id),
                        false => wake.room(index, room_id),
                    }
                }
                ChangeKind::SessionsEnded { user_id, device_id } => {
                    self.connections.forget(user_id, device_id.as_deref());
                }
                // Left rooms are not held, and a new name comes as member events.
                ChangeKind::Forgotten { .. } | ChangeKind::Profile { .. } => {}
            }
        }
    }

    fn announced(&self, _: StreamPosition) {
        let due = std::mem::take(&mut *self.due.lock());
        self.index.hub.wake(due);
    }

    fn forget(&self) {
        *self.due.lock() = Wake::default();
        self.index.forget();
    }

    fn ephemeral_changed(&self, change: &EphemeralChange) {
        let index = &self.index;
        match change {
            EphemeralChange::Typing { room_id, .. } => {
                let mut wake = Wake::default();
                wake.room(index, room_id);
                index.hub.wake(wake);
            }
            EphemeralChange::Presence { user_id, .. } => {
                let known = index.users.get(user_id).map(|user| Arc::clone(&user));
                match known.filter(|user| user.is_loaded()) {
                    Some(user) => index.presence_changed(&user),
                    None => self.read_then_tell(user_id.clone()),
                }
            }
        }
    }
}

impl IndexObserver {
    /// Somebody who does not sync has set their presence: their rooms have to be read first.
    fn read_then_tell(&self, user_id: OwnedUserId) {
        let index = Arc::clone(&self.index);
        self.index.hub.spawn(async move {
            match index.user(&user_id).await {
                Ok(user) => index.presence_changed(&user),
                Err(error) => tracing::warn!(%error, "a change of presence is not told"),
            }
        });
    }
}

impl Index {
    fn event(
        &self,
        event: &Arc<StoredEvent>,
        membership: Option<&MembershipChange>,
        wake: &mut Wake,
    ) {
        if let Some(change) = membership {
            self.membership(event, change, wake);
        }
        if let Some(room) = self.rooms.get(&event.room_id) {
            room.push(event);
            self.moves.note(RoomKey::new(&event.room_id));
        }
        wake.room(self, &event.room_id);
    }

    fn membership(&self, event: &Arc<StoredEvent>, change: &MembershipChange, wake: &mut Wake) {
        let Some(user) = self
            .users
            .get(&change.user_id)
            .map(|user| Arc::clone(&user))
        else {
            return;
        };
        let joined = change.membership == MembershipState::Join;
        let room = joined.then(|| self.listen(&event.room_id, &user));
        user.set_standing(
            event.room_id.clone(),
            Standing {
                membership: change.membership.clone(),
                position: event.position,
                joined_since: event.position,
                sender: event.sender.clone(),
                room,
            },
        );
        if !joined && user.is_loaded() {
            self.unlisten(&event.room_id, &user);
        }
        // Also who is no longer, or not yet, a listener of the room.
        wake.users.push(user);
    }

    fn presence_changed(&self, user: &User) {
        self.note_presence(&user.user_id);
        let mut users = self.neighbors(user);
        // They may be in no room.
        users.extend(self.users.get(&user.user_id).map(|user| Arc::clone(&user)));
        self.hub.wake(Wake {
            rooms: Vec::new(),
            users,
        });
    }
}
