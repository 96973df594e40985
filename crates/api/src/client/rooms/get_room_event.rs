//! `GET /_matrix/client/*/rooms/{roomId}/event/{eventId}`

use actix_web::web;
use greenroom_rooms::{EventView, Rooms};
use ruma::{OwnedEventId, OwnedRoomId};

use super::reader;
use crate::{ApiError, JsonAnswer, Path, Requester};

pub(super) async fn handle(
    requester: Requester,
    Path((room_id, event_id)): Path<(OwnedRoomId, OwnedEventId)>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EventView>, ApiError> {
    let event = rooms.event(&room_id, &reader(requester), &event_id).await?;
    Ok(JsonAnswer(event))
}
