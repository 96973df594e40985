//! What is unread for one user in one room.

use std::collections::HashMap;

use greenroom_model::StreamPosition;
use greenroom_storage::{KeptUnread, ReadUpto, Reading};
use greenroom_stream::{Unread, UnreadCount};
use ruma::{EventId, OwnedEventId};

use super::encoding::{decode, encode};

const MAIN: &str = "main";

/// An event that notifies and has not been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnreadEvent {
    pub(super) position: StreamPosition,
    /// 0: the main timeline; otherwise the place of the thread in the list of threads, from 1.
    pub(super) thread: u32,
    pub(super) highlight: bool,
}

/// How far the user has read: the furthest of their receipts, public and private alike.
#[derive(Debug, Default)]
struct ReadMarks {
    /// In the whole room.
    room: StreamPosition,
    /// In `main`, and in threads by their roots.
    threads: HashMap<String, StreamPosition>,
}

impl ReadMarks {
    fn cover(&self, position: StreamPosition, thread: Option<&EventId>) -> bool {
        let thread = thread.map_or(MAIN, EventId::as_str);
        position <= self.room
            || self
                .threads
                .get(thread)
                .is_some_and(|upto| position <= *upto)
    }
}

/// What is unread for one user in one room: the events that notify, up to where they were judged.
///
/// An event is unread if it is behind none of the receipts that concern it: those for the whole
/// room, and those for its thread or the main timeline.
#[derive(Debug, Default)]
pub(super) struct Tally {
    judged_upto: StreamPosition,
    /// In the order of the room.
    events: Vec<UnreadEvent>,
    threads: Vec<OwnedEventId>,
    read: ReadMarks,
    counts: Unread,
    /// How many events were judged since this was kept in the database.
    unsaved: u64,
}

impl Tally {
    /// What the database knows. A row that does not read is as good as none.
    pub(super) fn new(reading: Reading) -> Self {
        let mut tally = Self::default();
        if let Some(kept) = reading.unread
            && let Some((events, threads)) = decode(&kept.events)
        {
            tally.judged_upto = kept.judged_upto;
            tally.events = events;
            tally.threads = threads;
        }
        tally.recount();
        for receipt in &reading.receipts {
            tally.read(receipt);
            // What it made read need not be here: the row may be younger than the receipt.
            tally.counts.changed = tally.counts.changed.max(receipt.position);
        }
        tally
    }

    pub(super) fn kept(&self) -> KeptUnread {
        KeptUnread {
            judged_upto: self.judged_upto,
            events: encode(&self.events, &self.threads),
        }
    }

    pub(super) fn counts(&self) -> &Unread {
        &self.counts
    }

    pub(super) fn judged_upto(&self) -> StreamPosition {
        self.judged_upto
    }

    /// Where events begin that are not known to be read.
    pub(super) fn unknown_after(&self) -> StreamPosition {
        self.judged_upto.max(self.read.room)
    }

    /// The positions of what is unread, in their order.
    pub(super) fn positions(&self) -> Vec<StreamPosition> {
        self.events.iter().map(|event| event.position).collect()
    }

