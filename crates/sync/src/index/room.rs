//! One room's part of the index: where its newest changes stand, its last events, who listens.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
};

use greenroom_events::{ClientEvent, EventError, relations::relation_of};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_stream::RecentEvents;
use parking_lot::Mutex;
use ruma::{EventId, OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::User;

/// How many events a room keeps in memory.
const TAIL_EVENTS: usize = 40;
/// How many bytes of them.
const TAIL_BYTES: usize = 64 * 1024;

/// An event in memory, made ready for clients when the first of them asks.
#[derive(Debug)]
pub(crate) struct TailEvent {
    pub(crate) event: Arc<StoredEvent>,
    prepared: OnceLock<ClientEvent>,
    summed: AtomicU8,
}

/// Whether something that relates to an event is summed up with it: not asked yet.
const UNKNOWN: u8 = 0;
/// Nothing is.
const NOTHING: u8 = 1;
/// Something is, or was.
const SOMETHING: u8 = 2;

impl TailEvent {
    pub(crate) fn new(event: Arc<StoredEvent>) -> Self {
        Self {
            event,
            prepared: OnceLock::new(),
            summed: AtomicU8::new(UNKNOWN),
        }
    }

    /// An event that was just committed: nothing can relate to it yet.
    fn new_in_room(event: Arc<StoredEvent>) -> Self {
        Self {
            summed: AtomicU8::new(NOTHING),
            ..Self::new(event)
        }
    }

    /// Whether something that relates to it may be summed up with it; `None` if nobody has asked
    /// the database yet.
    pub(crate) fn is_summed(&self) -> Option<bool> {
        match self.summed.load(Ordering::Acquire) {
            UNKNOWN => None,
            state => Some(state == SOMETHING),
        }
    }

    /// Notes what the database said, unless an event has come since that says otherwise.
    pub(crate) fn note_summed(&self, is_summed: bool) {
        let state = if is_summed { SOMETHING } else { NOTHING };
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        let _known = self.summed.compare_exchange(UNKNOWN, state, set, get);
    }

    /// The event as all clients see it.
    pub(crate) fn prepared(&self) -> Result<&ClientEvent, EventError> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let prepared = ClientEvent::new(&self.event)?;
        Ok(self.prepared.get_or_init(|| prepared))
    }
}

#[derive(Debug, Default)]
struct Tail {
    events: VecDeque<Arc<TailEvent>>,
    bytes: usize,
    /// Every event after this position is in `events`; `None` while that is known of none.
    complete_after: Option<StreamPosition>,
}

impl Tail {
    fn find(&self, event_id: &EventId) -> Option<&TailEvent> {
        let mut events = self.events.iter();
        let found = events.find(|tail| tail.event.event_id == event_id);
        found.map(|tail| &**tail)
    }

    /// Takes in the next event of the room.
    fn push(&mut self, event: Arc<StoredEvent>) {
        self.complete_after
            .get_or_insert_with(|| event.position.before());
        self.bytes += event.json.len();
        if let Some(relation) = relation_of(&event)
            && let Some(target) = self.find(&relation.target)
        {
            target.summed.store(SOMETHING, Ordering::Release);
        }
        self.events
            .push_back(Arc::new(TailEvent::new_in_room(event)));
        while self.events.len() > TAIL_EVENTS || self.bytes > TAIL_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.event.json.len();
            self.complete_after = Some(oldest.event.position);
        }
    }
}

/// What identifies a room in a list, from its current state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) room_type: Option<String>,
    pub(crate) is_encrypted: bool,
}

/// What identified a room when that was last read.
#[derive(Debug)]
struct KnownIdentity {
    /// The edition that it holds for; `None` if memory had run ahead of it.
    edition: Option<u64>,
    at: StreamPosition,
    identity: Arc<Identity>,
}

/// The most events of a room's state that are kept in memory.
const STATE_EVENTS: usize = 64;

/// A room's whole state, kept for the next client who begins with it.
#[derive(Debug)]
struct CachedState {
    /// It has been so from here on.
    from: StreamPosition,
    events: Vec<Arc<TailEvent>>,
}

/// Which parts of a state are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whole {
    /// All of it.
    State,
    /// All but the member events.
    StateWithoutMembers,
}

/// Editions are never used twice, so that a room that comes into memory again has none of the
/// facts that were known of it before.
fn next_edition() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Types of events that a room list goes by: what people do in a room, and not what becomes of it.
pub(crate) const BUMP_TYPES: &[&str] = &[
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "m.beacon_info",
];

/// A room that somebody listens to.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) room_id: OwnedRoomId,
    newest_event: AtomicI64,
    newest_receipt: AtomicI64,
    /// Where the newest event stands that a room list goes by; 0 while that is not known.
    newest_bump: AtomicI64,
    /// Where the newest state event stands, at most.
    newest_state: AtomicI64,
    identity: Mutex<Option<KnownIdentity>>,
    tail: Mutex<Tail>,
    /// Another one when the state changes, or an event loses its content: what was read before is
    /// old then.
    edition: AtomicU64,
    state: Mutex<HashMap<Whole, CachedState>>,
    listeners: Mutex<HashMap<OwnedUserId, Arc<User>>>,
    /// Those who follow the room for the length of a request without being in it, and how often.
    peekers: Mutex<HashMap<OwnedUserId, (Arc<User>, usize)>>,
}

