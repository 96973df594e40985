//! Joining, leaving, inviting, kicking, banning, knocking, forgetting.

mod decide;
mod restricted;
#[cfg(test)]
mod tests;

use greenroom_events::invite_permission;
use ruma::{
    OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomOrAliasId, UserId,
    events::room::member::MembershipState,
};

pub(crate) use self::decide::decide;
use crate::{
    RoomError, Rooms, TransactionUse,
    wish::{Act, MemberAction, MemberWish, Wish},
};

/// A room, named by its ID or by an alias.
#[derive(Clone, Debug)]
pub enum JoinTarget {
    /// By ID.
    Room(OwnedRoomId),
    /// By alias.
    Alias(OwnedRoomAliasId),
}

impl From<&RoomOrAliasId> for JoinTarget {
    fn from(id: &RoomOrAliasId) -> Self {
        match id.to_owned().try_into() {
            Ok(room_id) => Self::Room(room_id),
            Err(alias) => Self::Alias(alias),
        }
    }
}

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Who invites.
    pub sender: OwnedUserId,
    /// Whom.
    pub target: OwnedUserId,
    /// Whether the room is meant as a direct chat.
    pub is_direct: bool,
    /// Why.
    pub asked: Asked,
}

/// What members do about others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moderation {
    /// Remove somebody, who may come back; or revoke an invite.
    Kick,
    /// Remove somebody for good, whether or not they are there.
    Ban,
    /// Lift a ban.
    Unban,
}

/// What goes with a request to change a membership.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Why, in words.
    pub reason: Option<String>,
    /// What makes a retry the same act, if the client gave a transaction ID.
    pub transaction: Option<TransactionUse>,
}

impl Rooms {
    pub(crate) async fn member_wish(
        &self,
        sender: &UserId,
        target: &UserId,
        action: MemberAction,
        reason: Option<String>,
    ) -> Result<MemberWish, RoomError> {
        let shows_profile = matches!(
            action,
            MemberAction::Join { .. }
                | MemberAction::Invite { .. }
                | MemberAction::Knock
                | MemberAction::Refresh
        );
        let profile = if shows_profile {
            self.parts().profiles.profile(target).await?
        } else {
            None
        }
        .unwrap_or_default();
        let field = |key: &str| {
            profile
                .get(key)
                .and_then(|value| value.as_str())
                .map(str::to_owned)
        };
        Ok(MemberWish {
            sender: sender.to_owned(),
            target: target.to_owned(),
            action,
            reason,
            display_name: field("displayname"),
            avatar_url: field("avatar_url"),
        })
    }

    async fn change_membership(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        action: MemberAction,
        asked: Asked,
    ) -> Result<OwnedEventId, RoomError> {
        let Asked {
            reason,
            transaction,
        } = asked;
        let member = self.member_wish(sender, target, action, reason).await?;
        let act = Act::Member(member);
        self.propose(room_id, Wish { act, transaction }).await
    }

    /// Whether this is the retry of something that was done. It may not be possible a second time:
    /// who was kicked is no longer there.
    async fn done_before(&self, asked: &Asked) -> Result<bool, RoomError> {
        let Some(transaction) = &asked.transaction else {
            return Ok(false);
        };
        let made = self.parts().rooms.event_of_transaction(transaction.key);
        Ok(made.await?.is_some())
    }

    /// The room that an ID or alias names.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchAlias`], or [`RoomError::NotLocal`] for an alias of another server.
    pub async fn resolve(&self, target: &JoinTarget) -> Result<OwnedRoomId, RoomError> {
        match target {
            JoinTarget::Room(room_id) => Ok(room_id.clone()),
            JoinTarget::Alias(alias) => self.room_of_alias(alias).await,
        }
    }

    /// Joins a room. Joining twice changes nothing.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`], or [`RoomError::Forbidden`] if the room does not let them in.
    pub async fn join(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        asked: Asked,
    ) -> Result<(), RoomError> {
        if self.done_before(&asked).await? {
            return Ok(());
        }
        let action = MemberAction::Join {
            authorized_by: None,
        };
        match self
            .change_membership(room_id, user_id, user_id, action, asked.clone())
            .await
        {
            Ok(_) => return self.settle_in(room_id, user_id).await,
            Err(RoomError::Forbidden(_)) => {}
            Err(other) => return Err(other),
        }
        if self.membership(room_id, user_id).await? == Some(MembershipState::Ban) {
            return Err(RoomError::Forbidden(
                "you are banned from this room".to_owned(),
            ));
        }
        // The rule may let them in by another room they are in, if a member here vouches.
        let authorized_by = self.voucher(room_id, user_id).await?;
        let Some(authorized_by) = authorized_by else {
            return Err(RoomError::Forbidden(
                "you are not invited to this room".to_owned(),
            ));
        };
        let action = MemberAction::Join {
            authorized_by: Some(authorized_by),
        };
        self.change_membership(room_id, user_id, user_id, action, asked)
            .await?;
        self.settle_in(room_id, user_id).await
    }

