//! `PUT /_matrix/client/*/directory/room/{roomAlias}`

use actix_web::web;
use greenroom_rooms::{RoomError, Rooms};
use ruma::{OwnedRoomAliasId, OwnedRoomId, api::client::alias::create_alias::v3};
use serde::Deserialize;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma, error::sentence};

#[derive(Deserialize)]
pub(super) struct Body {
    room_id: OwnedRoomId,
}

pub(super) async fn handle(
    author: Author,
    Path((alias,)): Path<(OwnedRoomAliasId,)>,
    JsonBody(Body { room_id }): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    match rooms
        .create_alias(&alias, &room_id, &requester.user_id)
        .await
    {
        Ok(()) => Ok(Ruma(v3::Response::new())),
        // It is not that it could not be found: it is not ours to make.
        Err(error @ RoomError::NotLocal(_)) => Err(ApiError::invalid_param(sentence(&error))),
        Err(other) => Err(other.into()),
    }
}
