//! Presence of the people one shares rooms with.

use std::collections::{BTreeSet, HashMap};

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
    /// Whose presence changed since the last answer, and the number of the change up to which that
    /// is all; in an initial sync, everyone's that is known.
    ///
    /// Those `newcomers` have become visible with this answer.
    pub(crate) async fn presence(
        &self,
        newcomers: &[OwnedUserId],
    ) -> Result<(Vec<Box<RawValue>>, u64), SyncError> {
        let source = &self.service.parts.presence;
        if !source.enabled() {
            return Ok((Vec::new(), self.upto.presence));
        }
        let after = self.since.map(|since| since.presence);
        let limit = self.presence_limit();
        let mut upto = self.upto.presence;
        let changed = after
            .and_then(|after| Some((after, self.service.index.presence_after(&self.user, after)?)));
        let Some((after, changed)) = changed else {
            let neighbors = self.service.index.neighbors(&self.user);
            let neighbors = neighbors.iter().map(|user| user.user_id.clone());
            let users: BTreeSet<_> = neighbors.chain([self.user.user_id.clone()]).collect();
            let mut seen = self.statuses(users);
            seen.truncate(limit);
            return Ok((self.presence_events(seen).await?, upto));
        };
        let mut numbers: HashMap<OwnedUserId, u64> = changed.into_iter().collect();
        // Newcomers first: they have no number by which the next answer would find them. Oneself
        // is among the members of a new room, but nobody new.
        let newcomers = newcomers.iter().filter(|user| **user != self.user.user_id);
        numbers.extend(newcomers.map(|user| (user.clone(), 0)));
        let mut seen = self.statuses(numbers.keys().cloned());
        let number_of = |user_id: &UserId| numbers.get(user_id).copied().unwrap_or(0);
        seen.sort_by_key(|(user_id, _)| number_of(user_id));
        if seen.len() > limit {
            seen.truncate(limit);
            // The next answer goes on where this one ends, unless none at all are wanted.
            if let Some((last, _)) = seen.last() {
                upto = upto.min(after.max(number_of(last)));
            }
        }
        Ok((self.presence_events(seen).await?, upto))
    }

    /// The presence of the members of a room that the user is in.
    pub(crate) async fn presence_in(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let room = self.service.index.rooms.get(room_id);
        let members = room.map(|room| room.listeners()).unwrap_or_default();
        let mut seen = self.statuses(members.iter().map(|user| user.user_id.clone()));
        seen.truncate(self.presence_limit());
        self.presence_events(seen).await
    }

    /// How many the client wants at most.
    fn presence_limit(&self) -> usize {
        self.filter.presence.limit().map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        })
    }

    /// Those of the users who are known, not ignored, and whom the filter lets through.
    fn statuses(
        &self,
        users: impl IntoIterator<Item = OwnedUserId>,
    ) -> Vec<(OwnedUserId, PresenceStatus)> {
        let filter = &self.filter.presence;
        users
            .into_iter()
            .filter(|user_id| !self.ignored.contains(user_id))
            .filter(|user_id| filter.allows_type("m.presence", Some(user_id)))
            .filter_map(|user_id| {
                let status = self.service.parts.presence.presence(&user_id)?;
                Some((user_id, status))
            })
            .collect()
    }

    async fn presence_events(
        &self,
        seen: Vec<(OwnedUserId, PresenceStatus)>,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let user_ids: Vec<OwnedUserId> = seen.iter().map(|(user_id, _)| user_id.clone()).collect();
        let mut names = self.service.parts.profiles.names(&user_ids).await?;
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