impl Room {
    pub(crate) fn new(room_id: &RoomId) -> Self {
        Self {
            room_id: room_id.to_owned(),
            newest_event: AtomicI64::new(0),
            newest_receipt: AtomicI64::new(0),
            newest_bump: AtomicI64::new(0),
            newest_state: AtomicI64::new(0),
            identity: Mutex::default(),
            tail: Mutex::default(),
            edition: AtomicU64::new(next_edition()),
            state: Mutex::default(),
            listeners: Mutex::default(),
            peekers: Mutex::default(),
        }
    }

    /// Takes in what the database says: the newest event stands at `newest`, and whatever else
    /// changed before `now` may be unknown here. The room must have been in the index when
    /// `newest` was read, or an event that came in between would be missed.
    pub(super) fn loaded(&self, newest: StreamPosition, now: StreamPosition) {
        self.newest_state.fetch_max(newest.0, Ordering::AcqRel);
        self.newest_event.fetch_max(newest.0, Ordering::AcqRel);
        self.newest_receipt.fetch_max(now.0, Ordering::AcqRel);
        // A tail that has begun knows better.
        self.tail.lock().complete_after.get_or_insert(newest);
    }

    /// Takes in a committed event.
    pub(super) fn push(&self, event: &Arc<StoredEvent>) {
        if event.state_key.is_some() {
            // Before the edition: who finds the new one finds where it begins.
            let position = event.position.0;
            self.newest_state.fetch_max(position, Ordering::AcqRel);
            self.new_edition();
        }
        if BUMP_TYPES.contains(&&*event.event_type) {
            self.bump(event.position);
        }
        self.tail.lock().push(Arc::clone(event));
        self.newest_event
            .fetch_max(event.position.0, Ordering::AcqRel);
    }

    /// Replaces an event that has lost its content.
    pub(super) fn replace(&self, event: &Arc<StoredEvent>) {
        self.new_edition();
        let mut tail = self.tail.lock();
        let found = tail
            .events
            .iter()
            .position(|known| known.event.position == event.position);
        if let Some(place) = found.and_then(|index| tail.events.get_mut(index)) {
            let replaced = TailEvent::new(Arc::clone(event));
            let summed = place.summed.load(Ordering::Acquire);
            replaced.summed.store(summed, Ordering::Release);
            *place = Arc::new(replaced);
        }
    }

    pub(super) fn receipt(&self, position: StreamPosition) {
        self.newest_receipt.fetch_max(position.0, Ordering::AcqRel);
    }

    /// Where the newest event stands that a room list goes by, if that is known.
    pub(crate) fn newest_bump(&self) -> Option<StreamPosition> {
        let position = self.newest_bump.load(Ordering::Acquire);
        (position > 0).then_some(StreamPosition(position))
    }

    /// Notes an event that a room list goes by.
    pub(crate) fn bump(&self, position: StreamPosition) {
        self.newest_bump.fetch_max(position.0, Ordering::AcqRel);
    }

    /// What identifies the room at a position, if memory knows it.
    pub(crate) fn identity_at(&self, at: StreamPosition) -> Option<Arc<Identity>> {
        let edition = self.edition_at(at)?;
        let identity = self.identity.lock();
        let known = identity.as_ref()?;
        (known.edition == Some(edition)).then(|| Arc::clone(&known.identity))
    }

    /// What identified the room when that was last read.
    pub(crate) fn last_identity(&self) -> Option<Arc<Identity>> {
        let identity = self.identity.lock();
        identity.as_ref().map(|known| Arc::clone(&known.identity))
    }

    /// Keeps what is so at a position, and was read after the edition at it was asked for. If there
    /// was none, it is kept for who takes [what was last read](Self::last_identity).
    pub(crate) fn keep_identity(
        &self,
        edition: Option<u64>,
        at: StreamPosition,
        identity: &Arc<Identity>,
    ) {
        let mut known = self.identity.lock();
        let is_of_now = edition == Some(self.edition());
        if is_of_now || known.as_ref().is_none_or(|known| known.at <= at) {
            *known = Some(KnownIdentity {
                edition,
                at,
                identity: Arc::clone(identity),
            });
        }
    }

    /// Where the room's newest event stands.
    pub(crate) fn newest_event(&self) -> StreamPosition {
        StreamPosition(self.newest_event.load(Ordering::Acquire))
    }

    /// Where the room's newest receipt stands, at most.
    pub(crate) fn newest_receipt(&self) -> StreamPosition {
        StreamPosition(self.newest_receipt.load(Ordering::Acquire))
    }

