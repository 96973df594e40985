//! `GET /_matrix/client/*/joined_rooms`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::api::client::membership::joined_rooms::v3;

use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let joined = rooms.joined_rooms(&requester.user_id).await?;
    Ok(Ruma(v3::Response::new(joined)))
}
