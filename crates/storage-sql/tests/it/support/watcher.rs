//! Keeps what was announced, and holds the writer back where a test wants a full group.

use std::sync::{Mutex, mpsc};

use greenroom_model::StreamPosition;
use greenroom_stream::{Change, ChangeKind, ChangeObserver, ChangeStream};

/// Everything that was announced, in the order in which it was.
pub(crate) struct Watcher {
    stream: ChangeStream,
    seen: Mutex<Vec<Change>>,
    groups: Mutex<Vec<usize>>,
    hold: Mutex<Option<mpsc::Receiver<()>>>,
    panic_next: Mutex<bool>,
}

impl Watcher {
    pub(crate) fn of(stream: ChangeStream) -> Self {
        Self {
            stream,
            seen: Mutex::default(),
            groups: Mutex::default(),
            hold: Mutex::default(),
            panic_next: Mutex::default(),
        }
    }

    /// The changes so far. Fails the test if their positions do not grow.
    pub(crate) fn seen(&self) -> Vec<Change> {
        let seen = self.seen.lock().unwrap().clone();
        for pair in seen.windows(2) {
            assert!(
                pair[0].position < pair[1].position,
                "announced out of order: {pair:?}"
            );
        }
        seen
    }

    /// The changes so far, and forgets them.
    pub(crate) fn take(&self) -> Vec<Change> {
        let seen = self.seen();
        self.seen.lock().unwrap().clear();
        seen
    }

    /// Kinds of the changes so far, in a word each, and forgets them.
    pub(crate) fn take_words(&self) -> Vec<String> {
        self.take()
            .iter()
            .map(|change| match &change.kind {
                ChangeKind::Event { event, .. } => format!("event {}", event.event_type),
                ChangeKind::Redacted { event, .. } => format!("redacted {}", event.event_type),
                ChangeKind::AccountData {
                    user_id, room_id, ..
                } => format!(
                    "account data of {user_id} in {}",
                    room_id.as_deref().map_or("all", |room| room.as_str())
                ),
                ChangeKind::Receipt {
                    user_id, private, ..
                } => format!("receipt of {user_id}, private {private}"),
                ChangeKind::Forgotten { user_id, .. } => format!("{user_id} forgot"),
                ChangeKind::SessionsEnded { user_id, device_id } => format!(
                    "sessions of {user_id} on {}",
                    device_id.as_deref().map_or("all", |device| device.as_str())
                ),
                ChangeKind::Profile { user_id } => format!("profile of {user_id}"),
            })
            .collect()
    }

    /// How many changes were announced together, each time.
    pub(crate) fn groups(&self) -> Vec<usize> {
        self.groups.lock().unwrap().clone()
    }

    /// The next announcement waits until the sender is used or dropped, and the writer with it:
    /// what is queued meanwhile shares a group.
    pub(crate) fn hold(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel();
        *self.hold.lock().unwrap() = Some(held);
        release
    }

    /// The next announcement panics.
    pub(crate) fn panic_next(&self) {
        *self.panic_next.lock().unwrap() = true;
    }

    pub(crate) fn position(&self) -> StreamPosition {
        self.stream.position()
    }
}

impl ChangeObserver for Watcher {
    fn changed(&self, changes: &[Change]) {
        self.groups.lock().unwrap().push(changes.len());
        self.seen.lock().unwrap().extend_from_slice(changes);
        let held = self.hold.lock().unwrap().take();
        if let Some(held) = held {
            let _ = held.recv();
        }
        let panics = std::mem::take(&mut *self.panic_next.lock().unwrap());
        assert!(!panics, "an observer that breaks the rule");
    }
}
