//! Reading a room's state and members.

use greenroom_events::{ClientEvent, Format};
use greenroom_model::StoredEvent;
use greenroom_storage::Member;
use ruma::{OwnedRoomId, RoomId, UserId, events::room::member::MembershipState};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{EventView, Reader, RoomError, Rooms};

/// Which members of a room are wanted.
#[derive(Clone, Debug, Default)]
pub struct MembersQuery {
    /// As of this token; now if not said.
    pub at: Option<String>,
    /// Those with this membership.
    pub membership: Option<MembershipState>,
    /// Those without this membership. Where both are named, one of them is enough.
    pub not_membership: Option<MembershipState>,
}

impl Rooms {
    /// A room's whole state, as of now or of when the reader left.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`].
    pub async fn state(
        &self,
        room_id: &RoomId,
        reader: &Reader,
    ) -> Result<Vec<EventView>, RoomError> {
        let access = self.access(room_id, &reader.user_id).await?;
        let state = self
            .parts()
            .state
            .state_at(room_id, access.state_upto, None)
            .await?;
        self.render(reader, &access, &state, Format::CLIENT).await
    }

    /// The event in one place of a room's state, whole.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`], [`RoomError::NoSuchState`] if the place is empty.
    pub async fn state_event(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        event_type: &str,
        state_key: &str,
    ) -> Result<EventView, RoomError> {
        let access = self.access(room_id, &reader.user_id).await?;
        let key = (event_type.to_owned(), state_key.to_owned());
        let state = self
            .parts()
            .state
            .state_entries_at(room_id, access.state_upto, vec![key])
            .await?;
        let mut views = self.render(reader, &access, &state, Format::CLIENT).await?;
        views.pop().ok_or(RoomError::NoSuchState)
    }

    /// The content of the event in one place of a room's state.
    ///
    /// # Errors
    ///
    /// As [`Self::state_event`].
    pub async fn state_content(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        event_type: &str,
        state_key: &str,
    ) -> Result<Box<RawValue>, RoomError> {
        let access = self.access(room_id, user_id).await?;
        let key = (event_type.to_owned(), state_key.to_owned());
        let state = self
            .parts()
            .state
            .state_entries_at(room_id, access.state_upto, vec![key])
            .await?;
        let event = state.first().ok_or(RoomError::NoSuchState)?;
        Ok(ClientEvent::new(event)?.content().to_owned())
    }

    /// The member events of a room.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`], [`RoomError::InvalidParam`] for an unknown token.
    pub async fn member_events(
        &self,
        room_id: &RoomId,
        reader: &Reader,
        query: MembersQuery,
    ) -> Result<Vec<EventView>, RoomError> {
        let access = self.access(room_id, &reader.user_id).await?;
        let at = match &query.at {
            Some(token) => self
                .boundary(room_id, reader, token, &access)?
                .min(access.state_upto),
            None => access.state_upto,
        };
        let types = vec!["m.room.member".to_owned()];
        let mut members = self
            .parts()
            .state
            .state_at(room_id, at, Some(types))
            .await?;
        members.retain(|event| {
            let membership = membership(event);
            let is = |wanted: &MembershipState| membership.as_ref() == Some(wanted);
            match (&query.membership, &query.not_membership) {
                (None, None) => true,
                (Some(wanted), None) => is(wanted),
                (None, Some(not)) => !is(not),
                // "The two parameters create an 'or' condition."
                (Some(wanted), Some(not)) => is(wanted) || !is(not),
            }
        });
        self.render(reader, &access, &members, Format::CLIENT).await
    }

    /// Everyone who is joined, with the names in their member events.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] if the reader is not joined.
    pub async fn joined_members(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Vec<Member>, RoomError> {
        self.require_joined(room_id, user_id).await?;
        Ok(self
            .parts()
            .members
            .members(room_id, MembershipState::Join, None)
            .await?)
    }

    /// The rooms that a user is joined to.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`].
    pub async fn joined_rooms(&self, user_id: &UserId) -> Result<Vec<OwnedRoomId>, RoomError> {
        let joined = self
            .parts()
            .members
            .rooms_of(user_id, &[MembershipState::Join])
            .await?;
        Ok(joined.into_iter().map(|room| room.room_id).collect())
    }
}

fn membership(event: &StoredEvent) -> Option<MembershipState> {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    #[derive(Deserialize)]
    struct Event {
        content: Content,
    }
    serde_json::from_slice::<Event>(&event.json)
        .ok()
        .map(|event| event.content.membership)
}
