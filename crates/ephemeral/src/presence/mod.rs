//! Who is online.
//!
//! See [presence](https://spec.matrix.org/v1.19/client-server-api/#presence). What a user did is
//! kept per user in [`user::User`], from which their presence follows at any time; this module
//! decides when a difference is announced.

mod kept;
mod user;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use greenroom_model::Clock;
use greenroom_storage::{MemberStore, PresenceStore};
use greenroom_stream::{
    Change, ChangeKind, ChangeObserver, ChangeStream, EphemeralChange, PresenceSource,
    PresenceStatus, SyncPresence,
};
use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId, presence::PresenceState};
use tokio::sync::{Notify, watch};

use self::{
    kept::Kept,
    user::{Presence, Shown, User},
};
use crate::{
    EphemeralError, PresenceReach, PresenceSettings,
    timer::{self, Timed},
};

/// Timers of many users that are due within so many milliseconds go off as one.
const TICK_MS: u64 = 100;

/// Knows who is online.
///
/// It is a [`PresenceSource`] for syncs, and a [`ChangeObserver`] because who sends or reads is
/// active. It holds one small entry for every local user who was seen since the process started.
pub struct PresenceTracker {
    members: Arc<dyn MemberStore>,
    kept: Kept,
    stream: ChangeStream,
    clock: Arc<dyn Clock>,
    settings: PresenceSettings,
    /// Grows when the observers know of a change, and not before: who has read a counter can ask
    /// them about everything up to it.
    counter: AtomicU64,
    users: Mutex<Users>,
    /// Whoever announces holds this, so that announcements come in the order of their counters.
    /// An observer that changed somebody's presence when told of one would wait for itself.
    announcing: Mutex<()>,
    sooner: Notify,
}

#[derive(Default)]
struct Users {
    by_id: HashMap<OwnedUserId, Tracked>,
    /// When to look at whom again, in milliseconds of the clock.
    due: BTreeSet<(u64, OwnedUserId)>,
}

/// A user and what was announced of them.
struct Tracked {
    user: User,
    announced: Shown,
    announced_ms: Option<u64>,
    /// Whether something beside the presence itself (the status message, the profile) changed
    /// since then.
    unannounced: bool,
    counter: u64,
    due_ms: Option<u64>,
    /// Until when the process before this one is believed that they are online, if they were.
    believed_until_ms: Option<u64>,
}

impl Tracked {
    /// What others see, but for those of whom it is not decided yet whether they come back.
    fn seen(&self, now_ms: u64, settings: &PresenceSettings) -> Option<Shown> {
        let shown = self.user.shown(now_ms, settings);
        let believed = self
            .believed_until_ms
            .is_some_and(|until_ms| now_ms < until_ms);
        (shown != Shown::OFFLINE || !believed).then_some(shown)
    }
}

impl Default for Tracked {
    fn default() -> Self {
        Self {
            user: User::default(),
            announced: Shown::OFFLINE,
            announced_ms: None,
            unannounced: false,
            counter: 0,
            due_ms: None,
            believed_until_ms: None,
        }
    }
}

/// What came of looking at a user.
#[derive(Default)]
struct Outcome {
    announce: bool,
    sooner: bool,
}

impl PresenceTracker {
    /// A tracker that has seen nobody yet. `members` says who may see whom; `kept` outlives the
    /// process; `stream` is told of changes.
    #[must_use]
    pub fn new(
        members: Arc<dyn MemberStore>,
        kept: Arc<dyn PresenceStore>,
        stream: ChangeStream,
        clock: Arc<dyn Clock>,
        settings: PresenceSettings,
    ) -> Self {
        Self {
            members,
            kept: Kept::new(kept),
            stream,
            clock,
            settings,
            counter: AtomicU64::new(0),
            users: Mutex::default(),
            announcing: Mutex::default(),
            sooner: Notify::new(),
        }
    }

    /// The presence of a user as `requester` may see it. Who was not seen since the process
    /// started is offline.
    ///
    /// # Errors
    ///
    /// [`EphemeralError::PresenceHidden`] if the two share no room.
    pub async fn status(
        &self,
        requester: &UserId,
        user_id: &UserId,
    ) -> Result<PresenceStatus, EphemeralError> {
        if requester != user_id && !self.members.share_room(requester, user_id).await? {
            return Err(EphemeralError::PresenceHidden);
        }
        Ok(self.presence(user_id).unwrap_or(PresenceStatus {
            counter: 0,
            presence: PresenceState::Offline,
            status_msg: None,
            last_active_ago_ms: None,
            currently_active: false,
        }))
    }

