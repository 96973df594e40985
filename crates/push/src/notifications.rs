//! `GET /notifications`: what one was notified of, the newest first.
//!
//! Nothing is stored for it. The user's joined rooms are read backward together, always the one
//! with the newest event, and each event is judged by the rules as they are.

mod stays;

use std::{
    collections::{BinaryHeap, HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use greenroom_events::{
    Format, Viewer, VisibilityHistory,
    relations::targets,
    view::{Related, related_ids},
};
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{Direction, RelationReader};
use greenroom_stream::IgnoredUsers;
use ruma::{DeviceId, OwnedRoomId, RoomId, UserId, events::room::member::MembershipState};
use serde::Serialize;
use serde_json::value::RawValue;

use self::stays::{Stretch, stays};
use crate::{PushError, PushService, court::Court, judge::Verdict};

/// How tokens of this list begin.
const TOKEN: &str = "n1";
/// How many notifications a page has if the client does not say.
const DEFAULT_LIMIT: u64 = 50;
/// How many it has at most.
const MAX_LIMIT: u64 = 100;
/// How many events are looked at for one page, at most. A page may so be empty and not the last.
const SCAN_BUDGET: u64 = 2_000;
/// How many events of a room are read at once.
const BATCH: u64 = 50;

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub struct NotificationsQuery {
    /// Where the last page ended.
    pub from: Option<String>,
    /// How many.
    pub limit: Option<u64>,
    /// Only those that are highlighted.
    pub only_highlights: bool,
}

/// One event that notifies.
#[derive(Debug, Serialize)]
pub struct Notification {
    /// What the rule said.
    pub actions: Box<RawValue>,
    /// The event as a client sees it.
    pub event: Box<RawValue>,
    /// Whether the user has read it.
    pub read: bool,
    /// Where it was sent.
    pub room_id: OwnedRoomId,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub ts: u64,
}

/// Some of a user's notifications.
#[derive(Debug, Serialize)]
pub struct NotificationsPage {
    /// The newest first.
    pub notifications: Vec<Notification>,
    /// Where to go on; left out if there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A room that is read backward.
struct Cursor {
    /// Those that were read and not looked at, the newest first.
    events: VecDeque<StoredEvent>,
    history: VisibilityHistory,
    /// The stretches of the room that are still to be read, the newest last.
    stays: Vec<Stretch>,
    /// What is unread in it.
    unread: Vec<StreamPosition>,
    court: Option<Court>,
}

/// An event that notifies, before it is rendered.
struct Found {
    event: StoredEvent,
    verdict: Arc<Verdict>,
}

impl PushService {
    /// What a user was notified of in the rooms that they are in, the newest first. Events that
    /// they may not see, and those of users whom they ignore, are left out.
    ///
    /// # Errors
    ///
    /// [`PushError::UnknownToken`], [`PushError::Storage`].
    pub async fn notifications(
        &self,
        user_id: &UserId,
        device_id: Option<&DeviceId>,
        query: NotificationsQuery,
    ) -> Result<NotificationsPage, PushError> {
        let parts = &self.inner.parts;
        let now = parts.stream.position();
        let mut at = self.begin(user_id, &query, now)?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let joined = parts
            .members
            .rooms_of(user_id, &[MembershipState::Join])
            .await?;
        let since: HashMap<OwnedRoomId, StreamPosition> = joined
            .iter()
            .map(|row| (row.room_id.clone(), row.position))
            .collect();
        let room_ids = since.keys().cloned().collect();
        let newest = parts.unread.newest_events(room_ids, at).await?;
        let mut heap: BinaryHeap<(StreamPosition, OwnedRoomId)> = newest
            .into_iter()
            .map(|(room_id, position)| (position, room_id))
            .collect();
        let ignored = parts.ignored.ignored_by(user_id).await?;
        let mut cursors: HashMap<OwnedRoomId, Cursor> = HashMap::new();
        let mut found = Vec::new();
        let mut scanned = 0;
        let mut is_over = true;
        while let Some((position, room_id)) = heap.pop() {
            if found.len() as u64 >= limit || scanned >= SCAN_BUDGET {
                is_over = false;
                break;
            }
            let cursor = match cursors.entry(room_id.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let since = since.get(&room_id).copied().unwrap_or_default();
                    new.insert(self.cursor(user_id, &room_id, since).await?)
                }
            };
            self.refill(cursor, &room_id, position).await?;
            // Where it was only known that nothing is newer, another room may have something newer.
            if let Some(next) = cursor.events.front()
                && next.position < position
            {
                heap.push((next.position, room_id));
                continue;
            }
            let Some(event) = cursor.events.pop_front() else {
                continue;
            };
            scanned += 1;
            at = event.position.before();
            let more = match cursor.events.front() {
                Some(next) => next.position,
                // There may be more, which are read when it is their turn.
                None => at,
            };
            if more > StreamPosition::START {
                heap.push((more, room_id));
            }
            let verdict = self.notice(user_id, cursor, &ignored, &event).await?;
            if let Some(verdict) = verdict
                && (verdict.highlights || !query.only_highlights)
            {
                found.push(Found { event, verdict });
            }
        }
        let notifications = self
            .rendered(user_id, device_id, &cursors, &ignored, found, now)
            .await?;
        Ok(NotificationsPage {
            notifications,
            next_token: (!is_over).then(|| {
                let position = at.0.to_be_bytes();
                parts.tokens.list(TOKEN, user_id, "", &position)
            }),
        })
    }

    /// Up to where a page reaches.
    fn begin(
        &self,
        user_id: &UserId,
        query: &NotificationsQuery,
        now: StreamPosition,
    ) -> Result<StreamPosition, PushError> {
        let Some(token) = &query.from else {
            return Ok(now);
        };
        let tokens = &self.inner.parts.tokens;
        let payload = tokens.read_list(TOKEN, user_id, "", token).ok();
        let bytes = payload.and_then(|payload| payload.try_into().ok());
        let from = bytes.map(i64::from_be_bytes);
        Ok(StreamPosition(from.ok_or(PushError::UnknownToken)?).min(now))
    }

    /// Reads on in a room of which nothing is left in memory, where the user was there.
    async fn refill(
        &self,
        cursor: &mut Cursor,
        room_id: &RoomId,
        upto: StreamPosition,
    ) -> Result<(), PushError> {
        while cursor.events.is_empty()
            && let Some((after, end)) = cursor.stays.last().copied()
        {
            let upto = upto.min(end);
            if upto > after {
                let timeline = &self.inner.parts.timeline;
                let events = timeline
                    .events_between(room_id, after, upto, Direction::Backward, BATCH)
                    .await?;
                cursor.events = events.into();
            }
            if cursor.events.is_empty() {
                cursor.stays.pop();
            }
        }
        Ok(())
    }

    async fn cursor(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        joined_since: StreamPosition,
    ) -> Result<Cursor, PushError> {
        let state = &self.inner.parts.state;
        let (visibility, memberships) = state.reader_history(room_id, user_id).await?;
        let history = VisibilityHistory::new(user_id, &visibility, &memberships);
        Ok(Cursor {
            events: VecDeque::new(),
            stays: stays(&history, memberships.iter().map(|event| event.position)),
            history,
            unread: self
                .inner
                .unread_positions(user_id, room_id, joined_since)
                .await?,
            court: None,
        })
    }

    /// What the rules say of an event that the user was there for, or that invited them, if it
    /// notifies.
    async fn notice(
        &self,
        user_id: &UserId,
        cursor: &mut Cursor,
        ignored: &IgnoredUsers,
        event: &StoredEvent,
    ) -> Result<Option<Arc<Verdict>>, PushError> {
        let was_there = cursor.history.membership_at(event.position) == &MembershipState::Join
            || event.is_state("m.room.member", user_id.as_str());
        if event.sender == user_id
            || !was_there
            || !cursor.history.allows(event)
            || ignored.contains(&event.sender)
        {
            return Ok(None);
        }
        let user = self.inner.user(user_id);
        let rules = self.inner.rules_of(&user).await?;
        let judge = &rules.judge;
        if cursor.court.is_none() {
            cursor.court = Some(self.inner.court(user_id, judge, &event.room_id).await?);
        }
        let event = Arc::new(event.clone());
        let verdict = match &cursor.court {
            Some(court) => self.inner.judge(judge, court, &event).await?,
            None => None,
        };
        Ok(verdict.filter(|verdict| verdict.notifies))
    }

    async fn rendered(
        &self,
        user_id: &UserId,
        device_id: Option<&DeviceId>,
        cursors: &HashMap<OwnedRoomId, Cursor>,
        ignored: &IgnoredUsers,
        found: Vec<Found>,
        now: StreamPosition,
    ) -> Result<Vec<Notification>, PushError> {
        let parts = &self.inner.parts;
        let related = related_ids(found.iter().map(|it| &it.event));
        let mut beside = Related::new();
        if !related.is_empty() {
            let events = parts.timeline.events(related).await?;
            beside.extend(events.into_iter().map(|it| (it.event_id.clone(), it)));
        }
        let mut notifications = Vec::with_capacity(found.len());
        for Found { event, verdict } in found {
            let Some(cursor) = cursors.get(&event.room_id) else {
                continue;
            };
            let reader = RelationReader {
                user_id: user_id.to_owned(),
                ignored: ignored.users(),
                visible: cursor.history.open_stretches(now),
            };
            let bundles = parts
                .relations
                .aggregations(targets([&event]), reader)
                .await?;
            let viewer = Viewer {
                user_id,
                device_id,
                now_ms: parts.clock.now_ms(),
                history: Some(&cursor.history),
                format: Format::SYNC,
                fields: None,
                bundles: Some(&bundles),
            };
            let broken = |error: &dyn std::fmt::Display| PushError::Event(error.to_string());
            let rendered = viewer
                .view(&event, &beside)
                .map_err(|error| broken(&error))?;
            let actions = serde_json::value::to_raw_value(&*verdict.actions);
            notifications.push(Notification {
                actions: actions.map_err(|error| broken(&error))?,
                event: rendered,
                read: cursor.unread.binary_search(&event.position).is_err(),
                ts: event.origin_server_ts.get().into(),
                room_id: event.room_id,
            });
        }
        Ok(notifications)
    }
}
