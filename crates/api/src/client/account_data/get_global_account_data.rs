//! `GET /_matrix/client/*/user/{userId}/account_data/{type}`

use actix_web::web;
use greenroom_account::AccountDataService;
use ruma::OwnedUserId;
use serde_json::value::RawValue;

use crate::{ApiError, JsonAnswer, Path, Requester};

pub(super) async fn handle(
    requester: Requester,
    Path((user_id, data_type)): Path<(OwnedUserId, String)>,
    account_data: web::Data<AccountDataService>,
) -> Result<JsonAnswer<Box<RawValue>>, ApiError> {
    let content = account_data
        .get(&requester.user_id, &user_id, None, &data_type)
        .await?;
    Ok(JsonAnswer(content))
}
