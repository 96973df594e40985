//! `GET /_matrix/client/*/rooms/{roomId}/state`

use actix_web::web;
use greenroom_rooms::{EventView, Rooms};
use ruma::OwnedRoomId;

use super::reader;
use crate::{ApiError, JsonAnswer, Path, Requester};

pub(super) async fn handle(
    requester: Requester,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Vec<EventView>>, ApiError> {
    Ok(JsonAnswer(rooms.state(&room_id, &reader(requester)).await?))
}
