//! `GET /_matrix/client/*/rooms/{roomId}/aliases`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, api::client::room::aliases::v3};

use crate::{ApiError, Path, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let aliases = rooms.aliases(&room_id, &requester.user_id).await?;
    Ok(Ruma(v3::Response::new(aliases)))
}
