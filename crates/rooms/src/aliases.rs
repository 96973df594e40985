//! Room aliases and the published directory: who may change them.

use greenroom_events::{EventError, Pdu, RoomVersion};
use greenroom_storage::{PublicRoomsPage, PublicRoomsQuery, StorageError};
use ruma::{
    CanonicalJsonValue, OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};

use crate::{NewEvent, RoomError, Rooms, power::Power, send::CANONICAL_ALIAS};

impl Rooms {
    fn require_local(&self, alias: &RoomAliasId) -> Result<(), RoomError> {
        if self.is_local(alias.server_name()) {
            return Ok(());
        }
        Err(RoomError::NotLocal(alias.to_string()))
    }

    /// Whether a user is joined and may send state of a type.
    async fn may_send_state(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        event_type: &str,
    ) -> Result<bool, RoomError> {
        if self.membership(room_id, user_id).await? != Some(MembershipState::Join) {
            return Ok(false);
        }
        let version = self.parts().rooms.room_version(room_id).await?;
        let Some(version) = version.and_then(|id| RoomVersion::new(&id)) else {
            return Ok(false);
        };
        let keys = ["m.room.create", "m.room.power_levels"]
            .map(|event_type| (event_type.to_owned(), String::new()));
        let mut create = None;
        let mut levels = None;
        for event in self
            .parts()
            .rooms
            .current_state(room_id, keys.to_vec())
            .await?
        {
            let pdu = Pdu::from_stored(&event, &version)?;
            match pdu.type_name.as_str() {
                "m.room.create" => create = Some(pdu),
                _ => levels = Some(pdu),
            }
        }
        let Some(create) = create else {
            return Ok(false);
        };
        Power::new(&version, &create, levels.as_ref())
            .allows_state(user_id, event_type)
            .map_err(RoomError::Forbidden)
    }

    /// Points a new alias at a room that the requester is in.
    ///
    /// # Errors
    ///
    /// [`RoomError::AliasTaken`], [`RoomError::NotLocal`], [`RoomError::NotInRoom`].
    pub async fn create_alias(
        &self,
        alias: &RoomAliasId,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), RoomError> {
        self.require_local(alias)?;
        if alias.alias().is_empty() {
            return Err(RoomError::InvalidParam("the alias has no name"));
        }
        self.require_joined(room_id, user_id).await?;
        match self
            .parts()
            .directory
            .create_alias(alias, room_id, user_id)
            .await
        {
            Err(StorageError::Conflict) => Err(RoomError::AliasTaken(alias.to_owned())),
            other => Ok(other?),
        }
    }

    /// The room that an alias points to.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchAlias`], or [`RoomError::NotLocal`] for an alias of another server.
    pub async fn room_of_alias(&self, alias: &RoomAliasId) -> Result<OwnedRoomId, RoomError> {
        self.require_local(alias)?;
        let found = self.parts().directory.alias(alias).await?;
        found
            .map(|(room_id, _)| room_id)
            .ok_or(RoomError::NoSuchAlias)
    }

    /// Removes an alias: its maker may, and whoever may set the room's canonical alias. The room no
    /// longer advertises it then, if the remover may say so.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchAlias`], [`RoomError::NotLocal`], [`RoomError::Forbidden`].
    pub async fn delete_alias(
        &self,
        alias: &RoomAliasId,
        user_id: &UserId,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        self.require_local(alias)?;
        let found = self.parts().directory.alias(alias).await?;
        let (room_id, maker) = found.ok_or(RoomError::NoSuchAlias)?;
        let may = is_admin
            || maker == user_id
            || self
                .may_send_state(&room_id, user_id, CANONICAL_ALIAS)
                .await?;
        if !may {
            return Err(RoomError::Forbidden(
                "you may not delete this alias".to_owned(),
            ));
        }
        if !self.parts().directory.delete_alias(alias).await? {
            return Err(RoomError::NoSuchAlias);
        }
        match self.retract_alias(&room_id, alias, user_id).await {
            // "Delete the alias and return a successful response even if the user does not have
            // permission to update the `m.room.canonical_alias` event."
            Ok(()) | Err(RoomError::Forbidden(_) | RoomError::NotInRoom) => {}
            Err(error) => {
                tracing::warn!(room.id = %room_id, %error, "the room still shows an alias that is gone");
            }
        }
        Ok(())
    }

    /// Takes an alias out of the room's `m.room.canonical_alias`, if it is there.
    async fn retract_alias(
        &self,
        room_id: &RoomId,
        alias: &RoomAliasId,
        user_id: &UserId,
    ) -> Result<(), RoomError> {
        let before = self.current_content(room_id, CANONICAL_ALIAS).await?;
        let is_it = |value: &CanonicalJsonValue| matches!(value, CanonicalJsonValue::String(text) if text == alias.as_str());
        let mut content = before.clone();
        if content.get("alias").is_some_and(is_it) {
            content.remove("alias");
        }
        if let Some(CanonicalJsonValue::Array(others)) = content.get_mut("alt_aliases") {
            others.retain(|other| !is_it(other));
        }
        if content == before {
            return Ok(());
        }
        let content = serde_json::to_vec(&content).map_err(EventError::from)?;
        let event = NewEvent {
            sender: user_id.to_owned(),
            event_type: CANONICAL_ALIAS.to_owned(),
            state_key: Some(String::new()),
            content: &content,
            redacts: None,
            origin_server_ts: None,
            by_admin: false,
        };
        self.send(room_id, event, None).await.map(|_| ())
    }

    /// The room's aliases on this server, for its members and, if it is world-readable, for all.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`].
    pub async fn aliases(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
        if self.membership(room_id, user_id).await? != Some(MembershipState::Join)
            && self.current_visibility(room_id).await? != Some(HistoryVisibility::WorldReadable)
        {
            return Err(RoomError::NotInRoom);
        }
        Ok(self.parts().directory.aliases(room_id).await?)
    }

    /// Publishes a room in the directory, or takes it out: for those who may set its canonical
    /// alias.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`], [`RoomError::Forbidden`].
    pub async fn publish(
        &self,
        room_id: &RoomId,
        published: bool,
        user_id: &UserId,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        if self.parts().directory.published(room_id).await?.is_none() {
            return Err(RoomError::NoSuchRoom);
        }
        if !is_admin
            && !self
                .may_send_state(room_id, user_id, CANONICAL_ALIAS)
                .await?
        {
            return Err(RoomError::Forbidden(
                "you may not change whether this room is published".to_owned(),
            ));
        }
        self.parts().directory.publish(room_id, published).await?;
        Ok(())
    }

    /// Whether a room is in the directory.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`].
    pub async fn is_published(&self, room_id: &RoomId) -> Result<bool, RoomError> {
        self.parts()
            .directory
            .published(room_id)
            .await?
            .ok_or(RoomError::NoSuchRoom)
    }

    /// A page of the directory.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`].
    pub async fn public_rooms(
        &self,
        query: PublicRoomsQuery,
    ) -> Result<PublicRoomsPage, RoomError> {
        Ok(self.parts().directory.public_rooms(query).await?)
    }
}
