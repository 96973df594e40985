//! `GET /events`: a stream of events, as the first clients followed it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use greenroom_events::{Format, VisibilityHistory, view::related_ids};
use greenroom_model::{StoredEvent, StreamPosition, SyncToken};
use greenroom_stream::SyncPresence;
use ruma::{
    DeviceId, OwnedRoomId, RoomId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    CompiledFilter, SyncError, SyncRequest, SyncService,
    hub::Cue,
    index::{Members, User},
    sections::{data_event, receipt_events, typing_event},
    service::{Present, Reading},
};

/// How many events one answer has at most.
const MAX_EVENTS: u64 = 100;

/// The answer of `/events`.
#[derive(Clone, Debug, Serialize)]
pub struct EventsAnswer {
    /// Where the chunk begins.
    pub start: String,
    /// Where to go on.
    pub end: String,
    /// The events.
    pub chunk: Vec<Box<RawValue>>,
}

impl SyncService {
    /// Events after `from` in the user's rooms, or in one room they may read: waits for some.
    /// Without `from` (or with `END`) it begins now.
    ///
    /// # Errors
    ///
    /// [`SyncError::UnknownToken`], [`SyncError::NotInRoom`].
    pub async fn events(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
        from: Option<&str>,
        room_id: Option<&RoomId>,
        timeout: Duration,
    ) -> Result<EventsAnswer, SyncError> {
        let service = &*self.inner;
        let user = service.index.user(user_id).await?;
        let request = legacy_request(user_id, device_id);
        let _present = Present::begin(service, &request);
        let since = match from {
            None | Some("END") => service.now(&user),
            Some(token) => service.since(user_id, token)?,
        };
        let _peek = match room_id {
            Some(room_id) => {
                self.may_peek(&user, room_id).await?;
                Some(service.index.peek(room_id, &user))
            }
            None => None,
        };
        let until = Instant::now() + timeout.min(service.parts.settings.max_timeout);
        loop {
            let seen = user.cue();
            let reading = Reading {
                service,
                user: Arc::clone(&user),
                request: &request,
                filter: Arc::new(CompiledFilter::default()),
                since: Some(since),
                upto: service.now_for(&user).await,
                format: Format::LEGACY,
                introduced: Members::default(),
                ignored: service.parts.ignored.ignored_by(user_id).await?,
            };
            let (chunk, upto) = self.chunk(&reading, since, room_id).boxed().await?;
            let left = until.saturating_duration_since(Instant::now());
            let tokens = &service.parts.tokens;
            // An answer that ends early goes on at once, even if the user may see nothing of it.
            let over = left.is_zero() || !chunk.is_empty() || upto != reading.upto;
            let answer = |chunk, upto| EventsAnswer {
                start: tokens.sync(user_id, since),
                end: tokens.sync(user_id, upto),
                chunk,
            };
            if user.is_forgotten() {
                return Ok(answer(Vec::new(), since));
            }
            if over {
                return Ok(answer(chunk, upto));
            }
            let user = Arc::clone(&user);
            if service
                .hub
                .park(user, device_id.to_owned(), seen, left)
                .await
                == Cue::Answer
            {
                return Ok(answer(Vec::new(), upto));
            }
        }
    }

    /// Lets in who is joined, and anyone where the room is world-readable now.
    async fn may_peek(&self, user: &User, room_id: &RoomId) -> Result<(), SyncError> {
        let mut joined = false;
        user.each_room(|known, standing| {
            joined |= known == room_id && standing.membership == MembershipState::Join;
        });
        if joined || self.is_world_readable(room_id).await? {
            return Ok(());
        }
        Err(SyncError::NotInRoom)
    }

    async fn is_world_readable(&self, room_id: &RoomId) -> Result<bool, SyncError> {
        let key = ("m.room.history_visibility".to_owned(), String::new());
        let state = &self.inner.parts.state;
        let now = self.inner.parts.stream.position();
        let found = state.state_entries_at(room_id, now, vec![key]).await?;
        let reader = ruma::user_id!("@nobody:localhost");
        let history = VisibilityHistory::new(reader, &found, &[]);
        Ok(history.visibility_at(now) == &HistoryVisibility::WorldReadable)
    }

    /// The rooms that the user has left since, with the member events that say so.
    async fn left_since(
        &self,
        reading: &Reading<'_>,
        since: StreamPosition,
    ) -> Result<Vec<(OwnedRoomId, StreamPosition)>, SyncError> {
        let user = &reading.user;
        if user.newest_membership() <= since {
            return Ok(Vec::new());
        }
        let members = &self.inner.parts.members;
        let left = members
            .left_rooms(&user.user_id, since, reading.upto.position)
            .await?;
        let left = left.into_iter().map(|room| (room.room_id, room.position));
        Ok(left.collect())
    }

