//! Creating a room: a recipe of drafts, built in order on an empty head, written as one act.

mod recipe;

use greenroom_events::{Draft, EventError, RoomVersion, check::canonical_aliases, json};
use greenroom_model::TransactionKey;
use greenroom_storage::{Append, NewRoom, StorageError};
use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedUserId,
    RoomAliasId, RoomId, RoomVersionId, UserId,
};
use serde_json::value::RawValue;

use crate::{
    RoomError, Rooms,
    actor::{RoomHead, Step, next_generation},
    wish::{Act, MemberAction, MemberWish, Wish},
};

/// The most users one request may invite: each is an event in the room's first transaction.
const MAX_INVITES: usize = 100;

/// A named set of a room's first rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// By invitation.
    PrivateChat,
    /// By invitation, and the invited have the creator's power.
    TrustedPrivateChat,
    /// Open to all.
    PublicChat,
}

/// A state event of the request.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// Its type.
    pub event_type: String,
    /// Its state key.
    pub state_key: String,
    /// Its content: a JSON object.
    pub content: Box<RawValue>,
}

/// A room that somebody asks to create. See
/// [`createRoom`](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom).
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// Who.
    pub creator: OwnedUserId,
    /// The version; the server's default if none is named.
    pub version: Option<RoomVersionId>,
    /// The localpart of the alias to make.
    pub alias_localpart: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Whether it is listed in the directory.
    pub published: bool,
    /// Its first rules; by `published` if none is named.
    pub preset: Option<Preset>,
    /// Whom to invite.
    pub invite: Vec<OwnedUserId>,
    /// Whether the invites are to a direct chat.
    pub is_direct: bool,
    /// More state.
    pub initial_state: Vec<InitialState>,
    /// What to change in the first power levels: a JSON object.
    pub power_levels: Option<Box<RawValue>>,
    /// More content of the create event: a JSON object.
    pub creation_content: Option<Box<RawValue>>,
    /// What makes a retry the same act, if the client said so.
    pub transaction: Option<TransactionKey>,
}

/// A room that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedRoom {
    /// Its ID.
    pub room_id: OwnedRoomId,
    /// Its alias, if one was asked for.
    pub alias: Option<OwnedRoomAliasId>,
}

/// Builds a room's first events one on the other.
pub(crate) struct Builder<'a> {
    rooms: &'a Rooms,
    head: RoomHead,
    creator: OwnedUserId,
    events: Vec<Append>,
}

impl<'a> Builder<'a> {
    /// Begins a room of this version.
    pub(crate) fn new(rooms: &'a Rooms, version: RoomVersion, creator: &UserId) -> Self {
        let room_id =
            (!version.room_id_is_create_hash()).then(|| RoomId::new_v1(&rooms.server_name()));
        Self {
            rooms,
            head: RoomHead::new_room(room_id, version, next_generation()),
            creator: creator.to_owned(),
            events: Vec::with_capacity(16),
        }
    }

    /// The room, whole, listed nowhere.
    pub(crate) fn finish(self) -> Result<NewRoom, RoomError> {
        Ok(NewRoom {
            version: self.head.version().id.clone(),
            room_id: self.head.room_id().cloned().ok_or(RoomError::NoSuchRoom)?,
            creator: self.creator,
            events: self.events,
            alias: None,
            published: false,
            transaction: None,
            created_ts_ms: self.rooms.parts().clock.now_ms(),
        })
    }

    pub(crate) fn add(&mut self, act: Act) -> Result<(), RoomError> {
        let parts = self.rooms.parts();
        let wish = Wish {
            act,
            transaction: None,
        };
        let step = self
            .head
            .accept(&wish, &parts.signer, parts.clock.now())
            .map_err(invalid_state)?;
        match step {
            Step::Append(append) => {
                self.events.push(*append);
                Ok(())
            }
            // The same state twice in one request.
            Step::Nothing(_) => Ok(()),
            Step::Load(_) | Step::Upgrade(_) => {
                Err(StorageError::Damaged("a new room has no state to load".to_owned()).into())
            }
        }
    }

