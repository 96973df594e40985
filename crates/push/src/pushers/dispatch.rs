//! Hands what is committed to the pushers that it concerns.

use std::{
    collections::{BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{account::Account, context::Context, feed::Note, serve::serve, slot::Slot};

/// How often storage is told how far the idle ones have been served. What it does not know is looked
/// at again after a crash.
const NOTE_EVERY: Duration = Duration::from_mins(10);
/// How many are told of in one act: it holds up whoever writes next.
const NOTED_AT_ONCE: usize = 100;
/// How often it is tried to read pushers that could not be read.
const LOAD_EVERY: Duration = Duration::from_secs(5);
/// How many rooms are remembered.
const REMEMBERED_ROOMS: usize = 10_000;
/// How long a stop waits for gateways to answer.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How long a pusher rests after a mistake of ours, in milliseconds.
const REST_MS: u64 = 60_000;

/// Everybody with pushers, and the rooms that they hear from.
pub(super) struct Dispatcher {
    context: Arc<Context>,
    accounts: HashMap<OwnedUserId, Arc<Account>>,
    /// The joined members with pushers, of rooms that something happened in.
    rooms: HashMap<OwnedRoomId, BTreeSet<OwnedUserId>>,
    /// Whose pushers are still to be read.
    to_load: BTreeSet<OwnedUserId>,
    tasks: JoinSet<()>,
    /// Every event up to here was looked at.
    looked_at: StreamPosition,
}

impl Dispatcher {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            accounts: HashMap::new(),
            rooms: HashMap::new(),
            to_load: BTreeSet::new(),
            tasks: JoinSet::new(),
            looked_at: StreamPosition::START,
        }
    }

    /// Works until `shutdown` turns true or its sender is gone.
    pub(super) async fn run(
        mut self,
        mut notes: mpsc::Receiver<Note>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let stop = shutdown.clone();
        tokio::select! {
            () = self.work(&mut notes, &stop) => {}
            // An error means that the sender is gone, which is a shutdown as well.
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        // Who is late is told again after the next start.
        let _late = timeout(LAST_ANSWERS, rest).await;
        self.tasks.abort_all();
        self.note_all().await;
    }

    async fn work(&mut self, notes: &mut mpsc::Receiver<Note>, stop: &watch::Receiver<bool>) {
        let mut note_all = ticks(NOTE_EVERY);
        let mut load = ticks(LOAD_EVERY);
        self.load_everybody(stop).await;
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.hear(note, stop).await,
                    None => return,
                },
                Some(_) = self.tasks.join_next() => {}
                _ = load.tick(), if !self.to_load.is_empty() => self.load(stop).await,
                _ = note_all.tick() => self.note_all().await,
            }
            if self.context.feed.take_missed() {
                tracing::warn!("more happens than pushers can follow: they read it again");
                self.read_again(stop);
            }
        }
    }

    /// Reads who has pushers, as often as it takes.
    async fn load_everybody(&mut self, stop: &watch::Receiver<bool>) {
        let everybody = loop {
            match self.context.pushers.users_with_pushers().await {
                Ok(everybody) => break everybody,
                Err(error) => {
                    tracing::warn!(%error, "could not read who has pushers");
                    tokio::time::sleep(LOAD_EVERY).await;
                }
            }
        };
        if everybody.is_empty() {
            self.context.feed.nobody();
        }
        self.to_load.extend(everybody);
        self.load(stop).await;
    }

    async fn load(&mut self, stop: &watch::Receiver<bool>) {
        for user_id in std::mem::take(&mut self.to_load) {
            self.load_one(user_id, stop).await;
        }
    }

    /// Brings a user's pushers up to date.
    async fn load_one(&mut self, user_id: OwnedUserId, stop: &watch::Receiver<bool>) {
        let pushers = match self.context.pushers.pushers_of(&user_id).await {
            Ok(pushers) => pushers,
            Err(error) => {
                tracing::warn!(%error, user.id = %user_id, "could not read pushers");
                self.to_load.insert(user_id);
                return;
            }
        };
        let known = self.accounts.get(&user_id).map(Arc::clone);
        let had = known
            .as_ref()
            .map(|account| account.slots())
            .unwrap_or_default();
        let mut slots = Vec::new();
        for (pusher, progress) in pushers {
            match had
                .iter()
                .find(|slot| *slot.id() == pusher.id && !slot.is_ended())
            {
                Some(slot) => {
                    slot.set_again(pusher);
                    slots.push(Arc::clone(slot));
                }
                None => slots.push(Arc::new(Slot::new(pusher, progress))),
            }
        }
        for gone in had
            .iter()
            .filter(|slot| !slots.iter().any(|kept| Arc::ptr_eq(kept, slot)))
        {
            gone.end();
        }
        if slots.is_empty() {
            self.accounts.remove(&user_id);
            return;
        }
        let account = known.unwrap_or_else(|| {
            // The rooms that are remembered do not know of them.
            self.rooms.clear();
            let account = Arc::new(Account::new(user_id.clone()));
            self.accounts.insert(user_id, Arc::clone(&account));
            account
        });
        let new: Vec<_> = slots
            .iter()
            .filter(|slot| !had.iter().any(|old| Arc::ptr_eq(old, slot)))
            .map(Arc::clone)
            .collect();
        account.set_slots(slots);
        for slot in new {
            if slot.fall_behind() {
                self.begin(&account, &slot, stop);
            }
        }
    }

    /// Begins to serve a pusher.
    fn begin(&mut self, account: &Arc<Account>, slot: &Arc<Slot>, stop: &watch::Receiver<bool>) {
        let (context, account) = (Arc::clone(&self.context), Arc::clone(account));
        let (slot, stop) = (Arc::clone(slot), stop.clone());
        self.tasks.spawn(async move {
            let service = serve(Arc::clone(&context), account, Arc::clone(&slot), stop);
            // A mistake over one event of one user is not to silence them for good.
            if AssertUnwindSafe(service).catch_unwind().await.is_err() {
                tracing::error!(user.id = %slot.id().user_id, "serving a pusher panicked");
                slot.rest_until(context.clock.now_ms().saturating_add(REST_MS));
            }
        });
    }

    async fn hear(&mut self, note: Note, stop: &watch::Receiver<bool>) {
        match note {
            Note::Event { event, membership } => {
                let position = event.position;
                self.event(&event, membership, stop).await;
                self.looked_at = self.looked_at.max(position);
            }
            Note::Read { user_id, room_id } => {
                if let Some(account) = self.accounts.get(&user_id).map(Arc::clone) {
                    account.forget(Some(&room_id));
                    self.unread_changed(&account, stop);
                }
            }
            Note::Judgment { user_id } => {
                if let Some(account) = self.accounts.get(&user_id).map(Arc::clone) {
                    account.forget(None);
                    self.unread_changed(&account, stop);
                }
            }
            Note::Pushers { user_id } => self.load_one(user_id, stop).await,
        }
    }

    fn unread_changed(&mut self, account: &Arc<Account>, stop: &watch::Receiver<bool>) {
        for slot in account.slots() {
            if slot.unread_changed() {
                self.begin(account, &slot, stop);
            }
        }
    }

    /// Looks who is to be told of an event.
    async fn event(
        &mut self,
        event: &Arc<StoredEvent>,
        membership: Option<(OwnedUserId, MembershipState)>,
        stop: &watch::Receiver<bool>,
    ) {
        let room_id = &event.room_id;
        let mut target = None;
        if let Some((user_id, membership)) = membership {
            let account = self.accounts.get(&user_id).map(Arc::clone);
            // Who leaves has one room less to read.
            if let Some(account) = &account {
                self.unread_changed_in(account, room_id, stop);
            }
            if let Some(members) = self.rooms.get_mut(room_id) {
                match membership == MembershipState::Join && account.is_some() {
                    true => members.insert(user_id),
                    false => members.remove(&user_id),
                };
            }
            target = account;
        }
        let mut concerned = self.members(room_id, stop).await;
        if let Some(target) = target
            && !concerned
                .iter()
                .any(|account| Arc::ptr_eq(account, &target))
        {
            concerned.push(target);
        }
        if concerned.is_empty() {
            return;
        }
        if let Err(error) = self.context.prepare(room_id).await {
            tracing::warn!(%error, room.id = %room_id, "could not read a room for pushers");
            for account in &concerned {
                self.fall_behind(account, stop);
            }
            return;
        }
        let redacts = event.event_type == "m.room.redaction";
        for account in &concerned {
            let own = account.user_id == event.sender;
            // Who writes has read, and what is redacted is not there to be read.
            if own || redacts {
                self.unread_changed_in(account, room_id, stop);
            }
            if !own {
                self.offer(account, event, stop);
            }
        }
    }

    fn unread_changed_in(
        &mut self,
        account: &Arc<Account>,
        room_id: &RoomId,
        stop: &watch::Receiver<bool>,
    ) {
        account.forget(Some(room_id));
        self.unread_changed(account, stop);
    }

    /// Offers an event to a user's pushers if it notifies. Nobody is waited for: who cannot be asked
    /// now, for their rules are being read or changed, reads the event again on their own.
    fn offer(
        &mut self,
        account: &Arc<Account>,
        event: &Arc<StoredEvent>,
        stop: &watch::Receiver<bool>,
    ) {
        match self.context.judge_at_once(account, event) {
            None => self.fall_behind(account, stop),
            Some(Ok(None)) => {}
            Some(Ok(Some(notifying))) => {
                account.forget(Some(&event.room_id));
                for slot in account.slots() {
                    if slot.offer(&notifying) {
                        self.begin(account, &slot, stop);
                    }
                }
            }
            Some(Err(error)) => {
                let user_id = &account.user_id;
                tracing::warn!(%error, user.id = %user_id, "could not judge an event for pushers");
                self.fall_behind(account, stop);
            }
        }
    }

    fn fall_behind(&mut self, account: &Arc<Account>, stop: &watch::Receiver<bool>) {
        for slot in account.slots() {
            if slot.fall_behind() {
                self.begin(account, &slot, stop);
            }
        }
    }

    /// Something was missed: what is in memory may be wrong, and everybody may have been meant.
    fn read_again(&mut self, stop: &watch::Receiver<bool>) {
        self.rooms.clear();
        let accounts: Vec<_> = self.accounts.values().map(Arc::clone).collect();
        for account in accounts {
            account.forget(None);
            self.fall_behind(&account, stop);
            self.to_load.insert(account.user_id.clone());
        }
    }

    /// The joined members of a room that have pushers.
    async fn members(
        &mut self,
        room_id: &RoomId,
        stop: &watch::Receiver<bool>,
    ) -> Vec<Arc<Account>> {
        if self.accounts.is_empty() {
            return Vec::new();
        }
        if !self.rooms.contains_key(room_id) {
            match self.context.pushers.members_with_pushers(room_id).await {
                Ok(members) => {
                    if self.rooms.len() >= REMEMBERED_ROOMS {
                        self.rooms.clear();
                    }
                    let members = members.into_iter().collect();
                    self.rooms.insert(room_id.to_owned(), members);
                }
                Err(error) => {
                    tracing::warn!(%error, room.id = %room_id, "could not read whose pushers a room has");
                    self.read_again(stop);
                    return Vec::new();
                }
            }
        }
        let members = self.rooms.get(room_id);
        let account = |user_id: &OwnedUserId| self.accounts.get::<UserId>(user_id).map(Arc::clone);
        members.into_iter().flatten().filter_map(account).collect()
    }

    /// Tells storage how far everybody has been served.
    async fn note_all(&self) {
        let mut notes = Vec::new();
        for slot in self.accounts.values().flat_map(|account| account.slots()) {
            slot.looked_at(self.looked_at);
            if let Some(progress) = slot.to_note() {
                notes.push((slot, progress));
            }
        }
        for some in notes.chunks(NOTED_AT_ONCE) {
            let progress = some
                .iter()
                .map(|(slot, progress)| (slot.id().clone(), *progress));
            match self.context.pushers.note_progress(progress.collect()).await {
                Ok(()) => {
                    for (slot, progress) in some {
                        slot.noted(*progress);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "could not note how far pushers have been served");
                    return;
                }
            }
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
