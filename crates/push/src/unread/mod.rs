//! What is unread: counted when somebody asks.
//!
//! For each user who is asked about, and each of their rooms, memory keeps up to where events were
//! judged and which of them notify and are unread. An answer judges only what has come since. What
//! was judged is kept in the database now and then, so that nothing is judged from the beginning
//! again.

mod encoding;
mod tally;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use greenroom_events::{VisibilityHistory, relations::relation_of};
use greenroom_model::{MAX_HOPS, StoredEvent, StreamPosition, rel_type};
use greenroom_storage::{Direction, KeptUnread, ReadUpto};
use greenroom_stream::{RecentEvents, Unread, UnreadQuery};
use parking_lot::Mutex;
use ruma::{OwnedEventId, OwnedRoomId, RoomId, UserId, events::room::member::MembershipState};
use serde::Deserialize;

use self::tally::Tally;
use crate::{
    PushError,
    court::Court,
    service::Inner,
    user::{Rules, User},
};

/// How many events are read from the database at once.
const BATCH: u64 = 200;
/// How many events are judged before that is kept without anybody going.
const KEEP_AFTER: u64 = 500;
/// How many rows are written in one act.
const ROWS: usize = 200;
/// How long keeping everything may take when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// One room's tally, and what has come for it while it was held.
#[derive(Debug, Default)]
pub(crate) struct RoomTally {
    /// `None` until it is read.
    tally: tokio::sync::Mutex<Option<Tally>>,
    receipts: Mutex<Vec<ReadUpto>>,
}

impl RoomTally {
    /// Takes in a receipt of the user's, which counts from the next answer on.
    pub(crate) fn receipt(&self, receipt: ReadUpto) {
        self.receipts.lock().push(receipt);
    }

    fn receipts(&self) -> Vec<ReadUpto> {
        std::mem::take(&mut *self.receipts.lock())
    }
}

/// Nothing in memory.
struct NoRecentEvents;

impl RecentEvents for NoRecentEvents {
    fn between(&self, _: StreamPosition, _: StreamPosition) -> Option<Vec<Arc<StoredEvent>>> {
        None
    }
}

/// One question, on its way to its answer.
struct Folding<'a> {
    service: &'a Inner,
    rules: &'a Rules,
    asked: UnreadQuery<'a>,
    court: Option<Court>,
}

impl Inner {
    pub(crate) async fn unread_in(&self, asked: UnreadQuery<'_>) -> Result<Unread, PushError> {
        let user = self.user(asked.user_id);
        let rules = self.rules_of(&user).await?;
        let room = user.room(asked.room_id);
        let mut tally = room.tally.lock().await;
        let tally = self.brought_up(&rules, &room, &mut tally, asked).await?;
        let counts = tally.counts().clone();
        if tally.is_worth_keeping(KEEP_AFTER) {
            let kept = (asked.room_id.to_owned(), tally.kept());
            self.parts
                .unread
                .keep_unread(asked.user_id, vec![kept])
                .await?;
            tally.set_unsaved(0);
        }
        Ok(counts)
    }

    /// The positions of what is unread in a room now, in their order.
    pub(crate) async fn unread_positions(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        joined_since: StreamPosition,
    ) -> Result<Vec<StreamPosition>, PushError> {
        self.tally_now(user_id, room_id, joined_since, Tally::positions)
            .await
    }

    /// Whether the event at a position of a room notifies and is unread now.
    pub(crate) async fn is_unread(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        joined_since: StreamPosition,
        at: StreamPosition,
    ) -> Result<bool, PushError> {
        self.tally_now(user_id, room_id, joined_since, |tally| tally.has(at))
            .await
    }

    async fn tally_now<T>(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        joined_since: StreamPosition,
        read: impl FnOnce(&Tally) -> T,
    ) -> Result<T, PushError> {
        let user = self.user(user_id);
        let rules = self.rules_of(&user).await?;
        let room = user.room(room_id);
        let mut tally = room.tally.lock().await;
        let asked = UnreadQuery {
            user_id,
            room_id,
            joined_since,
            upto: self.parts.stream.position(),
            recent: &NoRecentEvents,
        };
        let tally = self.brought_up(&rules, &room, &mut tally, asked).await?;
        Ok(read(tally))
    }

