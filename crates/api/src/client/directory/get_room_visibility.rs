//! `GET /_matrix/client/*/directory/list/room/{roomId}`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{
    OwnedRoomId,
    api::client::{directory::get_room_visibility::v3, room::Visibility},
};

use crate::{ApiError, Path, Ruma};

pub(super) async fn handle(
    Path((room_id,)): Path<(OwnedRoomId,)>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let visibility = if rooms.is_published(&room_id).await? {
        Visibility::Public
    } else {
        Visibility::Private
    };
    Ok(Ruma(v3::Response::new(visibility)))
}
