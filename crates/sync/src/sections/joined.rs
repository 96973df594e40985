//! A joined room with something new in it.

use std::sync::Arc;

use greenroom_events::VisibilityHistory;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_stream::{Unread, UnreadQuery};
use ruma::{OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use serde_json::value::RawValue;

use super::{
    Told, listed,
    state::{Known, Wanted},
    timeline::Timeline,
};
use crate::{
    EventList, JoinedRoom, Summary, SyncError,
    index::{Room, TailEvent},
    service::Reading,
};

impl Reading<'_> {
    /// Reads a joined room; `None` if there turns out to be nothing new.
    pub(super) async fn joined(
        &self,
        room: &Room,
        joined_since: StreamPosition,
        account_data: Vec<Box<RawValue>>,
        told: &mut Told,
    ) -> Result<Option<JoinedRoom>, SyncError> {
        let room_id = &room.room_id;
        let upto = self.upto.position;
        let since = self.after();
        let history = self.history(room, joined_since).await?;
        // A room that was joined since the last answer is new to the client as a whole, unless
        // they only changed their name in it, which the join's own event then shows: memory may
        // only know the member event of a changed name.
        let is_new = self.since.is_none()
            || joined_since > since && !history.was_joined_throughout(since, upto);
        // Who left and came back between two answers has the timeline up to the first of them.
        let goes_on = history.membership_at(since) == &MembershipState::Join;
        let after = match is_new && !goes_on {
            true => StreamPosition::START,
            false => since,
        };
        let mut timeline = self
            .timeline(room_id, Some(room), after, upto, &history)
            .await?;
        // A client that was told of the leaving has kept older events, and what follows them here
        // does not follow them in the room.
        timeline.limited |= is_new && !goes_on && history.has_joined_by(since);
        let summary = match self.summary_is_due(room_id, is_new, &timeline) {
            true => Some(self.summary(room).await?),
            false => None,
        };
        let heroes: &[OwnedUserId] = summary
            .as_ref()
            .and_then(|summary| summary.heroes.as_deref())
            .unwrap_or_default();
        let known = match is_new || self.request.full_state {
            true if self.since.is_some() && history.has_joined_by(since) => Known::Members(since),
            true => Known::Nothing,
            false => Known::Upto(after),
        };
        let wanted = Wanted {
            room_id,
            room: Some(room),
            known,
            upto,
            heroes,
            joined_since: Some(joined_since),
        };
        let state = self.state(&wanted, &timeline, told).await?;
        if is_new {
            told.newcomers
                .extend(room.listeners().iter().map(|user| user.user_id.clone()));
        } else {
            let events = timeline.events.iter().chain(&state);
            told.newcomers
                .extend(events.filter_map(|tail| joiner(&tail.event)));
        }
        let account_data = match is_new && self.since.is_some() {
            true => self.all_data_of_room(room_id).await?,
            false => account_data,
        };
        let ephemeral = self.ephemeral(room, joined_since, is_new, told).await?;
        let unread = self.unread(room, joined_since).await?;
        let nothing = timeline.events.is_empty()
            && unread.changed <= since
            && !timeline.limited
            && state.is_empty()
            && ephemeral.is_empty()
            && account_data.is_empty();
        if nothing && !is_new && !self.request.full_state {
            return Ok(None);
        }
        let state = self.state_list(&state, &history).await?;
        let mut joined = JoinedRoom {
            summary,
            timeline: self.batch(room_id, &timeline, &history).await?,
            ephemeral: listed(ephemeral),
            account_data: listed(account_data),
            ..JoinedRoom::default()
        };
        joined.say_unread(unread, self.filter.thread_counts);
        match self.request.use_state_after {
            true => joined.state_after = Some(state),
            // Empty or not: matrix-nio reads it without looking.
            false => joined.state = Some(state),
        }
        if self.request.r0 {
            joined.ephemeral.get_or_insert_default();
            joined.account_data.get_or_insert_default();
        }
        Ok(Some(joined))
    }

    /// What is unread in a room.
    pub(crate) async fn unread(
        &self,
        room: &Room,
        joined_since: StreamPosition,
    ) -> Result<Unread, SyncError> {
        let asked = UnreadQuery {
            user_id: &self.user.user_id,
            room_id: &room.room_id,
            joined_since,
            upto: self.upto.position,
            recent: room,
        };
        Ok(self.service.parts.unread.unread(asked).await?)
    }

    /// State events as the client gets them.
    pub(super) async fn state_list(
        &self,
        state: &[Arc<TailEvent>],
        history: &VisibilityHistory,
    ) -> Result<EventList, SyncError> {
        Ok(EventList {
            events: self.render_tail(state, history).await?,
        })
    }

    /// Whether an answer must say again how to name and count a room.
    fn summary_is_due(&self, room_id: &RoomId, is_new: bool, timeline: &Timeline) -> bool {
        is_new
            || timeline.limited
            || self.request.full_state
            || self.timeline_hides(room_id)
            || timeline
                .events
                .iter()
                .any(|tail| matters_to_name(&tail.event))
    }

    /// What the user may see of a stretch of the room. For somebody who was joined all along
    /// that is everything, and nothing need be read.
    pub(crate) async fn history(
        &self,
        room: &Room,
        joined_since: StreamPosition,
    ) -> Result<Arc<VisibilityHistory>, SyncError> {
        if self.since.is_some() && joined_since <= self.after() {
            return Ok(Arc::new(VisibilityHistory::joined(&self.user.user_id)));
        }
        self.known_history(&room.room_id).await
    }

    /// What the user may see of a room, from memory if the room has not changed since somebody
    /// asked.
    pub(crate) async fn known_history(
        &self,
        room_id: &RoomId,
    ) -> Result<Arc<VisibilityHistory>, SyncError> {
        let room = self.service.index.rooms.get(room_id);
        let Some(room) = room.map(|room| Arc::clone(&room)) else {
            return Ok(Arc::new(self.full_history(room_id).await?));
        };
        let edition = room.edition();
        if let Some(history) = self.user.facts.history(room_id, edition) {
            return Ok(history);
        }
        let history = Arc::new(self.full_history(room_id).await?);
        if room.edition() == edition {
            self.user
                .facts
                .keep_history(room_id, edition, Arc::clone(&history));
        }
        Ok(history)
    }

    /// All that a room's state has said about what the user may see.
    pub(crate) async fn full_history(
        &self,
        room_id: &RoomId,
    ) -> Result<VisibilityHistory, SyncError> {
        let state = &self.service.parts.state;
        let (visibility, memberships) = state.reader_history(room_id, &self.user.user_id).await?;
        Ok(VisibilityHistory::new(
            &self.user.user_id,
            &visibility,
            &memberships,
        ))
    }

    /// How to name and count a room at the end of the reading.
    pub(crate) async fn summary(&self, room: &Room) -> Result<Summary, SyncError> {
        let upto = self.upto.position;
        let edition = room.edition_at(upto);
        let known = edition.and_then(|edition| self.user.facts.summary(&room.room_id, edition));
        if let Some(summary) = known {
            return Ok(summary);
        }
        let members = &self.service.parts.members;
        let found = members
            .room_summary(&room.room_id, &self.user.user_id, upto)
            .await?;
        let summary = Summary {
            heroes: found.heroes,
            joined_member_count: found.counts.joined,
            invited_member_count: found.counts.invited,
        };
        if let Some(edition) = edition.filter(|edition| room.edition() == *edition) {
            self.user
                .facts
                .keep_summary(&room.room_id, edition, summary.clone());
        }
        Ok(summary)
    }
}

