//! `PUT /_matrix/client/*/rooms/{roomId}/state/{eventType}/{stateKey}`, and without the key where
//! it is empty

use actix_web::web;
use greenroom_rooms::{NewEvent, Rooms};
use ruma::OwnedRoomId;

use super::{Author, SentEvent, event_content::EventContent};
use crate::{ApiError, JsonAnswer, Limited, Path};

pub(super) async fn keyed(
    author: Author,
    Path((room_id, event_type, state_key)): Path<(OwnedRoomId, String, String)>,
    content: EventContent,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    send(author, room_id, event_type, state_key, content, &rooms).await
}

pub(super) async fn unkeyed(
    author: Author,
    Path((room_id, event_type)): Path<(OwnedRoomId, String)>,
    content: EventContent,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    send(author, room_id, event_type, String::new(), content, &rooms).await
}

async fn send(
    author: Author,
    room_id: OwnedRoomId,
    event_type: String,
    state_key: String,
    EventContent(content): EventContent,
    rooms: &Rooms,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let event = NewEvent {
        sender: requester.user_id,
        event_type,
        state_key: Some(state_key),
        content: &content,
        redacts: None,
        origin_server_ts: None,
        by_admin: requester.admin,
    };
    let event_id = rooms.send(&room_id, event, None).await?;
    Ok(JsonAnswer(SentEvent { event_id }))
}
