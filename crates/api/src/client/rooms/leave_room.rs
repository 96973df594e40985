//! `POST /_matrix/client/*/rooms/{roomId}/leave`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, api::client::membership::leave_room::v3};
use serde::Deserialize;

use super::{Author, first_segment::FirstSegment};
use crate::{ApiError, JsonBody, Limited, Ruma};

/// Why, in words.
#[derive(Deserialize)]
pub(super) struct Reason {
    pub(super) reason: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    FirstSegment(room_id): FirstSegment<OwnedRoomId>,
    JsonBody(Reason { reason }): JsonBody<Reason>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    rooms.leave(&room_id, &requester.user_id, reason).await?;
    Ok(Ruma(v3::Response::new()))
}
