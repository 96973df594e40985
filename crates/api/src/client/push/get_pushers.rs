//! `GET /_matrix/client/*/pushers`

use actix_web::web;
use greenroom_push::{PusherView, Pushers};
use serde::Serialize;

use crate::{ApiError, JsonAnswer, Requester};

/// `data` as it was set: ruma's type would lose what it cannot read.
#[derive(Serialize)]
pub(super) struct Response {
    pushers: Vec<PusherView>,
}

pub(super) async fn handle(
    requester: Requester,
    pushers: web::Data<Pushers>,
) -> Result<JsonAnswer<Response>, ApiError> {
    let pushers = pushers.list(&requester.user_id).await?;
    Ok(JsonAnswer(Response { pushers }))
}
