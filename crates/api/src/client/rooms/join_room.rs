//! `POST /_matrix/client/*/rooms/{roomId}/join` and `POST /_matrix/client/*/join/{roomIdOrAlias}`, and
//! their twins of the first API, `PUT …/{txnId}`

use actix_web::web;
use greenroom_rooms::{Asked, JoinTarget, Rooms};
use ruma::{OwnedRoomId, OwnedRoomOrAliasId};
use serde::{Deserialize, de::IgnoredAny};

use super::{Author, EnteredRoom, subject::Subject};
use crate::{ApiError, JsonAnswer, JsonBody, Limited};

#[derive(Deserialize)]
pub(super) struct Body {
    reason: Option<String>,
    third_party_signed: Option<IgnoredAny>,
}

pub(super) async fn by_id(
    author: Author,
    room: Subject<OwnedRoomId>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EnteredRoom>, ApiError> {
    let target = JoinTarget::Room(room.id.clone());
    let endpoint = format!("PUT rooms/{}/join", room.id);
    join(author, room, (target, endpoint), body, &rooms).await
}

pub(super) async fn by_id_or_alias(
    author: Author,
    room: Subject<OwnedRoomOrAliasId>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EnteredRoom>, ApiError> {
    let target = JoinTarget::from(&*room.id);
    let endpoint = format!("PUT join/{}", room.id);
    join(author, room, (target, endpoint), body, &rooms).await
}

async fn join<T>(
    author: Author,
    room: Subject<T>,
    (target, endpoint): (JoinTarget, String),
    body: Body,
    rooms: &Rooms,
) -> Result<JsonAnswer<EnteredRoom>, ApiError> {
    let requester = author.counted(Limited::Join)?;
    if body.third_party_signed.is_some() {
        // "The homeserver must verify that it matches a pending m.room.third_party_invite".
        return Err(ApiError::forbidden(
            "This matches no pending invite of a third-party identifier.",
        ));
    }
    let room_id = rooms.resolve(&target).await?;
    let asked = Asked {
        reason: body.reason,
        transaction: room.transaction(&requester, &endpoint),
    };
    rooms.join(&room_id, &requester.user_id, asked).await?;
    Ok(JsonAnswer(EnteredRoom { room_id }))
}