    pub(crate) fn create(&mut self, content: CanonicalJsonObject) -> Result<(), RoomError> {
        self.send(
            "m.room.create",
            "",
            content,
            Some(self.rooms.creation_time()),
        )
    }

    pub(crate) fn state(
        &mut self,
        event_type: &str,
        state_key: &str,
        content: CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        self.send(event_type, state_key, content, None)
    }

    fn send(
        &mut self,
        event_type: &str,
        state_key: &str,
        content: CanonicalJsonObject,
        origin_server_ts_override: Option<MilliSecondsSinceUnixEpoch>,
    ) -> Result<(), RoomError> {
        self.add(Act::Send(Draft {
            sender: self.creator.clone(),
            event_type: event_type.to_owned(),
            state_key: Some(state_key.to_owned()),
            content,
            redacts: None,
            origin_server_ts_override,
        }))
    }
}

/// Reads an object of the request, where the room version wants canonical JSON.
fn object(raw: &RawValue) -> Result<CanonicalJsonObject, RoomError> {
    json::parse_object(raw.get().as_bytes()).map_err(|error| EventError::from(error).into())
}

/// The state of the request broke a rule of the room that is being made of it.
fn invalid_state(error: RoomError) -> RoomError {
    match error {
        RoomError::Event(cause) if matches!(*cause, EventError::Forbidden(_)) => {
            RoomError::InvalidRoomState(cause.to_string())
        }
        RoomError::Forbidden(reason) => RoomError::InvalidRoomState(reason),
        RoomError::BadState(reason) => RoomError::InvalidRoomState(reason.to_owned()),
        other => other,
    }
}

impl Rooms {
    /// Creates a room: all its first events, its alias and its place in the directory, as one act.
    ///
    /// # Errors
    ///
    /// [`RoomError::UnsupportedVersion`], [`RoomError::AliasTaken`],
    /// [`RoomError::InvalidRoomState`] if the state asked for does not hold together,
    /// [`RoomError::NoSuchUser`] for an invite to nobody, [`RoomError::InviteBlocked`] for one to who
    /// wants none. Nothing was created then.
    pub async fn create_room(&self, request: CreateRoom) -> Result<CreatedRoom, RoomError> {
        let alias = request
            .alias_localpart
            .as_deref()
            .map(|name| self.new_alias(name))
            .transpose()?;
        if let Some(transaction) = request.transaction
            && let Some(room_id) = self.parts().rooms.room_of_transaction(transaction).await?
        {
            return Ok(CreatedRoom { room_id, alias });
        }
        let id = request
            .version
            .clone()
            .unwrap_or_else(|| self.default_room_version().clone());
        let version =
            RoomVersion::new(&id).ok_or_else(|| RoomError::UnsupportedVersion(id.clone()))?;
        if request.invite.len() > MAX_INVITES {
            return Err(RoomError::InvalidParam(
                "at most 100 users can be invited at once",
            ));
        }
        for invited in &request.invite {
            self.require_invitable(invited).await?;
        }
        let room = self.build(&request, version, alias.clone()).await?;
        let room_id = room.room_id.clone();
        match self.parts().rooms.create_room(room).await {
            Ok(_) => Ok(CreatedRoom { room_id, alias }),
            Err(StorageError::Conflict) => self.conflict(&request, alias).await,
            Err(other) => Err(other.into()),
        }
    }

    /// Another request was faster: its twin with the same transaction, or one for the same alias.
    async fn conflict(
        &self,
        request: &CreateRoom,
        alias: Option<OwnedRoomAliasId>,
    ) -> Result<CreatedRoom, RoomError> {
        if let Some(transaction) = request.transaction
            && let Some(room_id) = self.parts().rooms.room_of_transaction(transaction).await?
        {
            return Ok(CreatedRoom { room_id, alias });
        }
        match alias {
            Some(alias) => Err(RoomError::AliasTaken(alias)),
            None => Err(StorageError::Conflict.into()),
        }
    }

