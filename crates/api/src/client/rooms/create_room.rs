//! `POST /_matrix/client/*/createRoom`, and its twin of the first API, `PUT createRoom/{txnId}`

use actix_web::web;
use greenroom_model::TransactionKey;
use greenroom_rooms::{CreateRoom, CreatedRoom, InitialState, Preset, RoomError, Rooms};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomVersionId};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::Author;
use crate::{ApiError, JsonAnswer, JsonBody, Limited, Path, Requester, error::sentence};

// Contents stay as the client wrote them: ruma's type would read some of them as its own.
#[derive(Deserialize)]
pub(super) struct Body {
    visibility: Option<Visibility>,
    room_alias_name: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    invite: Option<Vec<OwnedUserId>>,
    invite_3pid: Option<Vec<IgnoredAny>>,
    room_version: Option<String>,
    creation_content: Option<Box<RawValue>>,
    initial_state: Option<Vec<StateEvent>>,
    preset: Option<PresetName>,
    is_direct: Option<bool>,
    power_level_content_override: Option<Box<RawValue>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    Public,
    Private,
}

#[derive(Clone, Copy, Deserialize)]
enum PresetName {
    #[serde(rename = "private_chat")]
    Private,
    #[serde(rename = "trusted_private_chat")]
    TrustedPrivate,
    #[serde(rename = "public_chat")]
    Public,
}

#[derive(Deserialize)]
struct StateEvent {
    r#type: String,
    #[serde(default)]
    state_key: String,
    content: Box<RawValue>,
}

/// With the alias, which today's specification leaves out and the old tutorials read.
#[derive(Serialize)]
pub(super) struct Answer {
    room_id: OwnedRoomId,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_alias: Option<OwnedRoomAliasId>,
}

pub(super) async fn post(
    author: Author,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let requester = author.counted(Limited::Join)?;
    create(&rooms, body.into_request(requester, None)?).await
}

pub(super) async fn put(
    author: Author,
    Path((txn_id,)): Path<(String,)>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let requester = author.counted(Limited::Join)?;
    let transaction = TransactionKey::new(
        requester.user_id.as_str(),
        requester.device_id.as_str(),
        "PUT createRoom",
        &txn_id,
    );
    create(&rooms, body.into_request(requester, Some(transaction))?).await
}

async fn create(rooms: &Rooms, request: CreateRoom) -> Result<JsonAnswer<Answer>, ApiError> {
    let CreatedRoom { room_id, alias } = rooms.create_room(request).await.map_err(refusal)?;
    tracing::info!(room.id = %room_id, "room created");
    Ok(JsonAnswer(Answer {
        room_id,
        room_alias: alias,
    }))
}

/// Here it is the request that is wrong, where elsewhere something is taken or missing.
fn refusal(error: RoomError) -> ApiError {
    match error {
        RoomError::AliasTaken(_) => ApiError::bad_request("M_ROOM_IN_USE", sentence(&error)),
        RoomError::NoSuchUser(_) | RoomError::NotLocal(_) => {
            ApiError::invalid_param(sentence(&error))
        }
        other => other.into(),
    }
}

impl Body {
    fn into_request(
        self,
        requester: Requester,
        transaction: Option<TransactionKey>,
    ) -> Result<CreateRoom, ApiError> {
        if self.invite_3pid.is_some_and(|invites| !invites.is_empty()) {
            return Err(ApiError::no_identity_server());
        }
        let version = self
            .room_version
            .map(|version| {
                RoomVersionId::try_from(version).map_err(|_| ApiError::unsupported_room_version())
            })
            .transpose()?;
        let preset = self.preset.map(|preset| match preset {
            PresetName::Private => Preset::PrivateChat,
            PresetName::TrustedPrivate => Preset::TrustedPrivateChat,
            PresetName::Public => Preset::PublicChat,
        });
        let initial_state = self.initial_state.unwrap_or_default();
        let initial_state = initial_state.into_iter().map(|state| InitialState {
            event_type: state.r#type,
            state_key: state.state_key,
            content: state.content,
        });
        Ok(CreateRoom {
            creator: requester.user_id,
            version,
            alias_localpart: self.room_alias_name,
            name: self.name,
            topic: self.topic,
            published: self.visibility == Some(Visibility::Public),
            preset,
            invite: self.invite.unwrap_or_default(),
            is_direct: self.is_direct.unwrap_or(false),
            initial_state: initial_state.collect(),
            power_levels: self.power_level_content_override,
            creation_content: self.creation_content,
            transaction,
        })
    }
}
