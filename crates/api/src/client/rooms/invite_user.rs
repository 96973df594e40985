//! `POST /_matrix/client/*/rooms/{roomId}/invite`, and its twin of the first API, `PUT …/{txnId}`

use actix_web::web;
use greenroom_rooms::{Asked, Invite, Rooms};
use ruma::{OwnedRoomId, OwnedUserId, api::client::membership::invite_user::v3};
use serde::{Deserialize, de::IgnoredAny};

use super::{Author, subject::Subject};
use crate::{ApiError, JsonBody, Limited, Ruma};

/// One of two forms: a user's ID, or an address that an identity server is to be asked about.
#[derive(Deserialize)]
pub(super) struct Body {
    user_id: Option<OwnedUserId>,
    reason: Option<String>,
    medium: Option<IgnoredAny>,
    address: Option<IgnoredAny>,
}

pub(super) async fn handle(
    author: Author,
    room: Subject<OwnedRoomId>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let target = match body.user_id {
        Some(target) => target,
        None if body.medium.is_some() || body.address.is_some() => {
            return Err(ApiError::no_identity_server());
        }
        None => return Err(ApiError::bad_json("The field 'user_id' is missing.")),
    };
    let room_id = room.id.clone();
    let transaction = room.transaction(&requester, &format!("PUT rooms/{room_id}/invite"));
    let invite = Invite {
        sender: requester.user_id,
        target,
        is_direct: false,
        asked: Asked {
            reason: body.reason,
            transaction,
        },
    };
    rooms.invite(&room_id, invite).await?;
    Ok(Ruma(v3::Response::new()))
}
