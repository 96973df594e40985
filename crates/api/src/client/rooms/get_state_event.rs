//! `GET /_matrix/client/*/rooms/{roomId}/state/{eventType}/{stateKey}`, and without the key where
//! it is empty

use actix_web::web;
use greenroom_rooms::{EventView, Rooms};
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::reader;
use crate::{ApiError, JsonAnswer, Path, Query, Requester};

#[derive(Deserialize)]
pub(super) struct Params {
    #[serde(default)]
    format: StateFormat,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateFormat {
    #[default]
    Content,
    Event,
}

pub(super) async fn keyed(
    requester: Requester,
    Path((room_id, event_type, state_key)): Path<(OwnedRoomId, String, String)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EventView>, ApiError> {
    get(requester, room_id, &event_type, &state_key, params, &rooms).await
}

pub(super) async fn unkeyed(
    requester: Requester,
    Path((room_id, event_type)): Path<(OwnedRoomId, String)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EventView>, ApiError> {
    get(requester, room_id, &event_type, "", params, &rooms).await
}

async fn get(
    requester: Requester,
    room_id: OwnedRoomId,
    event_type: &str,
    state_key: &str,
    params: Params,
    rooms: &Rooms,
) -> Result<JsonAnswer<EventView>, ApiError> {
    let found = match params.format {
        StateFormat::Content => {
            rooms
                .state_content(&room_id, &requester.user_id, event_type, state_key)
                .await
        }
        StateFormat::Event => {
            rooms
                .state_event(&room_id, &reader(requester), event_type, state_key)
                .await
        }
    };
    Ok(JsonAnswer(found?))
}
