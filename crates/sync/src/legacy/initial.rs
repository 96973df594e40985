//! `GET /initialSync` and `GET /rooms/{roomId}/initialSync`: everything, as the first clients
//! began.

use std::sync::Arc;

use greenroom_events::{Format, VisibilityHistory, view::related_ids};
use greenroom_model::{PageToken, StoredEvent, StreamPosition};
use greenroom_storage::Direction;
use ruma::{
    DeviceId, OwnedRoomId, RoomId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::events::{FROM_THE_START, NO_SINCE, legacy_request};
use crate::{
    CompiledFilter, SyncError, SyncService,
    index::{Members, Standing},
    sections::{OfRooms, receipt_events},
    service::{Present, Reading},
};

/// How many events of each room one answer has at most.
const MAX_LIMIT: u64 = 100;

/// A stretch of a room's timeline, in the shape of `/messages`.
#[derive(Clone, Debug, Serialize)]
pub struct MessagesChunk {
    /// The events, oldest first.
    pub chunk: Vec<Box<RawValue>>,
    /// Where to page back from.
    pub start: String,
    /// Where to go on.
    pub end: String,
}

/// A room as the first API described it.
#[derive(Clone, Debug, Serialize)]
pub struct InitialRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// What the user is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipState>,
    /// `public` if it is in the directory, else `private`.
    pub visibility: &'static str,
    /// For an invite: the event that invites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<Box<RawValue>>,
    /// Its last events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<MessagesChunk>,
    /// Its state; for an invite, what may be known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<Box<RawValue>>>,
    /// The user's data in it.
    pub account_data: Vec<Box<RawValue>>,
    /// Who of its members is online, where one room is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Vec<Box<RawValue>>>,
    /// Who has read how far, where one room is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Vec<Box<RawValue>>>,
}

/// The answer of `/initialSync`.
#[derive(Clone, Debug, Serialize)]
pub struct InitialSync {
    /// Where to go on with `/events`.
    pub end: String,
    /// Who is online.
    pub presence: Vec<Box<RawValue>>,
    /// All rooms.
    pub rooms: Vec<InitialRoom>,
    /// The user's global data.
    pub account_data: Vec<Box<RawValue>>,
    /// Who has read how far, in all rooms.
    pub receipts: Vec<Box<RawValue>>,
}

impl SyncService {
    /// Everything: all rooms with their state and last events; with `archived`, also those that
    /// the user has left.
    ///
    /// # Errors
    ///
    /// [`SyncError::Storage`].
    pub async fn initial_sync(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
        limit: Option<u64>,
        archived: bool,
    ) -> Result<InitialSync, SyncError> {
        let request = legacy_request(user_id, device_id);
        // In memory first, so that their own presence is part of the answer.
        self.inner.index.user(user_id).await?;
        let _present = Present::begin(&self.inner, &request);
        let reading = self.reading(&request, user_id).await?;
        let limit = limit.unwrap_or(16).min(MAX_LIMIT);
        let mut standings = Vec::new();
        reading.user.each_room(|room_id, standing| {
            // Joined rooms and invites: the first API knows nothing of knocks.
            let wanted = match standing.membership {
                MembershipState::Knock => false,
                MembershipState::Invite => !reading.ignored.contains(&standing.sender),
                _ => true,
            };
            if wanted {
                standings.push((room_id.clone(), standing.clone()));
            }
        });
        let is_invite = |standing: &Standing| standing.membership == MembershipState::Invite;
        if standings.iter().any(|(_, standing)| is_invite(standing))
            && self.inner.blocks_invites(user_id).await?
        {
            standings.retain(|(_, standing)| !is_invite(standing));
        }
        standings.sort_by_key(|(_, standing)| standing.position);
        let changes = reading.account_data_changes().await?;
        let (global, mut of_rooms) = Reading::split_account_data(changes);
        let mut rooms = Vec::with_capacity(standings.len());
        let mut receipts = Vec::new();
        for (room_id, standing) in standings {
            let mut room = match standing.membership {
                MembershipState::Join => {
                    let upto = reading.upto.position;
                    receipts.extend(self.receipts_of(&reading, &room_id, upto).await?);
                    let history = reading.full_history(&room_id).await?;
                    self.initial_room(&reading, &room_id, &history, upto, limit)
                        .await?
                }
                _ => self.invited_to(&reading, &room_id, &standing).await?,
            };
            room.membership = Some(standing.membership);
            room.account_data = of_rooms.remove(&room_id).unwrap_or_default();
            rooms.push(room);
        }
        if archived {
            rooms.extend(self.archived(&reading, &mut of_rooms, limit).await?);
        }
        Ok(InitialSync {
            end: self.inner.parts.tokens.sync(user_id, reading.upto),
            presence: reading.presence(&[]).await?.0,
            rooms,
            account_data: global,
            receipts,
        })
    }

