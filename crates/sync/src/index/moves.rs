//! In which rooms something happened last, so that nobody has to look at all of theirs for it.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::sliding::RoomKey;

/// How many events are remembered.
const EVENTS: usize = 4_096;

/// The rooms of the last events, in order and numbered. One for all who sync.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    rooms: Mutex<VecDeque<RoomKey>>,
    /// How many there have been. Written under the lock.
    count: AtomicU64,
}

impl Moves {
    /// Notes an event, after the room says where it stands.
    pub(super) fn note(&self, room: RoomKey) {
        let mut rooms = self.rooms.lock();
        if rooms.len() >= EVENTS {
            rooms.pop_front();
        }
        rooms.push_back(room);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of the last event.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The rooms of the events after the one with this number, one more than once if there were
    /// more in it; `None` if they are more than `at_most` or no longer known.
    pub(crate) fn after(&self, number: u64, at_most: usize) -> Option<Vec<RoomKey>> {
        if self.count() == number {
            return Some(Vec::new());
        }
        let rooms = self.rooms.lock();
        let new = usize::try_from(self.count().checked_sub(number)?).ok()?;
        let skipped = rooms.len().checked_sub(new)?;
        (new <= at_most).then(|| rooms.iter().skip(skipped).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RoomKey {
        RoomKey::new(&ruma::RoomId::parse(format!("!{number}:b")).unwrap())
    }

    #[test]
    fn what_happened_after_an_event_is_known_for_a_while() {
        let moves = Moves::default();
        assert_eq!(moves.after(0, 10), Some(Vec::new()));
        for number in 0..3 {
            moves.note(key(number));
        }
        assert_eq!(moves.after(1, 10), Some(vec![key(1), key(2)]));
        assert_eq!(moves.after(3, 10), Some(Vec::new()));
        assert_eq!(moves.after(0, 2), None, "too many");
        assert_eq!(moves.after(4, 10), None, "of the future");
        for number in 0..EVENTS {
            moves.note(key(number));
        }
        assert_eq!(moves.after(2, usize::MAX), None, "forgotten");
        assert_eq!(moves.after(3, usize::MAX).map(|it| it.len()), Some(EVENTS));
    }
}
