//! `POST /_matrix/client/*/rooms/{roomId}/unban`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, api::client::membership::unban_user::v3};

use super::{Author, first_segment::FirstSegment, kick_user::Target};
use crate::{ApiError, JsonBody, Limited, Ruma};

pub(super) async fn handle(
    author: Author,
    FirstSegment(room_id): FirstSegment<OwnedRoomId>,
    JsonBody(Target { user_id, reason }): JsonBody<Target>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    rooms
        .unban(&room_id, &requester.user_id, &user_id, reason)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