    /// Whether the event at a position is among them.
    pub(super) fn has(&self, at: StreamPosition) -> bool {
        let found = self.events.binary_search_by_key(&at, |it| it.position);
        found.is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn unsaved(&self) -> u64 {
        self.unsaved
    }

    /// Whether so much was judged that it is worth a row: rewriting all rows of somebody who never
    /// reads must not cost more than what is new in them.
    pub(super) fn is_worth_keeping(&self, least: u64) -> bool {
        self.unsaved >= least.max(self.events.len() as u64 / 2)
    }

    pub(super) fn set_unsaved(&mut self, unsaved: u64) {
        self.unsaved = unsaved;
    }

    /// The user has joined here: what was before does not count.
    pub(super) fn begin(&mut self, joined: StreamPosition) {
        if !self.events.is_empty() {
            self.counts.changed = joined;
        }
        self.events.clear();
        self.recount();
        self.judged_upto = joined;
    }

    /// An event was judged, or everything up to a position.
    pub(super) fn judged(&mut self, upto: StreamPosition) {
        self.judged_upto = self.judged_upto.max(upto);
    }

    /// Counts an event as judged for the next row.
    pub(super) fn count_judged(&mut self) {
        self.unsaved += 1;
    }

    /// Takes in an event that notifies, unless it has been read already.
    pub(super) fn add(
        &mut self,
        at: StreamPosition,
        thread: Option<OwnedEventId>,
        highlight: bool,
    ) {
        if self.read.cover(at, thread.as_deref()) {
            return;
        }
        let event = UnreadEvent {
            position: at,
            thread: self.index(thread),
            highlight,
        };
        self.events.push(event);
        self.count(event);
        self.counts.changed = at;
    }

    /// A receipt of the user's. One that is behind another changes nothing.
    pub(super) fn read(&mut self, receipt: &ReadUpto) {
        let upto = receipt.event_position;
        match receipt.thread_id.as_deref() {
            None => self.read.room = self.read.room.max(upto),
            Some(thread) => {
                let mark = self.read.threads.entry(thread.to_owned()).or_default();
                *mark = upto.max(*mark);
            }
        }
        let Self {
            read,
            events,
            threads,
            ..
        } = self;
        let before = events.len();
        events.retain(|event| !read.cover(event.position, name(threads, event.thread)));
        let removed = events.len() != before;
        self.removed(removed, receipt.position);
    }

    /// The user has sent an event, and so has read what is before it: all of the room, or of the
    /// thread that they sent it to.
    pub(super) fn sent(&mut self, at: StreamPosition, thread: Option<&EventId>) {
        let Self {
            events, threads, ..
        } = self;
        let before = events.len();
        match thread {
            None => events.clear(),
            Some(root) => events.retain(|event| name(threads, event.thread) != Some(root)),
        }
        let removed = events.len() != before;
        self.removed(removed, at);
    }

    /// The event at `target` was redacted at `at`.
    pub(super) fn redacted(&mut self, target: StreamPosition, at: StreamPosition) {
        let found = self
            .events
            .binary_search_by_key(&target, |event| event.position);
        if let Ok(index) = found {
            self.events.remove(index);
        }
        self.removed(found.is_ok(), at);
    }

    fn removed(&mut self, removed: bool, at: StreamPosition) {
        if removed {
            self.recount();
            self.counts.changed = self.counts.changed.max(at);
        }
    }

    /// A thread's place in the list.
    fn index(&mut self, thread: Option<OwnedEventId>) -> u32 {
        let Some(root) = thread else { return 0 };
        let known = self.threads.iter().position(|known| *known == root);
        let index = known.unwrap_or_else(|| {
            self.threads.push(root);
            self.threads.len() - 1
        });
        u32::try_from(index + 1).unwrap_or(0)
    }

    fn count(&mut self, event: UnreadEvent) {
        let highlights = u64::from(event.highlight);
        let add = |count: &mut UnreadCount| {
            count.notifications += 1;
            count.highlights += highlights;
        };
        add(&mut self.counts.room);
        match name(&self.threads, event.thread) {
            None => add(&mut self.counts.main),
            Some(root) => add(self.counts.threads.entry(root.to_owned()).or_default()),
        }
    }

    fn recount(&mut self) {
        self.counts = Unread {
            changed: self.counts.changed,
            ..Unread::default()
        };
        if self.events.is_empty() {
            self.threads.clear();
        }
        for index in 0..self.events.len() {
            if let Some(event) = self.events.get(index).copied() {
                self.count(event);
            }
        }
    }
}

/// The root of the thread with this number.
fn name(threads: &[OwnedEventId], thread: u32) -> Option<&EventId> {
    let index = usize::try_from(thread.checked_sub(1)?).ok()?;
    threads.get(index).map(|root| &**root)
}
