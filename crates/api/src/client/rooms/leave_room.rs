//! `POST /_matrix/client/*/rooms/{roomId}/leave`, and its twin of the first API, `PUT …/{txnId}`

use actix_web::web;
use greenroom_rooms::{Asked, Rooms};
use ruma::{OwnedRoomId, api::client::membership::leave_room::v3};
use serde::Deserialize;

use super::{Author, subject::Subject};
use crate::{ApiError, JsonBody, Limited, Ruma};

/// Why, in words.
#[derive(Deserialize)]
pub(super) struct Reason {
    pub(super) reason: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    room: Subject<OwnedRoomId>,
    JsonBody(Reason { reason }): JsonBody<Reason>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let room_id = room.id.clone();
    let transaction = room.transaction(&requester, &format!("PUT rooms/{room_id}/leave"));
    let asked = Asked {
        reason,
        transaction,
    };
    rooms.leave(&room_id, &requester.user_id, asked).await?;
    Ok(Ruma(v3::Response::new()))
}