impl JoinedRoom {
    /// Says what is unread, threads apart if they are asked for.
    fn say_unread(&mut self, unread: Unread, threads_apart: bool) {
        if !threads_apart {
            self.unread_notifications = unread.room.into();
            return;
        }
        self.unread_notifications = unread.main.into();
        if !unread.threads.is_empty() {
            let threads = unread.threads.into_iter();
            let threads = threads.map(|(root, count)| (root, count.into()));
            self.unread_thread_notifications = Some(threads.collect());
        }
    }
}

/// Whether an event may change how a room is named or counted.
fn matters_to_name(event: &StoredEvent) -> bool {
    let types = ["m.room.member", "m.room.name", "m.room.canonical_alias"];
    event.state_key.is_some() && types.contains(&&*event.event_type)
}

/// Who has joined with this event, or was joined and has changed their name.
fn joiner(event: &StoredEvent) -> Option<OwnedUserId> {
    #[derive(serde::Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    #[derive(serde::Deserialize)]
    struct Event {
        content: Content,
    }
    if event.event_type != "m.room.member" {
        return None;
    }
    let user_id = UserId::parse(event.state_key.as_deref()?).ok()?;
    let event: Event = serde_json::from_slice(&event.json).ok()?;
    (event.content.membership == MembershipState::Join).then_some(user_id)
}
