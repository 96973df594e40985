//! Presence of the people one shares rooms with.

use std::collections::BTreeSet;

use greenroom_storage::Profile;
use greenroom_stream::PresenceStatus;
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
    #[serde(flatten)]
    names: Profile,
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
    pub(crate) async fn presence(
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
        self.presence_of(users).await
    }

    /// The presence of the members of a room that the user is in.
    pub(crate) async fn presence_in(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let room = self.service.index.rooms.get(room_id);
        let members = room.map(|room| room.listeners()).unwrap_or_default();
        self.presence_of(members.iter().map(|user| user.user_id.clone()))
            .await
    }

    async fn presence_of(
        &self,
        users: impl IntoIterator<Item = OwnedUserId>,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let parts = &self.service.parts;
        let filter = &self.filter.presence;
        let limit = filter.limit().map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let seen: Vec<(OwnedUserId, PresenceStatus)> = users
            .into_iter()
            .filter(|user_id| filter.allows_type("m.presence", Some(user_id)))
            .filter_map(|user_id| {
                let status = parts.presence.presence(&user_id)?;
                Some((user_id, status))
            })
            .take(limit)
            .collect();
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let user_ids: Vec<OwnedUserId> = seen.iter().map(|(user_id, _)| user_id.clone()).collect();
        let mut names = parts.profiles.names(&user_ids).await?;
        let mut events = Vec::with_capacity(seen.len());
        for (user_id, status) in seen {
            let is_online = status.presence == PresenceState::Online;
            let event = PresenceEvent {
                event_type: "m.presence",
                sender: &user_id,
                content: PresenceContent {
                    presence: status.presence,
                    last_active_ago: status.last_active_ago_ms,
                    status_msg: status.status_msg,
                    currently_active: is_online.then_some(status.currently_active),
                    names: names.remove(&user_id).unwrap_or_default(),
                },
            };
            events.push(to_raw_value(&event).map_err(greenroom_events::EventError::from)?);
        }
        Ok(events)
    }
}
