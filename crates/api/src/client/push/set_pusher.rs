//! `POST /_matrix/client/*/pushers/set`

use actix_web::web;
use greenroom_push::{PusherWish, Pushers};
use ruma::api::client::push::set_pusher::v3;

use crate::{ApiError, Author, JsonBody, Limited, Ruma};

pub(super) async fn handle(
    author: Author,
    JsonBody(wish): JsonBody<PusherWish>,
    pushers: web::Data<Pushers>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    pushers
        .set(&requester.user_id, &requester.device_id, wish)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