    /// One room, for who is or was in it, and for anyone if it is world-readable.
    ///
    /// # Errors
    ///
    /// [`SyncError::NotInRoom`].
    pub async fn room_initial_sync(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
        room_id: &RoomId,
        limit: Option<u64>,
    ) -> Result<InitialRoom, SyncError> {
        let request = legacy_request(user_id, device_id);
        let reading = self.reading(&request, user_id).await?;
        let now = reading.upto.position;
        let mut history = reading.full_history(room_id).await?;
        let members = &self.inner.parts.members;
        let standing = members.membership(room_id, user_id).await?;
        if standing.as_ref().is_some_and(|standing| standing.forgotten) {
            history = history.from_outside();
        }
        let upto = match (&standing, history.departed_by(now)) {
            (Some(standing), _) if standing.membership == MembershipState::Join => now,
            // They are leaving at this moment.
            _ if history.membership_at(now) == &MembershipState::Join => now,
            _ if history.visibility_at(now) == &HistoryVisibility::WorldReadable => now,
            // Whatever became of them since: what they may know ends where they were last joined.
            (Some(standing), Some(departed)) if !standing.forgotten => departed,
            _ => return Err(SyncError::NotInRoom),
        };
        let limit = limit.unwrap_or(16).min(MAX_LIMIT);
        let mut room = self
            .initial_room(&reading, room_id, &history, upto, limit)
            .await?;
        room.membership = standing.map(|standing| standing.membership);
        let changes = reading.account_data_changes().await?;
        let (_, mut of_rooms) = Reading::split_account_data(changes);
        room.account_data = of_rooms.remove(room_id).unwrap_or_default();
        room.receipts = Some(self.receipts_of(&reading, room_id, upto).await?);
        room.presence = Some(match room.membership {
            Some(MembershipState::Join) => reading.presence_in(room_id).await?,
            // Presence is for those who share a room.
            _ => Vec::new(),
        });
        Ok(room)
    }