    /// What came after `since`, oldest first, and how far that reaches.
    async fn chunk(
        &self,
        reading: &Reading<'_>,
        since: SyncToken,
        room_id: Option<&RoomId>,
    ) -> Result<(Vec<Box<RawValue>>, SyncToken), SyncError> {
        let mut upto = reading.upto;
        let mut changed: Vec<OwnedRoomId> = Vec::new();
        // Of rooms the user is not in: the member event that says so.
        let mut outside: HashMap<OwnedRoomId, StreamPosition> = HashMap::new();
        let mut invited: Vec<OwnedRoomId> = Vec::new();
        let mut typed: Vec<OwnedRoomId> = Vec::new();
        match room_id {
            Some(room_id) => changed.push(room_id.to_owned()),
            None => reading.user.each_room(|room_id, standing| {
                if let Some(room) = &standing.room {
                    if room.newest_event() > since.position
                        || room.newest_receipt() > since.position
                    {
                        changed.push(room_id.clone());
                    }
                    typed.push(room_id.clone());
                } else if standing.position > since.position
                    && !(standing.membership == MembershipState::Invite
                        && reading.ignored.contains(&standing.sender))
                {
                    if standing.membership == MembershipState::Invite {
                        invited.push(room_id.clone());
                    }
                    outside.insert(room_id.clone(), standing.position);
                }
            }),
        }
        if !invited.is_empty() && self.inner.blocks_invites(&reading.user.user_id).await? {
            outside.retain(|room_id, _| !invited.contains(room_id));
        }
        if room_id.is_none() {
            outside.extend(self.left_since(reading, since.position).await?);
        }
        changed.extend(outside.keys().cloned());
        let timeline = &self.inner.parts.timeline;
        let events = timeline
            .events_in_rooms(&changed, since.position, upto.position, MAX_EVENTS)
            .await?;
        if events.len() as u64 == MAX_EVENTS
            && let Some(last) = events.last()
        {
            // There is more: this answer ends here, and the rest comes with the next.
            upto = SyncToken {
                position: last.position,
                ..since
            };
        }
        let mut chunk = self.render_legacy(reading, &events, &outside).await?;
        chunk.extend(
            self.data(reading, since.position, upto.position, room_id)
                .await?,
        );
        if let Some(room_id) = room_id {
            typed.push(room_id.to_owned());
        }
        for room_id in &changed {
            // Outside a room nobody is told who has read what.
            if !typed.contains(room_id) {
                continue;
            }
            let read = reading
                .receipts(room_id, NO_SINCE, since.position, upto.position)
                .await?;
            chunk.extend(receipt_events(read, Some(room_id))?);
        }
        if upto.typing > since.typing || reading.typing_is_stale() {
            for room_id in typed {
                if let Some(typing) = reading.new_typing(&room_id) {
                    upto.typers |= !typing.user_ids.is_empty();
                    chunk.push(typing_event(typing.user_ids, Some(&room_id))?);
                }
            }
        }
        if upto.presence > since.presence && room_id.is_none() {
            let (presence, presence_upto) = reading.presence(&[]).await?;
            chunk.extend(presence);
            upto.presence = presence_upto;
        }
        Ok((chunk, upto))
    }

    /// What changed of the user's own data, everywhere or in one room.
    async fn data(
        &self,
        reading: &Reading<'_>,
        after: StreamPosition,
        upto: StreamPosition,
        room_id: Option<&RoomId>,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let user = &reading.user;
        if user.newest_account_data() <= after {
            return Ok(Vec::new());
        }
        let store = &self.inner.parts.account_data;
        let changes = store
            .account_data_changes(&user.user_id, after, upto)
            .await?;
        changes
            .iter()
            .filter(|entry| room_id.is_none_or(|room_id| entry.room_id.as_deref() == Some(room_id)))
            .map(|entry| data_event(entry, entry.room_id.as_deref()))
            .collect()
    }

    /// Events of several rooms in the shape of the first API, those the user may see.
    async fn render_legacy(
        &self,
        reading: &Reading<'_>,
        events: &[StoredEvent],
        outside: &HashMap<OwnedRoomId, StreamPosition>,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let related = self
            .inner
            .parts
            .timeline
            .events(related_ids(events))
            .await?;
        let related = related
            .into_iter()
            .map(|event| (event.event_id.clone(), event))
            .collect();
        let mut histories = HashMap::new();
        let mut rendered = Vec::with_capacity(events.len());
        for event in events {
            if !histories.contains_key(&event.room_id) {
                let mut history = reading.full_history(&event.room_id).await?;
                if let Some(position) = outside.get(&event.room_id) {
                    history = history.and_event_at(*position);
                }
                histories.insert(event.room_id.clone(), history);
            }
            let Some(history) = histories.get(&event.room_id) else {
                continue;
            };
            if history.allows(event) && !reading.ignored.hides(event) {
                rendered.push(reading.viewer(history, None).view(event, &related)?);
            }
        }
        Ok(rendered)
    }
}

/// What a sync of the same user would ask for, where a reading needs to know.
pub(super) fn legacy_request(user_id: &UserId, device_id: &DeviceId) -> SyncRequest {
    SyncRequest {
        user_id: user_id.to_owned(),
        device_id: device_id.to_owned(),
        since: None,
        filter: None,
        full_state: false,
        use_state_after: false,
        set_presence: SyncPresence::Online,
        timeout: Duration::ZERO,
        r0: true,
    }
}

/// Of nobody it is known here since when they are joined.
pub(super) const NO_SINCE: StreamPosition = StreamPosition(i64::MAX);
/// Where a stream begins that has no token yet.
pub(super) const FROM_THE_START: StreamPosition = StreamPosition::START;
