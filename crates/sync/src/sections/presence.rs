//! Presence of the people one shares rooms with.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, UserId, presence::PresenceState};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Newcomers;
use crate::{SyncError, service::Reading};

#[derive(Serialize)]
struct PresenceContent {
    presence: PresenceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<String>,
    currently_active: bool,
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
    pub(crate) fn presence(&self, newcomers: &Newcomers) -> Result<Vec<Box<RawValue>>, SyncError> {
        let source = &self.service.parts.presence;
        if !source.enabled() {
            return Ok(Vec::new());
        }
        let users: BTreeSet<OwnedUserId> = match self.since {
            None => {
                let neighbors = self.service.index.neighbors(&self.user);
                let mut users: BTreeSet<OwnedUserId> =
                    neighbors.iter().map(|user| user.user_id.clone()).collect();
                users.insert(self.user.user_id.clone());
                users
            }
            Some(since) => {
                let changed = self.user.presence_after(since.presence);
                changed
                    .into_iter()
                    .chain(newcomers.iter().cloned())
                    .collect()
            }
        };
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
            let event = PresenceEvent {
                event_type: "m.presence",
                sender: &user_id,
                content: PresenceContent {
                    presence: status.presence,
                    last_active_ago: status.last_active_ago_ms,
                    status_msg: status.status_msg,
                    currently_active: status.currently_active,
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
