//! What a pusher has missed: events that notify and that memory does not have.

use std::collections::{BTreeMap, HashMap};

use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Direction, RoomMembership};
use ruma::{OwnedEventId, RoomId, events::room::member::MembershipState};

use super::{
    account::Account,
    context::{Context, Trouble},
};

/// What has waited for longer is old, in milliseconds.
const OLD_MS: u64 = 3_600_000;
/// Of what is old only the newest are sent, so many: who was away for a day wants to know that, not
/// to be rung for each message.
const MAX_OLD: usize = 20;
/// How many events are read at once.
const PAGE: u64 = 100;
/// How many are kept in mind, the newest; the others are passed over.
const MAX_MISSED: usize = 1000;

/// An event that notifies and that a pusher has missed. It is read when it is its turn.
#[derive(Clone, Debug)]
pub(super) struct Missed {
    pub(super) position: StreamPosition,
    pub(super) event_id: OwnedEventId,
    sent_ms: u64,
}

impl Missed {
    fn new(event: &StoredEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id.clone(),
            sent_ms: event.origin_server_ts.get().into(),
        }
    }

    fn is_old(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.sent_ms) > OLD_MS
    }
}

/// The newest of what was missed, in stream order.
#[derive(Debug, Default)]
struct Newest(BTreeMap<StreamPosition, Missed>);

impl Newest {
    fn add(&mut self, missed: Missed) {
        self.0.insert(missed.position, missed);
        if self.0.len() > MAX_MISSED {
            self.0.pop_first();
        }
    }

    /// Whether there is no place for what is older than this.
    fn is_full_at(&self, position: StreamPosition) -> bool {
        let oldest = self.0.first_key_value();
        self.0.len() >= MAX_MISSED && oldest.is_some_and(|(oldest, _)| *oldest >= position)
    }
}

/// Drops what is old, but for the newest of it. What is given, and what is left, is in stream order.
fn without_old(mut found: Vec<Missed>, now_ms: u64) -> Vec<Missed> {
    let old = found.iter().filter(|it| it.is_old(now_ms)).count();
    let mut to_drop = old.saturating_sub(MAX_OLD);
    found.retain(|it| {
        let drop = to_drop > 0 && it.is_old(now_ms);
        to_drop = to_drop.saturating_sub(usize::from(drop));
        !drop
    });
    found
}

impl Context {
    /// The events after `after` and not after `upto` that notify a user and are unread, in stream
    /// order, of the old ones only the newest.
    ///
    /// Rooms where nothing is unread are not read, others as far as there is something.
    pub(super) async fn missed(
        &self,
        account: &Account,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<Missed>, Trouble> {
        // Rules that are being changed may take a while, and others have a turn meanwhile.
        self.rules_settled(&account.user_id).await?;
        // Never closed.
        let _turn = self.catching_up.acquire().await.ok();
        let wanted = [MembershipState::Join, MembershipState::Invite];
        let rooms = self.members.rooms_of(&account.user_id, &wanted).await?;
        let (joined, invited): (Vec<_>, Vec<_>) = rooms
            .into_iter()
            .partition(|room| room.membership == MembershipState::Join);
        let since: HashMap<_, _> = joined
            .into_iter()
            .map(|room| (room.room_id, room.position))
            .collect();
        let joined_ids = since.keys().cloned().collect();
        let newest = self.timeline.newest_positions(joined_ids).await?;
        let mut found = Newest::default();
        for (room_id, _) in newest.into_iter().filter(|(_, newest)| *newest > after) {
            account.forget(Some(&room_id));
            let since = since.get(&room_id).copied().unwrap_or_default();
            let user_id = &account.user_id;
            let mut unread = self.unread_positions(user_id, &room_id, since).await?;
            unread.retain(|position| *position > after && *position <= upto);
            self.missed_in(&room_id, unread, &mut found).await?;
        }
        let is_new = |room: &RoomMembership| room.position > after && room.position <= upto;
        for room in invited.into_iter().filter(is_new) {
            if let Some(event) = self.timeline.event(&room.event_id).await? {
                found.add(Missed::new(&event));
            }
        }
        let found = found.0.into_values().collect();
        Ok(without_old(found, self.clock.now_ms()))
    }

    /// Finds the events at these positions, page by page from the newest on.
    async fn missed_in(
        &self,
        room_id: &RoomId,
        unread: Vec<StreamPosition>,
        found: &mut Newest,
    ) -> Result<(), Trouble> {
        let (Some(oldest), Some(mut before)) = (unread.first(), unread.last().copied()) else {
            return Ok(());
        };
        let (after, now_ms) = (oldest.before(), self.clock.now_ms());
        let mut old = 0;
        while old < MAX_OLD && before > after && !found.is_full_at(before) {
            let page = self
                .timeline
                .events_between(room_id, after, before, Direction::Backward, PAGE)
                .await?;
            let Some(oldest) = page.last() else { break };
            before = oldest.position.before();
            let is_unread = |event: &&StoredEvent| unread.binary_search(&event.position).is_ok();
            for missed in page.iter().filter(is_unread).map(Missed::new) {
                old += usize::from(missed.is_old(now_ms));
                found.add(missed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ruma::event_id;

    use super::*;

    fn sent(position: i64, sent_ms: u64) -> Missed {
        Missed {
            position: StreamPosition(position),
            event_id: event_id!("$event").to_owned(),
            sent_ms,
        }
    }

    #[test]
    fn of_what_is_old_the_newest_are_left_and_all_that_is_not() {
        let now_ms = 10 * OLD_MS;
        let old = (1..=30).map(|at| sent(at, now_ms - OLD_MS - 1));
        let recent = (31..=80).map(|at| sent(at, now_ms - OLD_MS));
        let left = without_old(old.chain(recent).collect(), now_ms);
        let positions: Vec<i64> = left.iter().map(|it| it.position.0).collect();
        assert_eq!(positions, (11..=80).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_old() {
        let ahead = vec![sent(1, 5_000), sent(2, u64::MAX)];
        assert_eq!(without_old(ahead, 1_000).len(), 2);
    }

    #[test]
    fn of_what_was_missed_the_newest_are_kept_in_mind() {
        let mut found = Newest::default();
        let count = i64::try_from(MAX_MISSED).unwrap();
        // Room by room, from the newest on.
        for at in (1..=count).rev().map(|at| 2 * at) {
            assert!(!found.is_full_at(StreamPosition(at)));
            found.add(sent(at, 0));
        }
        assert!(found.is_full_at(StreamPosition(2)) && !found.is_full_at(StreamPosition(3)));
        found.add(sent(3, 0));
        found.add(sent(1, 0));
        let positions: Vec<i64> = found.0.keys().map(|at| at.0).collect();
        let expected: Vec<i64> = [3]
            .into_iter()
            .chain((2..=count).map(|at| 2 * at))
            .collect();
        assert_eq!(positions, expected);
    }
}
