//! What a pusher has missed: events that notify and that memory does not have.

use std::sync::Arc;

use greenroom_model::StreamPosition;
use greenroom_storage::{Direction, RoomMembership};
use ruma::events::room::member::MembershipState;

use super::{
    account::Account,
    context::{Context, Trouble},
    slot::Notifying,
};

/// What has waited for longer is old, in milliseconds.
const OLD_MS: u64 = 3_600_000;
/// Of what is old only the newest are sent, so many: who was away for a day wants to know that, not
/// to be rung for each message.
const MAX_OLD: usize = 20;
/// How many events are read at once.
const PAGE: u64 = 100;
/// How many events of one room are looked at. Older ones are passed over.
const MAX_READ: usize = 2000;

/// Drops what is old, but for the newest of it. What is given, and what is left, is in stream order.
fn without_old(mut found: Vec<Notifying>, now_ms: u64) -> Vec<Notifying> {
    let is_old = |it: &Notifying| {
        let sent_ms = u64::from(it.event.origin_server_ts.get());
        now_ms.saturating_sub(sent_ms) > OLD_MS
    };
    let old = found.iter().filter(|it| is_old(it)).count();
    let mut to_drop = old.saturating_sub(MAX_OLD);
    found.retain(|it| {
        let drop = to_drop > 0 && is_old(it);
        to_drop = to_drop.saturating_sub(usize::from(drop));
        !drop
    });
    found
}

impl Context {
    /// The events after `after` and not after `upto` that notify a user, in stream order, of the
    /// old ones only the newest.
    ///
    /// Rooms where nothing is unread are not read.
    pub(super) async fn missed(
        &self,
        account: &Account,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<Notifying>, Trouble> {
        // Never closed.
        let _turn = self.catching_up.acquire().await.ok();
        let wanted = [MembershipState::Join, MembershipState::Invite];
        let rooms = self.members.rooms_of(&account.user_id, &wanted).await?;
        let (joined, invited): (Vec<_>, Vec<_>) = rooms
            .into_iter()
            .partition(|room| room.membership == MembershipState::Join);
        let joined_ids = joined.into_iter().map(|room| room.room_id).collect();
        let newest = self.timeline.newest_positions(joined_ids).await?;
        let mut found = Vec::new();
        for (room_id, _) in newest.into_iter().filter(|(_, newest)| *newest > after) {
            account.forget(Some(&room_id));
            if account.unread(self, Some(&room_id)).await?.in_room > 0 {
                self.missed_in(account, &room_id, (after, upto), &mut found)
                    .await?;
            }
        }
        let is_new = |room: &RoomMembership| room.position > after && room.position <= upto;
        for room in invited.into_iter().filter(is_new) {
            found.extend(self.invite(account, &room).await?);
        }
        found.sort_by_key(|it| it.event.position);
        Ok(without_old(found, self.clock.now_ms()))
    }

    async fn missed_in(
        &self,
        account: &Account,
        room_id: &ruma::RoomId,
        (after, upto): (StreamPosition, StreamPosition),
        found: &mut Vec<Notifying>,
    ) -> Result<(), Trouble> {
        let mut before = upto;
        let mut read = 0;
        while read < MAX_READ {
            let page = self
                .timeline
                .events_between(room_id, after, before, Direction::Backward, PAGE)
                .await?;
            read += page.len();
            let is_last = u64::try_from(page.len()).is_ok_and(|length| length < PAGE);
            if let Some(oldest) = page.last() {
                before = oldest.position.before();
            }
            for event in page {
                found.extend(self.judge(account, &Arc::new(event)).await?);
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    async fn invite(
        &self,
        account: &Account,
        room: &RoomMembership,
    ) -> Result<Option<Notifying>, Trouble> {
        let Some(event) = self.timeline.event(&room.event_id).await? else {
            return Ok(None);
        };
        self.judge(account, &Arc::new(event)).await
    }
}

#[cfg(test)]
mod tests {
    use greenroom_model::StoredEvent;
    use ruma::{MilliSecondsSinceUnixEpoch, UInt, event_id, room_id, user_id};

    use super::*;
    use crate::Verdict;

    fn sent(position: i64, ts_ms: u64) -> Notifying {
        Notifying {
            event: Arc::new(StoredEvent {
                position: StreamPosition(position),
                event_id: event_id!("$event").to_owned(),
                room_id: room_id!("!room:localhost").to_owned(),
                event_type: "m.room.message".to_owned(),
                state_key: None,
                sender: user_id!("@bob:localhost").to_owned(),
                origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::new_saturating(ts_ms)),
                json: Arc::from(&b"{}"[..]),
                redacted_by: None,
                replaces_state: None,
                transaction: None,
            }),
            verdict: Arc::new(Verdict {
                actions: Arc::from([]),
                notifies: true,
                highlights: false,
            }),
        }
    }

    #[test]
    fn of_what_is_old_the_newest_are_left_and_all_that_is_not() {
        let now_ms = 10 * OLD_MS;
        let old = (1..=30).map(|at| sent(at, now_ms - OLD_MS - 1));
        let recent = (31..=80).map(|at| sent(at, now_ms - OLD_MS));
        let left = without_old(old.chain(recent).collect(), now_ms);
        let positions: Vec<i64> = left.iter().map(|it| it.event.position.0).collect();
        assert_eq!(positions, (11..=80).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_old() {
        let ahead = vec![sent(1, 5_000), sent(2, u64::MAX)];
        assert_eq!(without_old(ahead, 1_000).len(), 2);
    }
}