    /// Sets one's own presence and status message; `None` removes the message.
    ///
    /// # Errors
    ///
    /// [`EphemeralError::AnotherUser`] for another user, [`EphemeralError::InvalidParam`] for a
    /// presence that does not exist or a message that is too long.
    pub fn set_status(
        &self,
        requester: &UserId,
        user_id: &UserId,
        presence: &PresenceState,
        status_msg: Option<String>,
    ) -> Result<(), EphemeralError> {
        if requester != user_id {
            return Err(EphemeralError::AnotherUser);
        }
        let Some(presence) = Presence::from_wire(presence) else {
            let reason = "presence must be online, offline or unavailable";
            return Err(EphemeralError::InvalidParam(reason.to_owned()));
        };
        let max_bytes = self.settings.max_status_msg_bytes;
        if status_msg
            .as_ref()
            .is_some_and(|message| message.len() > max_bytes)
        {
            let reason = format!("status_msg is at most {max_bytes} bytes long");
            return Err(EphemeralError::InvalidParam(reason));
        }
        if self.enabled() {
            self.update(user_id, true, |tracked, now_ms| {
                tracked.unannounced |= tracked.user.status_msg != status_msg;
                tracked.user.set(presence, status_msg, now_ms);
            });
        }
        Ok(())
    }

    /// The user did something that shows that they are there. Sends and receipts are known
    /// already; this is for what leaves no change behind.
    pub fn active(&self, user_id: &UserId) {
        if self.enabled() {
            self.update(user_id, false, |tracked, now_ms| {
                tracked.user.was_active(now_ms, &self.settings);
            });
        }
    }

    /// Lets users grow idle and go offline as time passes, and keeps who is online, until
    /// `shutdown` turns true or its sender is gone.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        if !self.enabled() {
            return;
        }
        self.believe(self.kept.online().await);
        let timer = timer::run(self, &*self.clock, &self.sooner, shutdown.clone());
        tokio::select! {
            () = timer => {}
            () = self.kept.run() => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    /// These were online when the process before this one ended. They have as long to come back as
    /// between two syncs; then others are told that they are offline.
    fn believe(&self, online: Vec<OwnedUserId>) {
        let now_ms = self.clock.now_ms();
        let until_ms = now_ms.saturating_add(self.settings.offline_after_ms);
        let mut users = self.users.lock();
        for user_id in online {
            let tracked = users.by_id.entry(user_id.clone()).or_default();
            if tracked.counter == 0 && tracked.announced == Shown::OFFLINE {
                tracked.announced = Shown::ONLINE;
                tracked.believed_until_ms = Some(until_ms);
                self.look(&mut users, &user_id, now_ms);
            }
        }
    }

    /// Changes what is known of a user, and announces what others see of it. Who is not known is
    /// left alone unless `create` is set.
    fn update(&self, user_id: &UserId, create: bool, change: impl FnOnce(&mut Tracked, u64)) {
        let now_ms = self.clock.now_ms();
        let mut users = self.users.lock();
        if create && !users.by_id.contains_key(user_id) {
            users.by_id.insert(user_id.to_owned(), Tracked::default());
        }
        let Some(tracked) = users.by_id.get_mut(user_id) else {
            return;
        };
        change(tracked, now_ms);
        let outcome = self.look(&mut users, user_id, now_ms);
        drop(users);
        if outcome.sooner {
            self.sooner.notify_one();
        }
        if outcome.announce {
            self.announce(user_id, now_ms);
        }
    }

    /// Announces what others see of a user, unless somebody else just did.
    fn announce(&self, user_id: &UserId, now_ms: u64) {
        let _turn = self.announcing.lock();
        let mut users = self.users.lock();
        let Some(tracked) = users.by_id.get_mut(user_id) else {
            return;
        };
        let Some(shown) = tracked.seen(now_ms, &self.settings) else {
            return;
        };
        if shown == tracked.announced && !tracked.unannounced {
            return;
        }
        let online = |shown: Shown| shown.presence != Presence::Offline;
        if online(shown) != online(tracked.announced) {
            self.kept.note(user_id, online(shown));
        }
        let counter = self.counter.load(Ordering::Relaxed) + 1;
        tracked.counter = counter;
        tracked.announced = shown;
        tracked.announced_ms = Some(now_ms);
        tracked.unannounced = false;
        // Observers read the tracker, so it is released before they are told.
        drop(users);
        let user_id = user_id.to_owned();
        self.stream
            .announce_ephemeral(&EphemeralChange::Presence { user_id, counter });
        self.counter.store(counter, Ordering::Release);
    }

    /// Compares what others see of a user with what was announced, says whether to announce it
    /// now, and plans the next look.
    fn look(&self, users: &mut Users, user_id: &UserId, now_ms: u64) -> Outcome {
        let Users { by_id, due } = users;
        let Some(tracked) = by_id.get_mut(user_id) else {
            return Outcome::default();
        };
        let shown = tracked.seen(now_ms, &self.settings);
        let mut next_ms = tracked.user.next_change_ms(now_ms, &self.settings);
        let mut announce = false;
        if shown.is_none() {
            let until_ms = tracked.believed_until_ms;
            next_ms = next_ms.into_iter().chain(until_ms).min();
        } else if shown != Some(tracked.announced) || tracked.unannounced {
            let interval_ms = self.settings.announce_interval_ms;
            let again_ms = tracked
                .announced_ms
                .map(|last_ms| last_ms.saturating_add(interval_ms));
            match again_ms.filter(|again_ms| *again_ms > now_ms) {
                Some(again_ms) => next_ms = next_ms.into_iter().chain([again_ms]).min(),
                None => announce = true,
            }
        }
        // An appointment that has come too early costs one more look; to move it with each
        // message that a user sends would cost more.
        let mut sooner = false;
        if let Some(next_ms) = next_ms.map(to_tick)
            && tracked.due_ms.is_none_or(|due_ms| next_ms < due_ms)
        {
            if let Some(due_ms) = tracked.due_ms.replace(next_ms) {
                due.remove(&(due_ms, user_id.to_owned()));
            }
            sooner = due.first().is_none_or(|(first_ms, _)| next_ms < *first_ms);
            due.insert((next_ms, user_id.to_owned()));
        }
        Outcome { announce, sooner }
    }
}

