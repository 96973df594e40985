//! `DELETE /_matrix/client/*/user/{userId}/rooms/{roomId}/tags/{tag}`

use actix_web::web;
use greenroom_account::TagService;
use ruma::{OwnedRoomId, OwnedUserId, api::client::tag::delete_tag::v3};

use crate::{ApiError, Path, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    Path((user_id, room_id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
    tags: web::Data<TagService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    tags.delete(&requester.user_id, &user_id, &room_id, &tag)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
