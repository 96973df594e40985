//! What of a room a user may read at all.

use greenroom_events::VisibilityHistory;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_stream::IgnoredUsers;
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
    /// Whether they see only what is open to all.
    pub(crate) from_outside: bool,
    /// What they may see of its events.
    pub(crate) history: VisibilityHistory,
    /// Of whom they want to see nothing but state.
    pub(crate) ignored: IgnoredUsers,
}

impl Access {
    /// Whether the reader is to be shown an event: they may see it, and do not ignore who sent it.
    pub(crate) fn allows(&self, event: &StoredEvent) -> bool {
        self.history.allows(event) && !self.ignored.hides(event)
    }

    /// Whether they are to be shown all that they may see.
    pub(crate) fn ignores_nobody(&self) -> bool {
        self.ignored.is_empty()
    }
}

impl Rooms {
    /// Lets a reader in: who is or was a member, and anyone if the room is world-readable now.
    pub(crate) async fn access(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Access, RoomError> {
        let access = self.possible_access(room_id, user_id).await?;
        if access.from_outside
            && self.current_visibility(room_id).await? != Some(HistoryVisibility::WorldReadable)
        {
            return Err(RoomError::NotInRoom);
        }
        Ok(access)
    }

    /// The way in that a reader has, which is one from outside if they were never joined or have
    /// forgotten the room.
    pub(crate) async fn possible_access(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Access, RoomError> {
        let now = self.parts().stream.position();
        let standing = self.parts().members.membership(room_id, user_id).await?;
        let history = self.visibility_history(room_id, user_id).await?;
        let inside = match (&standing, history.departed_by(now)) {
            (Some(standing), _) if standing.membership == MembershipState::Join => Some(now),
            // They are leaving at this moment.
            _ if history.membership_at(now) == &MembershipState::Join => Some(now),
            (Some(standing), _) if standing.forgotten => None,
            // Whatever became of them since: what they may know ends where they were last joined.
            (_, departed) => departed,
        };
        Ok(Access {
            now,
            state_upto: inside.unwrap_or(now),
            from_outside: inside.is_none(),
            history: match inside {
                Some(_) => history,
                None => history.from_outside(),
            },
            ignored: self.parts().ignored.ignored_by(user_id).await?,
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
    /// is in another room, is not for them, or is by somebody whom they ignore.
    ///
    /// "All events while [`world_readable`] is the `m.room.history_visibility` value may be shared
    /// [...] with any authenticated user", also when the room has another one now.
    ///
    /// [`world_readable`]: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
    pub(crate) async fn visible_event(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        event_id: &EventId,
    ) -> Result<(Access, StoredEvent), RoomError> {
        let (access, event) = self.readable_event(room_id, user_id, event_id).await?;
        if access.ignored.hides(&event) {
            return Err(RoomError::NoSuchEvent);
        }
        Ok((access, event))
    }

    /// [`Self::visible_event`], whoever sent it.
    pub(crate) async fn readable_event(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        event_id: &EventId,
    ) -> Result<(Access, StoredEvent), RoomError> {
        let event = self
            .parts()
            .timeline
            .event(event_id)
            .await?
            .filter(|event| event.room_id == room_id)
            .ok_or(RoomError::NoSuchEvent)?;
        let access = self.possible_access(room_id, user_id).await?;
        if access.history.allows(&event) {
            return Ok((access, event));
        }
        Err(RoomError::NoSuchEvent)
    }
}
