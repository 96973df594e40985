//! `POST /_matrix/client/*/rooms/{roomId}/forget`, and its twin of the first API, `PUT …/{txnId}`, whose ID
//! changes nothing: what is forgotten stays forgotten

use actix_web::web;
use greenroom_rooms::{RoomError, Rooms};
use ruma::{OwnedRoomId, api::client::membership::forget_room::v3};
use serde::de::IgnoredAny;

use super::{Author, subject::Subject};
use crate::{ApiError, JsonBody, Limited, Ruma};

pub(super) async fn handle(
    author: Author,
    Subject { id: room_id, .. }: Subject<OwnedRoomId>,
    _: JsonBody<IgnoredAny>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    match rooms.forget(&room_id, &requester.user_id).await {
        Ok(()) => Ok(Ruma(v3::Response::new())),
        // To have never been there is no offense, but there is nothing to forget either.
        Err(RoomError::NotInRoom) => Err(ApiError::bad_request(
            "M_UNKNOWN",
            "You were never in this room.",
        )),
        Err(other) => Err(other.into()),
    }
}
