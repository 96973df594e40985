//! `GET /_matrix/client/*/user/{userId}/rooms/{roomId}/tags`

use actix_web::web;
use greenroom_account::{TagService, Tags};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;

use crate::{ApiError, JsonAnswer, Path, Requester};

/// What ruma's type would drop is kept: a tag may have more in it than its order.
#[derive(Serialize)]
pub(super) struct Response {
    tags: Tags,
}

pub(super) async fn handle(
    requester: Requester,
    Path((user_id, room_id)): Path<(OwnedUserId, OwnedRoomId)>,
    tags: web::Data<TagService>,
) -> Result<JsonAnswer<Response>, ApiError> {
    let tags = tags.tags(&requester.user_id, &user_id, &room_id).await?;
    Ok(JsonAnswer(Response { tags }))
}
