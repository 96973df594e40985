//! What of a room a user may read at all.

use greenroom_events::VisibilityHistory;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{
    EventId, RoomId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};

use crate::{RoomError, Rooms};

/// A reader's way into a room.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The end of the stream when the request began: nothing later is read.
    pub(crate) now: StreamPosition,
    /// Up to where the room's state is the reader's to know: now, or when they left.
    pub(crate) state_upto: StreamPosition,
    /// What they may see of its events.
    pub(crate) history: VisibilityHistory,
}

impl Rooms {
    /// Lets a reader in: who is or was a member, and anyone if the room is world-readable now.
    pub(crate) async fn access(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Access, RoomError> {
        let now = self.parts().stream.position();
        let standing = self.parts().members.membership(room_id, user_id).await?;
        let history = self.visibility_history(room_id, user_id).await?;
        let state_upto = match standing {
            Some(standing) if standing.membership == MembershipState::Join => now,
            Some(standing) if history.has_joined() && !standing.forgotten => standing.position,
            _ if self.current_visibility(room_id).await?
                == Some(HistoryVisibility::WorldReadable) =>
            {
                now
            }
            _ => return Err(RoomError::NotInRoom),
        };
        Ok(Access {
            now,
            state_upto,
            history,
        })
    }

    /// What a user may see of a room's events.
    pub(crate) async fn visibility_history(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<VisibilityHistory, RoomError> {
        let (visibility, memberships) = self.parts().state.reader_history(room_id, user_id).await?;
        Ok(VisibilityHistory::new(user_id, &visibility, &memberships))
    }

    /// An event of a room, if the reader may see it: in the same words whether it does not exist,
    /// is in another room, or is not for them.
    pub(crate) async fn visible_event(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        event_id: &EventId,
    ) -> Result<(Access, StoredEvent), RoomError> {
        let access = self
            .access(room_id, user_id)
            .await
            .map_err(|error| match error {
                RoomError::NotInRoom => RoomError::NoSuchEvent,
                other => other,
            })?;
        let event = self.parts().timeline.event(event_id).await?;
        let event = event
            .filter(|event| event.room_id == room_id && access.history.allows(event))
            .ok_or(RoomError::NoSuchEvent)?;
        Ok((access, event))
    }
}
