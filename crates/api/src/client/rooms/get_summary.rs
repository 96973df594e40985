//! `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`

use actix_web::web;
use greenroom_rooms::{JoinTarget, Rooms};
use ruma::OwnedRoomOrAliasId;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::summary::Summary;
use crate::{ApiError, JsonAnswer, Limited, Path, Visitor};

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<&'a str>,
}

// `via` names servers to ask where this one does not know the room, and it can ask none yet.
pub(super) async fn handle(
    visitor: Visitor,
    Path((room,)): Path<(OwnedRoomOrAliasId,)>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Box<RawValue>>, ApiError> {
    let requester = visitor.counted(Limited::Lookup)?;
    let reader = requester.as_ref().map(|it| &*it.user_id);
    let target = JoinTarget::from(&*room);
    let preview = rooms.room_summary(&target, reader).await?;
    // "Absent if the API was called unauthenticated."
    let membership = reader.map(|_| match &preview.membership {
        Some(membership) => membership.as_str(),
        None => "leave",
    });
    let answer = Answer {
        summary: Summary::of(&preview),
        membership,
    };
    let answer = to_raw_value(&answer).map_err(|error| ApiError::internal(&error))?;
    Ok(JsonAnswer(answer))
}
