//! Rooms the user is invited to, or has knocked on: their stripped state.

use greenroom_events::{
    invite_permission,
    stripped::{strip, stripped_keys},
};
use ruma::{RoomId, UserId};

use crate::{
    EventList, InvitedRoom, KnockedRoom, SyncError,
    index::Standing,
    service::{Inner, Reading},
};

impl Inner {
    /// Whether a user wants no invites: then none is shown to them. "Invite events for this user
    /// already in the database [...] MUST NOT be served over client synchronisation endpoints."
    ///
    /// Asked only where there is an invite to show.
    pub(crate) async fn blocks_invites(&self, user_id: &UserId) -> Result<bool, SyncError> {
        let store = &self.parts.account_data;
        let config = store
            .account_data(user_id, None, invite_permission::TYPE)
            .await?;
        Ok(config.is_some_and(|config| invite_permission::blocks_all(&config)))
    }
}

impl Reading<'_> {
    /// What somebody outside may know of a room, as of their member event.
    pub(crate) async fn stripped_state(
        &self,
        room_id: &RoomId,
        standing: &Standing,
    ) -> Result<EventList, SyncError> {
        let keys = stripped_keys(&self.user.user_id, &standing.sender);
        let state = &self.service.parts.state;
        let found = state
            .state_entries_at(room_id, standing.position, keys)
            .await?;
        let events = found.iter().map(strip).collect::<Result<_, _>>()?;
        Ok(EventList { events })
    }

    pub(super) async fn invited(
        &self,
        room_id: &RoomId,
        standing: &Standing,
    ) -> Result<InvitedRoom, SyncError> {
        Ok(InvitedRoom {
            invite_state: self.stripped_state(room_id, standing).await?,
        })
    }

    pub(super) async fn knocked(
        &self,
        room_id: &RoomId,
        standing: &Standing,
    ) -> Result<KnockedRoom, SyncError> {
        Ok(KnockedRoom {
            knock_state: self.stripped_state(room_id, standing).await?,
        })
    }
}