    /// Leaves a room, rejects an invite, or withdraws a knock. Leaving twice changes nothing.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] if they never were, [`RoomError::Forbidden`] if they are banned.
    pub async fn leave(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        asked: Asked,
    ) -> Result<(), RoomError> {
        if self.done_before(&asked).await? {
            return Ok(());
        }
        self.change_membership(room_id, user_id, user_id, MemberAction::Leave, asked)
            .await
            .map(|_| ())
            .map_err(hide_room)
    }

    /// Invites a local user.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchUser`], [`RoomError::NotLocal`], [`RoomError::InviteBlocked`],
    /// [`RoomError::NotInRoom`], or [`RoomError::Forbidden`] if the room does not allow it.
    pub async fn invite(&self, room_id: &RoomId, invite: Invite) -> Result<(), RoomError> {
        if self.done_before(&invite.asked).await? {
            return Ok(());
        }
        self.require_joined(room_id, &invite.sender).await?;
        self.require_invitable(&invite.target).await?;
        let action = MemberAction::Invite {
            is_direct: invite.is_direct,
        };
        self.change_membership(
            room_id,
            &invite.sender,
            &invite.target,
            action,
            invite.asked,
        )
        .await
        .map(|_| ())
        .map_err(hide_room)
    }

    /// Removes somebody from a room (or revokes their invite), bans them, or lifts a ban.
    ///
    /// # Errors
    ///
    /// [`RoomError::NotInRoom`] for who is not in it, [`RoomError::Forbidden`] if the room does not
    /// allow it or there is nobody to kick, [`RoomError::BadState`] if there is no ban to lift.
    pub async fn moderate(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        act: Moderation,
        asked: Asked,
    ) -> Result<(), RoomError> {
        if self.done_before(&asked).await? {
            return Ok(());
        }
        self.require_joined(room_id, sender).await?;
        let action = match act {
            Moderation::Kick => MemberAction::Kick,
            Moderation::Ban => MemberAction::Ban,
            Moderation::Unban => MemberAction::Unban,
        };
        self.change_membership(room_id, sender, target, action, asked)
            .await
            .map(|_| ())
    }

    /// Asks to be let into a room.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`], or [`RoomError::Forbidden`] if the room takes no knocks.
    pub async fn knock(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        asked: Asked,
    ) -> Result<(), RoomError> {
        self.change_membership(room_id, user_id, user_id, MemberAction::Knock, asked)
            .await
            .map(|_| ())
    }

    /// Forgets a room that the user has left.
    ///
    /// # Errors
    ///
    /// [`RoomError::StillInRoom`] if they have not.
    pub async fn forget(&self, room_id: &RoomId, user_id: &UserId) -> Result<(), RoomError> {
        if self.parts().members.forget(room_id, user_id).await? {
            return Ok(());
        }
        match self.membership(room_id, user_id).await? {
            Some(_) => Err(RoomError::StillInRoom),
            None => Err(RoomError::NotInRoom),
        }
    }

    /// Leaves every room, and rejects every invite: for an account that is deactivated. Rooms that
    /// cannot be left are logged and passed over.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`] if the list of rooms cannot be read.
    pub async fn leave_all(&self, user_id: &UserId) -> Result<(), RoomError> {
        let inside = [
            MembershipState::Join,
            MembershipState::Invite,
            MembershipState::Knock,
        ];
        for room in self.parts().members.rooms_of(user_id, &inside).await? {
            if let Err(error) = self.leave(&room.room_id, user_id, Asked::default()).await {
                tracing::warn!(room.id = %room.room_id, %error, "a deactivated user stays in a room");
            }
        }
        Ok(())
    }

    /// Carries the user's profile into their member event, if they are joined and it differs.
    ///
    /// # Errors
    ///
    /// [`RoomError::Storage`], or [`RoomError::Busy`]: try again later.
    pub async fn refresh_member(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), RoomError> {
        let asked = Asked::default();
        match self
            .change_membership(room_id, user_id, user_id, MemberAction::Refresh, asked)
            .await
        {
            // A room whose rules changed under a member keeps the name it knows.
            Ok(_) | Err(RoomError::NotInRoom | RoomError::NoSuchRoom | RoomError::Forbidden(_)) => {
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// Refuses to invite whom nobody could ever be, and who wants no invites.
    pub(crate) async fn require_invitable(&self, user_id: &UserId) -> Result<(), RoomError> {
        self.require_user(user_id).await?;
        let account_data = &self.parts().account_data;
        let config = account_data
            .account_data(user_id, None, invite_permission::TYPE)
            .await?;
        if config.is_some_and(|config| invite_permission::blocks_all(&config)) {
            return Err(RoomError::InviteBlocked(user_id.to_owned()));
        }
        Ok(())
    }

    async fn require_user(&self, user_id: &UserId) -> Result<(), RoomError> {
        if !self.is_local(user_id.server_name()) {
            return Err(RoomError::NotLocal(user_id.to_string()));
        }
        match self.parts().accounts.account(user_id).await? {
            Some(account) if !account.deactivated => Ok(()),
            _ => Err(RoomError::NoSuchUser(user_id.to_owned())),
        }
    }
}

/// Whether there is such a room is nobody's business who is not in it.
fn hide_room(error: RoomError) -> RoomError {
    match error {
        RoomError::NoSuchRoom => RoomError::NotInRoom,
        other => other,
    }
}
