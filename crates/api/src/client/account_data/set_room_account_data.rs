//! `PUT /_matrix/client/*/user/{userId}/rooms/{roomId}/account_data/{type}`

use actix_web::web;
use greenroom_account::AccountDataService;
use ruma::{OwnedRoomId, OwnedUserId, api::client::config::set_room_account_data::v3};
use serde_json::value::RawValue;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((user_id, room_id, data_type)): Path<(OwnedUserId, OwnedRoomId, String)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
    account_data: web::Data<AccountDataService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    account_data
        .set(
            &requester.user_id,
            &user_id,
            Some(&room_id),
            &data_type,
            content,
        )
        .await?;
    Ok(Ruma(v3::Response::new()))
}
