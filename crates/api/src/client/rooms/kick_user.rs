//! `POST /_matrix/client/*/rooms/{roomId}/kick`, and its twin of the first API, `PUT …/{txnId}`

use actix_web::web;
use greenroom_rooms::{Asked, Moderation, Rooms};
use ruma::{OwnedRoomId, OwnedUserId, api::client::membership::kick_user::v3};
use serde::Deserialize;

use super::{Author, subject::Subject};
use crate::{ApiError, JsonBody, Limited, Ruma};

/// Whom, and why in words.
#[derive(Deserialize)]
pub(super) struct Target {
    user_id: OwnedUserId,
    reason: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    room: Subject<OwnedRoomId>,
    JsonBody(target): JsonBody<Target>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    moderate(author, room, target, &rooms, (Moderation::Kick, "kick")).await?;
    Ok(Ruma(v3::Response::new()))
}

/// Moderates as one of the endpoints asks, whose name is the last part of its path.
pub(super) async fn moderate(
    author: Author,
    room: Subject<OwnedRoomId>,
    Target { user_id, reason }: Target,
    rooms: &Rooms,
    (act, name): (Moderation, &str),
) -> Result<(), ApiError> {
    let requester = author.counted(Limited::Message)?;
    let room_id = room.id.clone();
    let transaction = room.transaction(&requester, &format!("PUT rooms/{room_id}/{name}"));
    let asked = Asked {
        reason,
        transaction,
    };
    rooms
        .moderate(&room_id, &requester.user_id, &user_id, act, asked)
        .await?;
    Ok(())
}