    /// The tally of a room as of what is asked.
    async fn brought_up<'t>(
        &self,
        rules: &Rules,
        room: &RoomTally,
        tally: &'t mut Option<Tally>,
        asked: UnreadQuery<'_>,
    ) -> Result<&'t mut Tally, PushError> {
        let tally = if let Some(tally) = tally {
            tally
        } else {
            let store = &self.parts.unread;
            let reading = store.reading(asked.user_id, asked.room_id).await?;
            tally.insert(Tally::new(reading))
        };
        for receipt in room.receipts() {
            tally.read(&receipt);
        }
        if tally.judged_upto() < asked.joined_since {
            // They may have been away, or have only changed their name.
            let joined = self.joined_since(asked).await?;
            if joined > tally.judged_upto() {
                tally.begin(joined);
            }
        }
        if tally.judged_upto() < asked.upto {
            let folding = Folding {
                service: self,
                rules,
                asked,
                court: None,
            };
            folding.fold(tally).await?;
        }
        Ok(tally)
    }

    async fn joined_since(&self, asked: UnreadQuery<'_>) -> Result<StreamPosition, PushError> {
        let (visibility, memberships) = self
            .parts
            .state
            .reader_history(asked.room_id, asked.user_id)
            .await?;
        let history = VisibilityHistory::new(asked.user_id, &visibility, &memberships);
        Ok(history
            .joined_since(asked.upto)
            .unwrap_or(asked.joined_since))
    }

    /// The root of the thread an event is in; `None` for the main timeline.
    pub(crate) async fn thread_root(
        &self,
        event: &StoredEvent,
    ) -> Result<Option<OwnedEventId>, PushError> {
        let mut relation = relation_of(event);
        for _ in 0..MAX_HOPS {
            let Some(related) = relation else {
                return Ok(None);
            };
            if related.rel_type == rel_type::THREAD {
                return Ok(Some(related.target));
            }
            let parent = self.parts.timeline.event(&related.target).await?;
            let parent = parent.filter(|parent| parent.room_id == event.room_id);
            relation = parent.as_ref().and_then(relation_of);
        }
        Ok(None)
    }

    /// The position of the event that a redaction has emptied, if it has.
    async fn emptied_by(
        &self,
        redaction: &StoredEvent,
    ) -> Result<Option<StreamPosition>, PushError> {
        if let Some(known) = self.redactions.get(&redaction.position) {
            return Ok(known);
        }
        let target = match redaction_target(redaction) {
            None => None,
            Some(target) => self.parts.timeline.event(&target).await?,
        };
        let emptied = target
            .filter(|event| event.room_id == redaction.room_id && event.redacted_by.is_some())
            .map(|event| event.position);
        self.redactions.insert(redaction.position, emptied);
        Ok(emptied)
    }

    /// Judges what is pending in all of a user's rooms by these rules, up to `upto`. Gives what has
    /// to be kept together with other rules.
    pub(crate) async fn settle(
        &self,
        user: &User,
        rules: &Rules,
        upto: StreamPosition,
    ) -> Result<Vec<(OwnedRoomId, KeptUnread)>, PushError> {
        let user_id = &*user.user_id;
        let members = &self.parts.members;
        let joined = members.rooms_of(user_id, &[MembershipState::Join]).await?;
        let room_ids = joined.iter().map(|row| row.room_id.clone()).collect();
        let newest = self.parts.timeline.newest_positions(room_ids).await?;
        let newest: HashMap<_, _> = newest.into_iter().collect();
        let kept = self.parts.unread.judged_upto(user_id).await?;
        let kept: HashMap<_, _> = kept.into_iter().collect();
        let mut rows = Vec::new();
        for row in joined {
            let newest = newest
                .get(&row.room_id)
                .copied()
                .unwrap_or_default()
                .min(upto);
            let in_rows = kept.get(&row.room_id).copied().unwrap_or_default();
            if in_rows >= newest {
                continue;
            }
            let room = user.room(&row.room_id);
            let mut tally = room.tally.lock().await;
            let asked = UnreadQuery {
                user_id,
                room_id: &row.room_id,
                joined_since: row.position.min(upto),
                upto,
                recent: &NoRecentEvents,
            };
            let tally = self.brought_up(rules, &room, &mut tally, asked).await?;
            rows.push((row.room_id.clone(), tally.kept()));
            tally.set_unsaved(0);
        }
        Ok(rows)
    }

    /// Keeps what was judged for users whom nobody has asked about for so long, and forgets them.
    pub(crate) async fn drop_idle(&self, after: Duration) {
        for user in self.users() {
            if user.idle_for() >= after && self.keep(&user).await {
                self.remove_idle(&user, after);
            }
        }
    }

    /// Keeps what was judged, for as long as there is time.
    pub(crate) async fn keep_all(&self) {
        let all = async {
            for user in self.users() {
                self.keep(&user).await;
            }
        };
        if tokio::time::timeout(STOP_PATIENCE, all).await.is_err() {
            tracing::info!("not all unread counts were kept; they will be counted again");
        }
    }

    /// Keeps what was judged for one user. False if that failed.
    async fn keep(&self, user: &User) -> bool {
        let mut rows = Vec::new();
        let mut taken = Vec::new();
        for (room_id, room) in user.rooms() {
            let mut tally = room.tally.lock().await;
            if let Some(tally) = tally.as_mut().filter(|tally| tally.unsaved() > 0) {
                rows.push((room_id, tally.kept()));
                taken.push((Arc::clone(&room), tally.unsaved()));
                tally.set_unsaved(0);
            }
        }
        while !rows.is_empty() {
            let some = rows.split_off(rows.len().saturating_sub(ROWS));
            if let Err(error) = self.parts.unread.keep_unread(&user.user_id, some).await {
                tracing::warn!(%error, "unread counts were not kept");
                for (room, unsaved) in taken {
                    if let Some(tally) = room.tally.lock().await.as_mut() {
                        tally.set_unsaved(tally.unsaved() + unsaved);
                    }
                }
                return false;
            }
        }
        true
    }
}

