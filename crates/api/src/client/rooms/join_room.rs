//! `POST /_matrix/client/*/rooms/{roomId}/join` and `POST /_matrix/client/*/join/{roomIdOrAlias}`

use actix_web::web;
use greenroom_rooms::{JoinTarget, Rooms};
use ruma::{OwnedRoomId, OwnedRoomOrAliasId};
use serde::{Deserialize, de::IgnoredAny};

use super::{Author, EnteredRoom, first_segment::FirstSegment};
use crate::{ApiError, JsonAnswer, JsonBody, Limited};

#[derive(Deserialize)]
pub(super) struct Body {
    reason: Option<String>,
    third_party_signed: Option<IgnoredAny>,
}

pub(super) async fn by_id(
    author: Author,
    FirstSegment(room_id): FirstSegment<OwnedRoomId>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EnteredRoom>, ApiError> {
    join(author, &JoinTarget::Room(room_id), body, &rooms).await
}

pub(super) async fn by_id_or_alias(
    author: Author,
    FirstSegment(target): FirstSegment<OwnedRoomOrAliasId>,
    JsonBody(body): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EnteredRoom>, ApiError> {
    join(author, &JoinTarget::from(&*target), body, &rooms).await
}

async fn join(
    author: Author,
    target: &JoinTarget,
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
    let room_id = rooms.resolve(target).await?;
    rooms
        .join(&room_id, &requester.user_id, body.reason)
        .await?;
    Ok(JsonAnswer(EnteredRoom { room_id }))
}
