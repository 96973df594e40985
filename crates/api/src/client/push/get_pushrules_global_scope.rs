//! `GET /_matrix/client/*/pushrules/global/`

use actix_web::web;
use greenroom_push::PushService;
use serde_json::value::RawValue;

use crate::{ApiError, JsonAnswer, Requester};

pub(super) async fn handle(
    requester: Requester,
    push: web::Data<PushService>,
) -> Result<JsonAnswer<Box<RawValue>>, ApiError> {
    let rules = push.rules(&requester.user_id).await?;
    Ok(JsonAnswer(rules.global()))
}
