//! Who is typing where.
//!
//! See [typing notifications](https://spec.matrix.org/v1.19/client-server-api/#typing-notifications).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use greenroom_model::Clock;
use greenroom_storage::MemberStore;
use greenroom_stream::{
    Change, ChangeKind, ChangeObserver, ChangeStream, EphemeralChange, TypingSource, TypingUsers,
};
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use tokio::sync::{Notify, watch};

use crate::{
    EphemeralError, TypingSettings,
    timer::{self, Timed},
};

/// Knows who is typing, and tells when they stop.
///
/// It is a [`TypingSource`] for syncs, and a [`ChangeObserver`] because who leaves a room no
/// longer types there.
pub struct TypingTracker {
    members: Arc<dyn MemberStore>,
    stream: ChangeStream,
    clock: Arc<dyn Clock>,
    settings: TypingSettings,
    /// Written under the lock of `rooms`, so that who has read a counter finds its change there.
    counter: AtomicU64,
    rooms: Mutex<Rooms>,
    sooner: Notify,
}

#[derive(Default)]
struct Rooms {
    /// Rooms where somebody types, or where a sync may still have to be told that nobody does.
    by_id: HashMap<OwnedRoomId, Room>,
    /// Those of them where nobody types, by their counter.
    silent: BTreeMap<u64, OwnedRoomId>,
    /// Silent rooms up to this counter are forgotten. A sync that has not seen it yet is told of
    /// every unknown room that nobody types there, because it may have seen otherwise.
    forgotten: u64,
    /// When each typer stops by themselves, in milliseconds of the clock.
    deadlines: BTreeSet<(u64, OwnedRoomId, OwnedUserId)>,
}

#[derive(Default)]
struct Room {
    counter: u64,
    /// In the order in which they started.
    typers: Vec<Typer>,
}

struct Typer {
    user_id: OwnedUserId,
    until_ms: u64,
}

impl Rooms {
    /// Lets a user type until `until_ms`. True if they did not before.
    fn start(&mut self, room_id: &RoomId, user_id: &UserId, until_ms: u64) -> bool {
        let room = self.by_id.entry(room_id.to_owned()).or_default();
        let typer = room
            .typers
            .iter_mut()
            .find(|typer| typer.user_id == user_id);
        let before = typer.as_ref().map(|typer| typer.until_ms);
        match typer {
            Some(typer) => typer.until_ms = until_ms,
            None => room.typers.push(Typer {
                user_id: user_id.to_owned(),
                until_ms,
            }),
        }
        if let Some(before) = before {
            self.deadlines
                .remove(&(before, room_id.to_owned(), user_id.to_owned()));
        }
        self.deadlines
            .insert((until_ms, room_id.to_owned(), user_id.to_owned()));
        before.is_none()
    }

    /// True if the user did type.
    fn stop(&mut self, room_id: &RoomId, user_id: &UserId) -> bool {
        let Some(room) = self.by_id.get_mut(room_id) else {
            return false;
        };
        let Some(at) = room
            .typers
            .iter()
            .position(|typer| typer.user_id == user_id)
        else {
            return false;
        };
        let Typer { user_id, until_ms } = room.typers.remove(at);
        self.deadlines
            .remove(&(until_ms, room_id.to_owned(), user_id));
        true
    }

    /// Gives a changed room its new counter, and forgets the rooms that are silent for longest.
    fn count(&mut self, room_id: &RoomId, counter: u64, max_silent_rooms: usize) {
        let Some(room) = self.by_id.get_mut(room_id) else {
            return;
        };
        self.silent.remove(&room.counter);
        room.counter = counter;
        if room.typers.is_empty() {
            self.silent.insert(counter, room_id.to_owned());
        }
        while self.silent.len() > max_silent_rooms {
            let Some((counter, room_id)) = self.silent.pop_first() else {
                break;
            };
            self.by_id.remove(&room_id);
            self.forgotten = counter;
        }
    }
}

impl TypingTracker {
    /// A tracker that nobody types in. `members` says who may; `stream` is told of changes.
    #[must_use]
    pub fn new(
        members: Arc<dyn MemberStore>,
        stream: ChangeStream,
        clock: Arc<dyn Clock>,
        settings: TypingSettings,
    ) -> Self {
        Self {
            members,
            stream,
            clock,
            settings,
            counter: AtomicU64::new(0),
            rooms: Mutex::default(),
            sooner: Notify::new(),
        }
    }

