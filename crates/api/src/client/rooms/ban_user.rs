//! `POST /_matrix/client/*/rooms/{roomId}/ban`, and its twin of the first API, `PUT …/{txnId}`

use actix_web::web;
use greenroom_rooms::{Moderation, Rooms};
use ruma::{OwnedRoomId, api::client::membership::ban_user::v3};

use super::{
    Author,
    kick_user::{Target, moderate},
    subject::Subject,
};
use crate::{ApiError, JsonBody, Ruma};

pub(super) async fn handle(
    author: Author,
    room: Subject<OwnedRoomId>,
    JsonBody(target): JsonBody<Target>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    moderate(author, room, target, &rooms, (Moderation::Ban, "ban")).await?;
    Ok(Ruma(v3::Response::new()))
}