fn to_tick(due_ms: u64) -> u64 {
    due_ms.checked_next_multiple_of(TICK_MS).unwrap_or(due_ms)
}

impl Timed for PresenceTracker {
    fn advance(&self) -> Option<u64> {
        let now_ms = self.clock.now_ms();
        let mut users = self.users.lock();
        let mut changed = Vec::new();
        let next = loop {
            match users.due.first() {
                Some((due_ms, _)) if *due_ms <= now_ms => {
                    let Some((_, user_id)) = users.due.pop_first() else {
                        break None;
                    };
                    if let Some(tracked) = users.by_id.get_mut(&user_id) {
                        tracked.due_ms = None;
                    }
                    if self.look(&mut users, &user_id, now_ms).announce {
                        changed.push(user_id);
                    }
                }
                first => break first.map(|(due_ms, _)| *due_ms),
            }
        };
        drop(users);
        for user_id in changed {
            self.announce(&user_id, now_ms);
        }
        next
    }
}

impl PresenceSource for PresenceTracker {
    fn enabled(&self) -> bool {
        self.settings.reach != PresenceReach::Off
    }

    fn counter(&self) -> u64 {
        self.counter.load(Ordering::Acquire)
    }

    fn presence(&self, user_id: &UserId) -> Option<PresenceStatus> {
        let now_ms = self.clock.now_ms();
        let users = self.users.lock();
        let tracked = users.by_id.get(user_id)?;
        let Shown {
            presence,
            currently_active,
        } = tracked.seen(now_ms, &self.settings)?;
        let Tracked { user, counter, .. } = tracked;
        Some(PresenceStatus {
            counter: *counter,
            presence: presence.into(),
            status_msg: user.status_msg.clone(),
            last_active_ago_ms: user.last_active_ago_ms(now_ms),
            currently_active,
        })
    }

    fn synced(&self, user_id: &UserId, set_presence: SyncPresence) {
        if let Some(presence) = self.sync_presence(&set_presence) {
            self.update(user_id, true, |tracked, now_ms| {
                tracked.user.sync_began(presence, now_ms, &self.settings);
            });
        }
    }

    fn sync_ended(&self, user_id: &UserId, set_presence: SyncPresence) {
        if let Some(presence) = self.sync_presence(&set_presence) {
            self.update(user_id, false, |tracked, now_ms| {
                tracked.user.sync_ended(presence, now_ms);
            });
        }
    }
}

impl PresenceTracker {
    /// The presence a sync asks for, if it is to be seen at all.
    fn sync_presence(&self, set_presence: &SyncPresence) -> Option<Presence> {
        let presence = Presence::from_wire(set_presence)?;
        (self.enabled() && presence != Presence::Offline).then_some(presence)
    }
}

impl ChangeObserver for PresenceTracker {
    fn changed(&self, changes: &[Change]) {
        if !self.enabled() {
            return;
        }
        for change in changes {
            match &change.kind {
                ChangeKind::Event { event, .. } => self.active(&event.sender),
                ChangeKind::Receipt { user_id, .. } => self.active(user_id),
                // A presence event carries the display name and the avatar.
                ChangeKind::Profile { user_id } => {
                    self.update(user_id, false, |tracked, _| tracked.unannounced = true);
                }
                ChangeKind::Redacted { .. }
                | ChangeKind::AccountData { .. }
                | ChangeKind::Forgotten { .. }
                | ChangeKind::SessionsEnded { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
