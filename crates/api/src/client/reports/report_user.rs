//! `POST /_matrix/client/v3/users/{userId}/report`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedUserId, api::client::reporting::report_user::v3};
use serde::Deserialize;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

#[derive(Deserialize)]
pub(super) struct Body {
    reason: String,
}

pub(super) async fn handle(
    author: Author,
    Path((user_id,)): Path<(OwnedUserId,)>,
    JsonBody(Body { reason }): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Report)?;
    rooms
        .report_user(user_id, &requester.user_id, reason)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
