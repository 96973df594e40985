//! Joining, leaving, inviting, kicking, banning, knocking, forgetting.

use greenroom_events::{Draft, Pdu, RoomVersion};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomAliasId, OwnedRoomId,
    OwnedUserId, RoomId, RoomOrAliasId, UserId, events::room::member::MembershipState,
    state_res::events::RoomPowerLevelsIntField,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    RoomError, Rooms,
    actor::membership_of,
    power::Power,
    wish::{Act, MemberAction, MemberWish, Wish},
};

/// How many members are asked whether they may vouch for a restricted join.
const VOUCHERS: u64 = 100;

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
    /// Why, in words.
    pub reason: Option<String>,
    /// Whether the room is meant as a direct chat.
    pub is_direct: bool,
}

fn text(value: &str) -> CanonicalJsonValue {
    CanonicalJsonValue::String(value.to_owned())
}

/// What a wish about a membership comes to: a member event, or the event that has done it already.
pub(crate) fn decide(
    wish: &MemberWish,
    current: Option<&Pdu>,
) -> Result<Result<Draft, OwnedEventId>, RoomError> {
    let standing = current.and_then(membership_of);
    let done = |pdu: Option<&Pdu>| pdu.map(|pdu| Err(pdu.event_id.clone()));
    let membership = match (&wish.action, standing) {
        // Joining twice changes nothing; nor do a retried leave and knock.
        (MemberAction::Join { .. }, Some(MembershipState::Join))
        | (MemberAction::Leave, Some(MembershipState::Leave))
        | (MemberAction::Knock, Some(MembershipState::Knock)) => {
            return done(current).ok_or(RoomError::NotInRoom);
        }
        (MemberAction::Leave, None) => return Err(RoomError::NotInRoom),
        (MemberAction::Kick, None | Some(MembershipState::Leave | MembershipState::Ban)) => {
            return Err(RoomError::Forbidden(format!(
                "{} is not in this room",
                wish.target
            )));
        }
        (MemberAction::Unban, standing) if standing != Some(MembershipState::Ban) => {
            return Err(RoomError::BadState("the user is not banned from this room"));
        }
        (MemberAction::Refresh, standing) if standing != Some(MembershipState::Join) => {
            return done(current).ok_or(RoomError::NotInRoom);
        }
        (MemberAction::Join { .. } | MemberAction::Refresh, _) => MembershipState::Join,
        (MemberAction::Leave | MemberAction::Kick | MemberAction::Unban, _) => {
            MembershipState::Leave
        }
        (MemberAction::Invite { .. }, _) => MembershipState::Invite,
        (MemberAction::Ban, _) => MembershipState::Ban,
        (MemberAction::Knock, _) => MembershipState::Knock,
    };
    let content = match wish.action {
        MemberAction::Refresh => match refreshed(wish, current) {
            Some(content) => content,
            None => return done(current).ok_or(RoomError::NotInRoom),
        },
        _ => content(wish, &membership),
    };
    Ok(Ok(Draft {
        sender: wish.sender.clone(),
        event_type: "m.room.member".to_owned(),
        state_key: Some(wish.target.to_string()),
        content,
        redacts: None,
        origin_server_ts_override: None,
    }))
}

fn content(wish: &MemberWish, membership: &MembershipState) -> CanonicalJsonObject {
    let mut content = CanonicalJsonObject::new();
    content.insert("membership".to_owned(), text(membership.as_str()));
    if let Some(reason) = &wish.reason {
        content.insert("reason".to_owned(), text(reason));
    }
    set_profile(&mut content, wish);
    match &wish.action {
        MemberAction::Join {
            authorized_by: Some(user_id),
        } => {
            content.insert(
                "join_authorised_via_users_server".to_owned(),
                text(user_id.as_str()),
            );
        }
        MemberAction::Invite { is_direct: true } => {
            content.insert("is_direct".to_owned(), CanonicalJsonValue::Bool(true));
        }
        _ => {}
    }
    content
}

