//! `GET /_matrix/client/*/events/{eventId}`: of the first API, where a room needed no naming

use actix_web::web;
use greenroom_rooms::{EventView, Rooms};
use ruma::OwnedEventId;

use super::reader;
use crate::{ApiError, JsonAnswer, Path, Requester};

pub(super) async fn handle(
    requester: Requester,
    Path((event_id,)): Path<(OwnedEventId,)>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EventView>, ApiError> {
    let event = rooms.event_anywhere(&reader(requester), &event_id).await?;
    Ok(JsonAnswer(event))
}