    /// The room's events after `after` and not after `upto`, oldest first, if memory has them all.
    pub(crate) fn events_between(
        &self,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Option<Vec<Arc<TailEvent>>> {
        let tail = self.tail.lock();
        if tail.complete_after.is_none_or(|from| from > after) {
            return None;
        }
        let within =
            |tail: &&Arc<TailEvent>| tail.event.position > after && tail.event.position <= upto;
        Some(tail.events.iter().filter(within).cloned().collect())
    }

    fn new_edition(&self) {
        let mut state = self.state.lock();
        self.edition.store(next_edition(), Ordering::Release);
        state.clear();
    }

    /// The edition whose state is that at a position, if memory has not run ahead of it. What is
    /// so at the position, and was read after this was asked, may be kept with the edition.
    pub(crate) fn edition_at(&self, at: StreamPosition) -> Option<u64> {
        let edition = self.edition();
        (self.newest_state.load(Ordering::Acquire) <= at.0).then_some(edition)
    }

    /// To be asked before something is read that is to be kept here.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The events that memory has, not after `upto`, oldest first. There may be older ones.
    pub(crate) fn newest_events(&self, upto: StreamPosition) -> Vec<Arc<TailEvent>> {
        let tail = self.tail.lock();
        let within = |tail: &&Arc<TailEvent>| tail.event.position <= upto;
        tail.events.iter().filter(within).cloned().collect()
    }

    /// Puts events from the database before those in memory. They are all that the room has from
    /// the oldest of them to `upto`, newest first, and were read after `edition` was asked for.
    pub(crate) fn keep_events(
        &self,
        edition: u64,
        upto: StreamPosition,
        newest_first: &[Arc<TailEvent>],
    ) {
        let mut tail = self.tail.lock();
        if tail.complete_after.is_none_or(|from| from > upto) || self.edition() != edition {
            return;
        }
        for event in newest_first {
            let known = tail
                .complete_after
                .is_some_and(|from| event.event.position > from);
            if known {
                continue;
            }
            let bytes = tail.bytes + event.event.json.len();
            if tail.events.len() >= TAIL_EVENTS || bytes > TAIL_BYTES {
                return;
            }
            tail.bytes = bytes;
            tail.events.push_front(Arc::clone(event));
            tail.complete_after = Some(event.event.position.before());
        }
    }

    /// The room's state at a position, if memory has it.
    pub(crate) fn state(&self, whole: Whole, at: StreamPosition) -> Option<Vec<Arc<TailEvent>>> {
        let state = self.state.lock();
        let cached = state.get(&whole).filter(|cached| cached.from <= at)?;
        Some(cached.events.clone())
    }

    /// Keeps the state that the room has now. It was read after `edition` was asked for.
    pub(crate) fn keep_state(&self, whole: Whole, edition: u64, events: &[Arc<TailEvent>]) {
        if events.len() > STATE_EVENTS {
            return;
        }
        let from = events.iter().map(|tail| tail.event.position).max();
        let mut state = self.state.lock();
        // Under the lock that a new edition takes.
        if self.edition() == edition {
            let events = events.to_vec();
            let from = from.unwrap_or_default();
            state.insert(whole, CachedState { from, events });
        }
    }

    pub(super) fn add_listener(&self, user: &Arc<User>) {
        self.listeners
            .lock()
            .insert(user.user_id.clone(), Arc::clone(user));
    }

    /// Removes this listener; not one who has taken their place in memory since.
    pub(super) fn remove_listener(&self, user: &User) {
        let mut listeners = self.listeners.lock();
        if listeners
            .get(&user.user_id)
            .is_some_and(|known| std::ptr::eq(&raw const **known, user))
        {
            listeners.remove(&user.user_id);
        }
    }

    pub(crate) fn add_peeker(&self, user: &Arc<User>) {
        self.peekers
            .lock()
            .entry(user.user_id.clone())
            .or_insert_with(|| (Arc::clone(user), 0))
            .1 += 1;
    }

    pub(super) fn remove_peeker(&self, user_id: &UserId) {
        let mut peekers = self.peekers.lock();
        if let Some((_, times)) = peekers.get_mut(user_id) {
            *times -= 1;
            if *times == 0 {
                peekers.remove(user_id);
            }
        }
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.listeners.lock().is_empty() && self.peekers.lock().is_empty()
    }

    /// Looks at every member who syncs, under the lock: `see` must be quick.
    pub(super) fn each_listener(&self, see: impl FnMut(&Arc<User>)) {
        self.listeners.lock().values().for_each(see);
    }

    /// How many members sync.
    pub(super) fn count_listeners(&self) -> usize {
        self.listeners.lock().len()
    }

    /// Members who sync.
    pub(crate) fn listeners(&self) -> Vec<Arc<User>> {
        self.listeners.lock().values().cloned().collect()
    }

    /// Everyone who waits for something to happen here.
    pub(crate) fn audience(&self) -> Vec<Arc<User>> {
        let mut audience = self.listeners();
        audience.extend(
            self.peekers
                .lock()
                .values()
                .map(|(user, _)| Arc::clone(user)),
        );
        audience
    }
}

impl RecentEvents for Room {
    fn between(
        &self,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Option<Vec<Arc<StoredEvent>>> {
        let events = self.events_between(after, upto)?;
        Some(events.iter().map(|tail| Arc::clone(&tail.event)).collect())
    }
}
