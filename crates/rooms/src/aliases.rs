//! Room aliases and the published directory: who may change them.

use greenroom_events::{Pdu, RoomVersion};
use greenroom_storage::{PublicRoomsPage, PublicRoomsQuery, StorageError};
use ruma::{
    OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};

use crate::{RoomError, Rooms, power::Power};

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

    /// Removes an alias: its maker may, and whoever may set the room's canonical alias.
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
                .may_send_state(&room_id, user_id, "m.room.canonical_alias")
                .await?;
        if !may {
            return Err(RoomError::Forbidden(
                "you may not delete this alias".to_owned(),
            ));
        }
        if self.parts().directory.delete_alias(alias).await? {
            return Ok(());
        }
        Err(RoomError::NoSuchAlias)
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
                .may_send_state(room_id, user_id, "m.room.canonical_alias")
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