    fn new_alias(&self, localpart: &str) -> Result<OwnedRoomAliasId, RoomError> {
        if localpart.is_empty() || localpart.contains([':', '\0']) {
            return Err(RoomError::InvalidParam(
                "room_alias_name is the part between # and : of an alias",
            ));
        }
        RoomAliasId::parse(format!("#{localpart}:{}", self.server_name()))
            .map_err(|_| RoomError::InvalidParam("room_alias_name does not make a valid alias"))
    }

    /// Builds all events of the room, in the order of the specification.
    async fn build(
        &self,
        request: &CreateRoom,
        version: RoomVersion,
        alias: Option<OwnedRoomAliasId>,
    ) -> Result<NewRoom, RoomError> {
        let preset = request.preset.unwrap_or(if request.published {
            Preset::PublicChat
        } else {
            Preset::PrivateChat
        });
        let create = recipe::create_content(request, preset, &version)?;
        let power_levels = recipe::power_levels(request, preset, &version, &create)?;
        let mut builder = Builder::new(self, version, &request.creator);
        builder.create(create)?;
        builder.add(Act::Member(
            self.first_member(&request.creator, &request.creator, None)
                .await?,
        ))?;
        builder.state("m.room.power_levels", "", power_levels)?;
        if let Some(alias) = &alias {
            let content = recipe::text_content("alias", alias.as_str());
            builder.state("m.room.canonical_alias", "", content)?;
        }
        for (event_type, content) in recipe::preset_state(preset) {
            // A preset only fills in what the request leaves open.
            if !request
                .initial_state
                .iter()
                .any(|state| state.event_type == event_type && state.state_key.is_empty())
            {
                builder.state(event_type, "", content)?;
            }
        }
        for state in &request.initial_state {
            let content = self.initial_content(state, alias.as_deref()).await?;
            builder.state(&state.event_type, &state.state_key, content)?;
        }
        if let Some(name) = &request.name {
            builder.state("m.room.name", "", recipe::text_content("name", name))?;
        }
        if let Some(topic) = &request.topic {
            builder.state("m.room.topic", "", recipe::topic_content(topic))?;
        }
        let invited = request.invite.iter();
        for invited in invited.filter(|invited| **invited != request.creator) {
            let member = self
                .first_member(&request.creator, invited, Some(request.is_direct))
                .await?;
            builder.add(Act::Member(member))?;
        }
        Ok(NewRoom {
            alias,
            published: request.published,
            transaction: request.transaction,
            ..builder.finish()?
        })
    }

    /// The content of a state event of the request, under the rules for one that is sent later.
    async fn initial_content(
        &self,
        state: &InitialState,
        alias: Option<&RoomAliasId>,
    ) -> Result<CanonicalJsonObject, RoomError> {
        let mut content = object(&state.content)?;
        match state.event_type.as_str() {
            "m.room.member" => {
                self.check_member_event(&state.state_key, &mut content)
                    .await?;
            }
            "m.room.server_acl" if state.state_key.is_empty() => self.check_server_acl(&content)?,
            "m.room.canonical_alias" if state.state_key.is_empty() => {
                // No other alias points to a room that is only being made.
                let mut others = canonical_aliases(&content)?.into_iter();
                if let Some(other) = others.find(|other| alias != Some(other)) {
                    return Err(RoomError::BadAlias(other));
                }
            }
            _ => {}
        }
        Ok(content)
    }

    /// The creator's join, or (with `is_direct`) the invite of somebody else.
    async fn first_member(
        &self,
        creator: &OwnedUserId,
        target: &OwnedUserId,
        is_direct: Option<bool>,
    ) -> Result<MemberWish, RoomError> {
        let action = match is_direct {
            Some(is_direct) => MemberAction::Invite { is_direct },
            None => MemberAction::Join {
                authorized_by: None,
            },
        };
        self.member_wish(creator, target, action, None).await
    }
}
