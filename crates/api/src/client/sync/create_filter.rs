//! `POST /_matrix/client/*/user/{userId}/filter`

use actix_web::web;
use greenroom_sync::SyncService;
use ruma::OwnedUserId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{ApiError, Author, JsonAnswer, JsonBody, Limited, Path};

#[derive(Serialize)]
pub(super) struct Answer {
    filter_id: String,
}

pub(super) async fn handle(
    author: Author,
    Path((user_id,)): Path<(OwnedUserId,)>,
    JsonBody(filter): JsonBody<Box<RawValue>>,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    if user_id != requester.user_id {
        return Err(ApiError::forbidden(
            "You can only store filters of your own.",
        ));
    }
    let filter_id = sync.store_filter(&user_id, filter).await?;
    Ok(JsonAnswer(Answer { filter_id }))
}
