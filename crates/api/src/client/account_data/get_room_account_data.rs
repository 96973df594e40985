//! `GET /_matrix/client/*/user/{userId}/rooms/{roomId}/account_data/{type}`

use actix_web::web;
use greenroom_account::AccountDataService;
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::value::RawValue;

use crate::{ApiError, JsonAnswer, Path, Requester};

pub(super) async fn handle(
    requester: Requester,
    Path((user_id, room_id, data_type)): Path<(OwnedUserId, OwnedRoomId, String)>,
    account_data: web::Data<AccountDataService>,
) -> Result<JsonAnswer<Box<RawValue>>, ApiError> {
    let content = account_data
        .get(&requester.user_id, &user_id, Some(&room_id), &data_type)
        .await?;
    Ok(JsonAnswer(content))
}