fn set_profile(content: &mut CanonicalJsonObject, wish: &MemberWish) {
    for (key, value) in [
        ("displayname", &wish.display_name),
        ("avatar_url", &wish.avatar_url),
    ] {
        match value {
            Some(value) => content.insert(key.to_owned(), text(value)),
            None => content.remove(key),
        };
    }
}

/// The member event's content with the profile as it is now; `None` if it says so already.
fn refreshed(wish: &MemberWish, current: Option<&Pdu>) -> Option<CanonicalJsonObject> {
    let before: CanonicalJsonObject =
        greenroom_events::json::parse_object(current?.content.get().as_bytes()).ok()?;
    let mut content = before.clone();
    set_profile(&mut content, wish);
    if content == before {
        return None;
    }
    // These belong to the join itself: a change of name is not another one, and is not vouched for.
    content.remove("reason");
    content.remove("join_authorised_via_users_server");
    Some(content)
}

/// A room's join rule, as far as a restricted join needs it.
#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
    #[serde(default)]
    allow: serde_json::Value,
}

impl JoinRules {
    /// The rooms whose members are let in. What is no proper condition lets nobody in.
    fn allowed_rooms(&self) -> Vec<OwnedRoomId> {
        let conditions = self.allow.as_array().into_iter().flatten();
        conditions
            .filter(|condition| {
                condition
                    .get("type")
                    .is_some_and(|it| it == "m.room_membership")
            })
            .filter_map(|condition| condition.get("room_id")?.as_str()?.try_into().ok())
            .collect()
    }
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
        reason: Option<String>,
    ) -> Result<OwnedEventId, RoomError> {
        let member = self.member_wish(sender, target, action, reason).await?;
        self.propose(
            room_id,
            Wish {
                act: Act::Member(member),
                transaction: None,
            },
        )
        .await
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
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        let action = MemberAction::Join {
            authorized_by: None,
        };
        let refused = match self
            .change_membership(room_id, user_id, user_id, action, reason.clone())
            .await
        {
            Ok(_) => return Ok(()),
            Err(RoomError::Forbidden(refused)) => refused,
            Err(other) => return Err(other),
        };
        // The rule may let them in by another room they are in, if a member here vouches.
        let authorized_by = self.voucher(room_id, user_id).await?;
        let Some(authorized_by) = authorized_by else {
            return Err(RoomError::Forbidden(refused));
        };
        let action = MemberAction::Join {
            authorized_by: Some(authorized_by),
        };
        self.change_membership(room_id, user_id, user_id, action, reason)
            .await
            .map(|_| ())
    }

    /// A member who may invite, if the room's rule allows this user in by a room that they share.
    ///
    /// See [restricted rooms](https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms).
    pub(crate) async fn voucher(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<OwnedUserId>, RoomError> {
        let Some(version) = self.parts().rooms.room_version(room_id).await? else {
            return Err(RoomError::NoSuchRoom);
        };
        let Some(version) = RoomVersion::new(&version) else {
            return Ok(None);
        };
        if !version.rules.authorization.restricted_join_rule {
            return Ok(None);
        }
        let keys = ["m.room.create", "m.room.power_levels", "m.room.join_rules"]
            .map(|event_type| (event_type.to_owned(), String::new()));
        let stored = self
            .parts()
            .rooms
            .current_state(room_id, keys.to_vec())
            .await?;
        let mut state = Vec::with_capacity(stored.len());
        for event in &stored {
            state.push(Pdu::from_stored(event, &version)?);
        }
        let held = |event_type: &str| state.iter().find(|pdu| pdu.type_name == event_type);
        let (Some(create), Some(rules)) = (held("m.room.create"), held("m.room.join_rules")) else {
            return Ok(None);
        };
        let Ok(rules) = serde_json::from_str::<JoinRules>(rules.content.get()) else {
            return Ok(None);
        };
        let restricted = rules.join_rule == "restricted"
            || (rules.join_rule == "knock_restricted"
                && version.rules.authorization.knock_restricted_join_rule);
        if !restricted {
            return Ok(None);
        }
        let allowed = rules.allowed_rooms();
        if !self.parts().rooms.joined_any(user_id, &allowed).await? {
            return Ok(None);
        }
        let power = Power::new(&version, create, held("m.room.power_levels"));
        let mut candidates = powerful(&power, held("m.room.power_levels"));
        candidates.extend(
            self.parts()
                .rooms
                .local_joined_members(room_id, &self.server_name(), VOUCHERS)
                .await?,
        );
        for candidate in candidates {
            if self.is_local(candidate.server_name())
                && power
                    .allows(&candidate, RoomPowerLevelsIntField::Invite)
                    .unwrap_or(false)
                && self.membership(room_id, &candidate).await? == Some(MembershipState::Join)
            {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
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
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        self.change_membership(room_id, user_id, user_id, MemberAction::Leave, reason)
            .await
            .map(|_| ())
            .map_err(hide_room)
    }

    /// Invites a local user.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchUser`], [`RoomError::NotLocal`], [`RoomError::NotInRoom`], or
    /// [`RoomError::Forbidden`] if the room does not allow it.
    pub async fn invite(&self, room_id: &RoomId, invite: Invite) -> Result<(), RoomError> {
        self.require_joined(room_id, &invite.sender).await?;
        self.require_user(&invite.target).await?;
        let action = MemberAction::Invite {
            is_direct: invite.is_direct,
        };
        self.change_membership(
            room_id,
            &invite.sender,
            &invite.target,
            action,
            invite.reason,
        )
        .await
        .map(|_| ())
        .map_err(hide_room)
    }

    /// Removes somebody from a room, or revokes their invite.
    ///
    /// # Errors
    ///
    /// [`RoomError::Forbidden`] if they are not in it, or the room does not allow it.
    pub async fn kick(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        self.moderate(room_id, sender, target, MemberAction::Kick, reason)
            .await
    }

    /// Bans somebody from a room, whether or not they are in it.
    ///
    /// # Errors
    ///
    /// [`RoomError::Forbidden`] if the room does not allow it.
    pub async fn ban(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        self.moderate(room_id, sender, target, MemberAction::Ban, reason)
            .await
    }

    /// Lifts a ban.
    ///
    /// # Errors
    ///
    /// [`RoomError::BadState`] if there is none, [`RoomError::Forbidden`] if the room does not
    /// allow it.
    pub async fn unban(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        self.moderate(room_id, sender, target, MemberAction::Unban, reason)
            .await
    }

    async fn moderate(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        action: MemberAction,
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        self.require_joined(room_id, sender).await?;
        self.change_membership(room_id, sender, target, action, reason)
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
        reason: Option<String>,
    ) -> Result<(), RoomError> {
        self.change_membership(room_id, user_id, user_id, MemberAction::Knock, reason)
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
            if let Err(error) = self.leave(&room.room_id, user_id, None).await {
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
        match self
            .change_membership(room_id, user_id, user_id, MemberAction::Refresh, None)
            .await
        {
            // A room whose rules changed under a member keeps the name it knows.
            Ok(_) | Err(RoomError::NotInRoom | RoomError::NoSuchRoom | RoomError::Forbidden(_)) => {
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// Refuses to invite whom nobody could ever be.
    pub(crate) async fn require_user(&self, user_id: &UserId) -> Result<(), RoomError> {
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

/// Those whom the room's own state names as having power: creators and who is in its levels.
fn powerful(power: &Power<'_>, levels: Option<&Pdu>) -> Vec<OwnedUserId> {
    #[derive(Deserialize)]
    struct Levels {
        #[serde(default)]
        users: std::collections::BTreeMap<OwnedUserId, Box<RawValue>>,
    }
    let mut users: Vec<OwnedUserId> = power.creators().unwrap_or_default().into_iter().collect();
    users.sort();
    if let Some(levels) = levels
        && let Ok(levels) = serde_json::from_str::<Levels>(levels.content.get())
    {
        users.extend(levels.users.into_keys());
    }
    users
}

#[cfg(test)]
mod tests;
