//! `PUT /_matrix/client/*/user/{userId}/rooms/{roomId}/tags/{tag}`

use actix_web::web;
use greenroom_account::TagService;
use ruma::{OwnedRoomId, OwnedUserId, api::client::tag::create_tag::v3};
use serde_json::value::RawValue;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((user_id, room_id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
    tags: web::Data<TagService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    tags.set(&requester.user_id, &user_id, &room_id, &tag, content)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
