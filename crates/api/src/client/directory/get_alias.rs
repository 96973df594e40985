//! `GET /_matrix/client/*/directory/room/{roomAlias}`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomAliasId, api::client::alias::get_alias::v3};

use crate::{ApiError, ApiSettings, Path, Ruma};

pub(super) async fn handle(
    Path((alias,)): Path<(OwnedRoomAliasId,)>,
    rooms: web::Data<Rooms>,
    settings: web::Data<ApiSettings>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let room_id = rooms.room_of_alias(&alias).await?;
    let servers = vec![settings.server_name.clone()];
    Ok(Ruma(v3::Response::new(room_id, servers)))
}
