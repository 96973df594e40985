//! What has changed, in order: how the parts of the server learn of each other's acts.
//!
//! The writer is the only source of [`Change`]s. It announces them after their commit, in stream
//! order, and observers are told before the act is acknowledged: who has read the answer to a
//! send will find the event in a sync. Typing and presence never touch the database; their
//! sources announce an [`EphemeralChange`] instead.

mod account_data;
mod change;
mod ephemeral;
mod ignore;
mod unread;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use greenroom_model::StreamPosition;

pub use account_data::BuiltinAccountData;
pub use change::{Change, ChangeKind, MembershipChange};
pub use ephemeral::{
    EphemeralChange, PresenceSource, PresenceStatus, SyncPresence, TypingSource, TypingUsers,
};
pub use ignore::{IgnoreSource, IgnoredUsers, Unanswered};
pub use unread::{RecentEvents, Unread, UnreadCount, UnreadQuery, UnreadSource};

/// Somebody who wants to know what was committed.
///
/// Observers run on the writer's thread, one after the other, between a commit and its answers:
/// they update memory or enqueue, and return. They must not block. One that panics takes neither
/// the writer nor the other observers with it, but has to [`forget`](Self::forget).
pub trait ChangeObserver: Send + Sync {
    /// These changes are committed. They come in stream order, each exactly once.
    fn changed(&self, changes: &[Change]);

    /// Readers now see everything up to `position`, and whoever did it has been answered. Who wakes
    /// readers does it here: woken any earlier, they would read up to the position before, find
    /// nothing and wait on.
    fn announced(&self, _position: StreamPosition) {}

    /// It has panicked over changes that are committed: what it keeps in memory of the database may
    /// be wrong from now on, and must be read again. Nobody has seen the new position yet.
    fn forget(&self) {}

    /// Typing or presence has changed. May be called from any thread.
    fn ephemeral_changed(&self, _change: &EphemeralChange) {}
}

/// The announced end of the stream, and everyone who listens to it.
#[derive(Clone, Default)]
pub struct ChangeStream {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    announced: AtomicI64,
    observers: OnceLock<Vec<Arc<dyn ChangeObserver>>>,
}

impl fmt::Debug for ChangeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeStream")
            .field("announced", &self.position())
            .finish_non_exhaustive()
    }
}

/// Whether it returns. (The panic hook logs it if not.)
fn survives(tell: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(tell)).is_ok()
}

impl ChangeStream {
    /// A stream nobody listens to yet, at the start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the observers, in the order in which they are told. The first call counts: wiring
    /// happens once, before the first change.
    pub fn observe(&self, observers: Vec<Arc<dyn ChangeObserver>>) {
        // A second call would be a mistake in the wiring; the first set stays.
        let _ = self.inner.observers.set(observers);
    }

    /// Everything up to here is committed, and every observer knows it.
    #[must_use]
    pub fn position(&self) -> StreamPosition {
        StreamPosition(self.inner.announced.load(Ordering::Acquire))
    }

    /// Tells the observers, and lets readers see the new position. [`Self::wake`] follows.
    /// Only the writer calls these, from one thread, after a commit.
    pub fn announce(&self, position: StreamPosition, changes: &[Change]) {
        if !changes.is_empty() {
            for observer in self.observers() {
                if !survives(|| observer.changed(changes)) {
                    tracing::error!(%position, "an observer of the stream panicked");
                    survives(|| observer.forget());
                }
            }
        }
        self.inner.announced.fetch_max(position.0, Ordering::AcqRel);
    }

    /// Tells the observers that readers see everything up to `position`, once the acts are
    /// answered: a client that learns of its own event by a sync before it has the answer to its
    /// send may not know the event as its own.
    pub fn wake(&self, position: StreamPosition) {
        for observer in self.observers() {
            survives(|| observer.announced(position));
        }
    }

    /// Tells the observers of a change that is not stored.
    pub fn announce_ephemeral(&self, change: &EphemeralChange) {
        for observer in self.observers() {
            observer.ephemeral_changed(change);
        }
    }

    fn observers(&self) -> &[Arc<dyn ChangeObserver>] {
        self.inner.observers.get().map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use ruma::user_id;

    use super::*;

    #[derive(Default)]
    struct Counting {
        panics: bool,
        told: AtomicUsize,
        forgot: AtomicUsize,
    }

    impl ChangeObserver for Counting {
        fn changed(&self, _: &[Change]) {
            assert!(!self.panics, "as a test of the stream");
            self.told.fetch_add(1, Ordering::AcqRel);
        }

        fn announced(&self, _: StreamPosition) {
            assert!(!self.panics, "as a test of the stream");
            self.told.fetch_add(1, Ordering::AcqRel);
        }

        fn forget(&self) {
            self.forgot.fetch_add(1, Ordering::AcqRel);
        }
    }

    #[test]
    fn a55_an_observer_that_panics_has_to_forget_and_the_others_are_told() {
        let broken = Arc::new(Counting {
            panics: true,
            ..Counting::default()
        });
        let sound = Arc::new(Counting::default());
        let stream = ChangeStream::new();
        stream.observe(vec![
            Arc::clone(&broken) as Arc<dyn ChangeObserver>,
            Arc::clone(&sound) as Arc<dyn ChangeObserver>,
        ]);
        let change = Change {
            position: StreamPosition(3),
            kind: ChangeKind::Profile {
                user_id: user_id!("@alice:localhost").to_owned(),
            },
        };
        stream.announce(change.position, &[change]);
        assert_eq!(sound.told.load(Ordering::Acquire), 1, "nobody is woken yet");
        stream.wake(StreamPosition(3));
        assert_eq!(stream.position(), StreamPosition(3));
        assert_eq!(sound.told.load(Ordering::Acquire), 2);
        assert_eq!(sound.forgot.load(Ordering::Acquire), 0);
        assert_eq!(broken.forgot.load(Ordering::Acquire), 1);
    }
}