    async fn reading<'a>(
        &'a self,
        request: &'a crate::SyncRequest,
        user_id: &UserId,
    ) -> Result<Reading<'a>, SyncError> {
        let user = self.inner.index.user(user_id).await?;
        let upto = self.inner.now_for(&user).await;
        Ok(Reading {
            service: &self.inner,
            user,
            request,
            filter: Arc::new(CompiledFilter::default()),
            since: None,
            upto,
            format: Format::LEGACY,
            introduced: Members::default(),
            ignored: self.inner.parts.ignored.ignored_by(user_id).await?,
        })
    }

    async fn receipts_of(
        &self,
        reading: &Reading<'_>,
        room_id: &RoomId,
        upto: StreamPosition,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let receipts = reading
            .receipts(room_id, NO_SINCE, FROM_THE_START, upto)
            .await?;
        receipt_events(receipts, Some(room_id))
    }

    /// A room with its last events before `upto`, and its state there.
    async fn initial_room(
        &self,
        reading: &Reading<'_>,
        room_id: &RoomId,
        history: &VisibilityHistory,
        upto: StreamPosition,
        limit: u64,
    ) -> Result<InitialRoom, SyncError> {
        let parts = &self.inner.parts;
        let mut events = parts
            .timeline
            .events_between(room_id, FROM_THE_START, upto, Direction::Backward, limit)
            .await?;
        events.reverse();
        let start = events.first().map_or(upto, |first| first.position.before());
        events.retain(|event| history.allows(event) && !reading.ignored.hides(event));
        let state = parts.state.state_at(room_id, upto, None).await?;
        let user_id = &reading.user.user_id;
        let page = |position| parts.tokens.page(user_id, room_id, PageToken { position });
        Ok(InitialRoom {
            room_id: room_id.to_owned(),
            membership: None,
            invite: None,
            visibility: self.visibility(room_id).await?,
            messages: Some(MessagesChunk {
                chunk: self.render_initial(reading, &events, history).await?,
                start: page(start),
                end: page(upto),
            }),
            state: Some(self.render_initial(reading, &state, history).await?),
            account_data: Vec::new(),
            presence: None,
            receipts: None,
        })
    }

    async fn render_initial(
        &self,
        reading: &Reading<'_>,
        events: &[StoredEvent],
        history: &VisibilityHistory,
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
        let viewer = reading.viewer(history, None);
        Ok(events
            .iter()
            .map(|event| viewer.view(event, &related))
            .collect::<Result<_, _>>()?)
    }

    /// Rooms that the user was in and has left, as they were then.
    async fn archived(
        &self,
        reading: &Reading<'_>,
        account_data: &mut OfRooms,
        limit: u64,
    ) -> Result<Vec<InitialRoom>, SyncError> {
        let user_id = &reading.user.user_id;
        let members = &self.inner.parts.members;
        let left = members
            .left_rooms(user_id, FROM_THE_START, reading.upto.position)
            .await?;
        let mut rooms = Vec::new();
        for row in left {
            let history = reading.full_history(&row.room_id).await?;
            let Some(departed) = history.departed_by(row.position) else {
                continue;
            };
            let mut room = self
                .initial_room(reading, &row.room_id, &history, departed, limit)
                .await?;
            room.membership = Some(row.membership);
            room.account_data = account_data.remove(&row.room_id).unwrap_or_default();
            rooms.push(room);
        }
        Ok(rooms)
    }

    /// A room that the user is invited to.
    async fn invited_to(
        &self,
        reading: &Reading<'_>,
        room_id: &RoomId,
        standing: &Standing,
    ) -> Result<InitialRoom, SyncError> {
        Ok(InitialRoom {
            room_id: room_id.to_owned(),
            membership: None,
            invite: self.invite(reading, room_id, standing).await?,
            visibility: self.visibility(room_id).await?,
            messages: None,
            state: Some(reading.stripped_state(room_id, standing).await?.events),
            account_data: Vec::new(),
            presence: None,
            receipts: None,
        })
    }

    async fn invite(
        &self,
        reading: &Reading<'_>,
        room_id: &RoomId,
        standing: &Standing,
    ) -> Result<Option<Box<RawValue>>, SyncError> {
        let user_id = &reading.user.user_id;
        let key = ("m.room.member".to_owned(), user_id.to_string());
        let state = &self.inner.parts.state;
        let found = state
            .state_entries_at(room_id, standing.position, vec![key])
            .await?;
        let history = VisibilityHistory::new(user_id, &[], &found);
        let rendered = self.render_initial(reading, &found, &history).await?;
        Ok(rendered.into_iter().next())
    }

    async fn visibility(&self, room_id: &RoomId) -> Result<&'static str, SyncError> {
        let published = self.inner.parts.directory.published(room_id).await?;
        Ok(if published == Some(true) {
            "public"
        } else {
            "private"
        })
    }
}