impl Folding<'_> {
    /// Judges what has come. Each event is taken in whole or not at all, so that a question that
    /// is given up loses nothing.
    async fn fold(mut self, tally: &mut Tally) -> Result<(), PushError> {
        let (room_id, upto) = (self.asked.room_id, self.asked.upto);
        let mut after = tally.unknown_after();
        if after < upto {
            if let Some(recent) = self.asked.recent.between(after, upto) {
                for event in recent {
                    self.take(tally, &event).await?;
                }
            } else {
                loop {
                    let timeline = &self.service.parts.timeline;
                    let events = timeline
                        .events_between(room_id, after, upto, Direction::Forward, BATCH)
                        .await?;
                    let is_last = (events.len() as u64) < BATCH;
                    for event in events {
                        after = event.position;
                        self.take(tally, &Arc::new(event)).await?;
                    }
                    if is_last {
                        break;
                    }
                }
            }
        }
        tally.judged(upto);
        Ok(())
    }

    async fn take(&mut self, tally: &mut Tally, event: &Arc<StoredEvent>) -> Result<(), PushError> {
        let at = event.position;
        let own = event.sender == self.asked.user_id;
        // What the server writes in their name when that changes is nothing that they have sent.
        if own && event.event_type != "m.room.member" && !tally.is_empty() {
            let thread = self.service.thread_root(event).await?;
            tally.sent(at, thread.as_deref());
        }
        if event.event_type == "m.room.redaction"
            && !tally.is_empty()
            && let Some(target) = self.service.emptied_by(event).await?
        {
            tally.redacted(target, at);
        }
        if !own && event.redacted_by.is_none() && !self.is_ignored(&event.sender).await? {
            let judge = self.rules.at(at);
            if self.court.is_none() {
                let court = self
                    .service
                    .court(self.asked.user_id, judge, &event.room_id);
                self.court = Some(court.await?);
            }
            let verdict = match &self.court {
                Some(court) => self.service.judge(judge, court, event).await?,
                None => None,
            };
            if let Some(verdict) = verdict.filter(|verdict| verdict.notifies) {
                let thread = self.service.thread_root(event).await?;
                tally.add(at, thread, verdict.highlights);
            }
            tally.count_judged();
        }
        tally.judged(at);
        Ok(())
    }

    async fn is_ignored(&self, sender: &UserId) -> Result<bool, PushError> {
        let ignored = &self.service.parts.ignored;
        Ok(ignored
            .ignored_by(self.asked.user_id)
            .await?
            .contains(sender))
    }
}

/// The event that a redaction names.
fn redaction_target(event: &StoredEvent) -> Option<OwnedEventId> {
    #[derive(Deserialize)]
    struct Content {
        redacts: Option<OwnedEventId>,
    }
    #[derive(Deserialize)]
    struct Pdu {
        redacts: Option<OwnedEventId>,
        content: Content,
    }
    let pdu: Pdu = serde_json::from_slice(&event.json).ok()?;
    pdu.content.redacts.or(pdu.redacts)
}
