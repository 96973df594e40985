//! `GET /_matrix/client/*/user/{userId}/filter/{filterId}`

use actix_web::web;
use greenroom_sync::SyncService;
use ruma::OwnedUserId;
use serde_json::value::RawValue;

use crate::{ApiError, JsonAnswer, Path, Requester};

pub(super) async fn handle(
    requester: Requester,
    Path((user_id, filter_id)): Path<(OwnedUserId, String)>,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<Box<RawValue>>, ApiError> {
    if user_id != requester.user_id {
        return Err(ApiError::forbidden(
            "You can only read filters of your own.",
        ));
    }
    match sync.filter(&user_id, &filter_id).await {
        // Here the filter is what was asked for; in a sync it is a wrong parameter.
        Err(greenroom_sync::SyncError::NoSuchFilter) => {
            Err(ApiError::not_found("There is no filter with this ID."))
        }
        other => Ok(JsonAnswer(other?)),
    }
}
