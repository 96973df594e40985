//! `POST /_matrix/client/*/rooms/{roomId}/upgrade`

use actix_web::web;
use greenroom_rooms::{Rooms, UpgradeRoom};
use ruma::{OwnedRoomId, RoomVersionId, api::client::room::upgrade_room::v3};
use serde::Deserialize;

use super::Author;
use crate::{ApiError, JsonBody, Limited, Path, Ruma};

// Not ruma's type: creators that the new version knows nothing of are to be ignored, whatever they
// are.
#[derive(Deserialize)]
pub(super) struct Body {
    new_version: String,
    additional_creators: Option<serde_json::Value>,
}

pub(super) async fn handle(
    author: Author,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Join)?;
    let version = RoomVersionId::try_from(body.new_version)
        .map_err(|_| ApiError::unsupported_room_version())?;
    let request = UpgradeRoom {
        upgrader: requester.user_id,
        version,
        additional_creators: body.additional_creators,
    };
    let replacement = rooms.upgrade(&room_id, request).await?;
    Ok(Ruma(v3::Response::new(replacement)))
}
