//! Presence of the people one shares rooms with.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, RoomId, UserId, presence::PresenceState};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{SyncError, service::Reading};

#[derive(Serialize)]
struct PresenceContent {
    presence: PresenceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<String>,
    /// Only of who is online.
    #[serde(skip_serializing_if = "Option::is_none")]
    currently_active: Option<bool>,
}

#[derive(Serialize)]
struct PresenceEvent<'a> {
    #[serde(rename = "type")]
    event_type: &'static str,
    sender: &'a UserId,
    content: PresenceContent,
}

impl Reading<'_> {
    /// Whose presence changed since the last answer; in an initial sync, everyone's that is known.
    ///
    /// Those `newcomers` have become visible with this answer.
    pub(crate) fn presence(
        &self,
        newcomers: &[OwnedUserId],
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let source = &self.service.parts.presence;
        if !source.enabled() {
            return Ok(Vec::new());
        }
        let changed = self
            .since
            .and_then(|since| self.user.presence_after(since.presence));
        let users: BTreeSet<OwnedUserId> = if let Some(changed) = changed {
            // Oneself is among the members of a new room, but nobody new.
            let newcomers = newcomers.iter().filter(|user| **user != self.user.user_id);
            changed.into_iter().chain(newcomers.cloned()).collect()
        } else {
            let neighbors = self.user.neighbors();
            let neighbors = neighbors.iter().map(|user| user.user_id.clone());
            neighbors.chain([self.user.user_id.clone()]).collect()
        };
        self.presence_of(users)
    }

    /// The presence of the members of a room that the user is in.
    pub(crate) fn presence_in(&self, room_id: &RoomId) -> Result<Vec<Box<RawValue>>, SyncError> {
        let room = self.service.index.rooms.get(room_id);
        let members = room.map(|room| room.listeners()).unwrap_or_default();
        self.presence_of(members.iter().map(|user| user.user_id.clone()))
    }

    fn presence_of(
        &self,
        users: impl IntoIterator<Item = OwnedUserId>,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let source = &self.service.parts.presence;
        let mut events = Vec::new();
        for user_id in users {
            if !self
                .filter
                .presence
                .allows_type("m.presence", Some(&user_id))
            {
                continue;
            }
            let Some(status) = source.presence(&user_id) else {
                continue;
            };
            let is_online = status.presence == PresenceState::Online;
            let event = PresenceEvent {
                event_type: "m.presence",
                sender: &user_id,
                content: PresenceContent {
                    presence: status.presence,
                    last_active_ago: status.last_active_ago_ms,
                    status_msg: status.status_msg,
                    currently_active: is_online.then_some(status.currently_active),
                },
            };
            let event = to_raw_value(&event).map_err(greenroom_events::EventError::from)?;
            events.push(event);
        }
        if let Some(limit) = self.filter.presence.limit() {
            events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(events)
    }
}
