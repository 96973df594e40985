//! What pushers hear of committed changes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_stream::{Change, ChangeKind, ChangeObserver};
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, UserId, events::room::member::MembershipState};
use tokio::sync::mpsc;

/// How many notes may wait. More than this, and pushers read again what they have missed.
const MAX_WAITING: usize = 8192;

/// The account data that decides what notifies.
const DECIDES: [&str; 2] = ["m.push_rules", "m.ignored_user_list"];

/// What pushers want to know.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// An event was appended to its room.
    Event {
        event: Arc<StoredEvent>,
        /// Whose membership it set, and to what.
        membership: Option<(OwnedUserId, MembershipState)>,
    },
    /// A user has read.
    Read {
        user_id: OwnedUserId,
        room_id: OwnedRoomId,
    },
    /// A user has other push rules now, or ignores others.
    Judgment { user_id: OwnedUserId },
    /// A user's pushers are others now.
    Pushers { user_id: OwnedUserId },
}

/// Whether anybody has a pusher, so far as is known.
mod anybody {
    pub(super) const UNKNOWN: u8 = 0;
    pub(super) const NOBODY: u8 = 1;
    pub(super) const SOMEBODY: u8 = 2;
}

/// The observer: it hands notes on and holds nobody up. On a server without pushers it does
/// nothing at all.
#[derive(Debug)]
pub(super) struct Feed {
    anybody: AtomicU8,
    /// Told, but not to be seen by readers yet.
    committed: Mutex<Vec<Note>>,
    sender: mpsc::Sender<Note>,
    missed: AtomicBool,
}

impl Feed {
    pub(super) fn new() -> (Self, mpsc::Receiver<Note>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let feed = Self {
            anybody: AtomicU8::new(anybody::UNKNOWN),
            committed: Mutex::default(),
            sender,
            missed: AtomicBool::new(false),
        };
        (feed, receiver)
    }

    /// Says, before the writer is asked to write it, that somebody has a pusher: what is committed
    /// later than that will be heard.
    pub(super) fn somebody(&self) {
        self.anybody.store(anybody::SOMEBODY, Ordering::Release);
    }

    /// Says that nobody had one when the server started.
    pub(super) fn nobody(&self) {
        // Unless somebody has one meanwhile.
        let _meanwhile = self.anybody.compare_exchange(
            anybody::UNKNOWN,
            anybody::NOBODY,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }

    /// Whether notes were lost since the last call.
    pub(super) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }

    /// Says that a user's pushers are others now.
    pub(super) fn pushers_changed(&self, user_id: &UserId) {
        self.send(Note::Pushers {
            user_id: user_id.to_owned(),
        });
    }

    fn send(&self, note: Note) {
        if self.sender.try_send(note).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}

/// What of a change pushers want to know.
fn note(change: &Change) -> Option<Note> {
    match &change.kind {
        ChangeKind::Event { event, membership } => Some(Note::Event {
            event: Arc::clone(event),
            membership: membership
                .as_ref()
                .map(|it| (it.user_id.clone(), it.membership.clone())),
        }),
        ChangeKind::Receipt {
            room_id, user_id, ..
        } => Some(Note::Read {
            user_id: user_id.clone(),
            room_id: room_id.clone(),
        }),
        ChangeKind::AccountData {
            user_id,
            room_id: None,
            data_type,
        } if DECIDES.contains(&data_type.as_str()) => Some(Note::Judgment {
            user_id: user_id.clone(),
        }),
        ChangeKind::SessionsEnded { user_id, .. } => Some(Note::Pushers {
            user_id: user_id.clone(),
        }),
        // A redacted event is looked at once more before it is sent.
        ChangeKind::Redacted { .. }
        | ChangeKind::AccountData { .. }
        | ChangeKind::Forgotten { .. }
        | ChangeKind::Profile { .. } => None,
    }
}

impl ChangeObserver for Feed {
    fn changed(&self, changes: &[Change]) {
        if self.anybody.load(Ordering::Acquire) == anybody::NOBODY {
            return;
        }
        self.committed
            .lock()
            .extend(changes.iter().filter_map(note));
    }

    /// Only now: who reads on a note finds in the database what the note is about.
    fn announced(&self, _: StreamPosition) {
        if self.anybody.load(Ordering::Acquire) == anybody::NOBODY {
            return;
        }
        for note in std::mem::take(&mut *self.committed.lock()) {
            self.send(note);
        }
    }

    fn forget(&self) {
        self.missed.store(true, Ordering::Release);
    }
}
