//! `DELETE /_matrix/client/*/user/{userId}/rooms/{roomId}/tags/{tag}`

use actix_web::web;
use greenroom_account::TagService;
use ruma::{OwnedRoomId, OwnedUserId, api::client::tag::delete_tag::v3};

use crate::{ApiError, Author, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((user_id, room_id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
    tags: web::Data<TagService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    tags.delete(&requester.user_id, &user_id, &room_id, &tag)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
