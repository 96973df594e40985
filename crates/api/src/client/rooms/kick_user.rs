//! `POST /_matrix/client/*/rooms/{roomId}/kick`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, OwnedUserId, api::client::membership::kick_user::v3};
use serde::Deserialize;

use super::{Author, first_segment::FirstSegment};
use crate::{ApiError, JsonBody, Limited, Ruma};

/// Whom, and why in words.
#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) user_id: OwnedUserId,
    pub(super) reason: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    FirstSegment(room_id): FirstSegment<OwnedRoomId>,
    JsonBody(Target { user_id, reason }): JsonBody<Target>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    rooms
        .kick(&room_id, &requester.user_id, &user_id, reason)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
