//! `PUT /_matrix/client/*/user/{userId}/account_data/{type}`

use actix_web::web;
use greenroom_account::AccountDataService;
use ruma::{OwnedUserId, api::client::config::set_global_account_data::v3};
use serde_json::value::RawValue;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((user_id, data_type)): Path<(OwnedUserId, String)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
    account_data: web::Data<AccountDataService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    account_data
        .set(&requester.user_id, &user_id, None, &data_type, content)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