    /// Says that a user types in a room for the next `timeout`, or that they do not (`None`).
    ///
    /// # Errors
    ///
    /// [`EphemeralError::AnotherUser`] for another user, [`EphemeralError::NotJoined`].
    pub async fn set_typing(
        &self,
        requester: &UserId,
        room_id: &RoomId,
        user_id: &UserId,
        timeout: Option<Duration>,
    ) -> Result<(), EphemeralError> {
        if requester != user_id {
            return Err(EphemeralError::AnotherUser);
        }
        let membership = self.members.membership(room_id, user_id).await?;
        if membership.is_none_or(|member| member.membership != MembershipState::Join) {
            return Err(EphemeralError::NotJoined);
        }
        match timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)) {
            None | Some(0) => self.stop(room_id, user_id),
            Some(timeout_ms) => self.start(room_id, user_id, timeout_ms),
        }
        Ok(())
    }

    /// Ends typing as timeouts pass, until `shutdown` turns true or its sender is gone.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        timer::run(self, &*self.clock, &self.sooner, shutdown).await;
    }

    fn start(&self, room_id: &RoomId, user_id: &UserId, timeout_ms: u64) {
        let timeout_ms = timeout_ms.min(self.settings.max_timeout_ms);
        let until_ms = self.clock.now_ms().saturating_add(timeout_ms);
        let mut rooms = self.rooms.lock();
        let first_before = rooms.deadlines.first().map(|(due_ms, ..)| *due_ms);
        let changed = rooms.start(room_id, user_id, until_ms);
        let change = changed.then(|| self.count(&mut rooms, room_id));
        drop(rooms);
        if first_before.is_none_or(|due_ms| until_ms < due_ms) {
            self.sooner.notify_one();
        }
        self.announce(change);
    }

    fn stop(&self, room_id: &RoomId, user_id: &UserId) {
        let mut rooms = self.rooms.lock();
        let changed = rooms.stop(room_id, user_id);
        let change = changed.then(|| self.count(&mut rooms, room_id));
        drop(rooms);
        self.announce(change);
    }

    fn count(&self, rooms: &mut Rooms, room_id: &RoomId) -> EphemeralChange {
        let counter = self.counter.load(Ordering::Relaxed) + 1;
        rooms.count(room_id, counter, self.settings.max_silent_rooms);
        self.counter.store(counter, Ordering::Release);
        EphemeralChange::Typing {
            room_id: room_id.to_owned(),
            counter,
        }
    }

    /// Observers read the tracker, so no lock may be held here.
    fn announce(&self, changes: impl IntoIterator<Item = EphemeralChange>) {
        for change in changes {
            self.stream.announce_ephemeral(&change);
        }
    }
}

impl Timed for TypingTracker {
    fn advance(&self) -> Option<u64> {
        let now_ms = self.clock.now_ms();
        let mut rooms = self.rooms.lock();
        let mut silenced = BTreeSet::new();
        let next = loop {
            match rooms.deadlines.first() {
                Some((due_ms, room_id, user_id)) if *due_ms <= now_ms => {
                    let (room_id, user_id) = (room_id.clone(), user_id.clone());
                    rooms.stop(&room_id, &user_id);
                    silenced.insert(room_id);
                }
                Some((due_ms, ..)) => break Some(*due_ms),
                None => break None,
            }
        };
        let changes: Vec<_> = silenced
            .iter()
            .map(|room_id| self.count(&mut rooms, room_id))
            .collect();
        drop(rooms);
        self.announce(changes);
        next
    }
}

impl TypingSource for TypingTracker {
    fn counter(&self) -> u64 {
        self.counter.load(Ordering::Acquire)
    }

    fn rooms(&self, at_most: usize) -> Option<Vec<OwnedRoomId>> {
        let rooms = self.rooms.lock();
        let typers = &rooms.deadlines;
        (typers.len() <= at_most).then(|| {
            let rooms: BTreeSet<_> = typers.iter().map(|(_, room_id, _)| room_id).collect();
            rooms.into_iter().cloned().collect()
        })
    }

    /// After the tracker has forgotten silent rooms, every unknown room is an empty one as of
    /// then: a sync that is older may have seen somebody type there.
    fn typing(&self, room_id: &RoomId) -> Option<TypingUsers> {
        let rooms = self.rooms.lock();
        if let Some(room) = rooms.by_id.get(room_id) {
            let user_ids = room
                .typers
                .iter()
                .map(|typer| typer.user_id.clone())
                .collect();
            return Some(TypingUsers {
                counter: room.counter,
                user_ids,
            });
        }
        let counter = rooms.forgotten;
        (counter > 0).then(|| TypingUsers {
            counter,
            user_ids: Vec::new(),
        })
    }
}

impl ChangeObserver for TypingTracker {
    fn changed(&self, changes: &[Change]) {
        for change in changes {
            if let ChangeKind::Event {
                event,
                membership: Some(membership),
            } = &change.kind
                && membership.membership != MembershipState::Join
            {
                self.stop(&event.room_id, &membership.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
