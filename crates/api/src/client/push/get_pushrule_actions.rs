//! `GET /_matrix/client/*/pushrules/global/{kind}/{ruleId}/actions`

use actix_web::web;
use greenroom_push::PushService;
use ruma::api::client::push::get_pushrule_actions::v3;

use super::rule;
use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    Ruma(request): Ruma<v3::Request>,
    push: web::Data<PushService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let rule = rule(&push, &requester, request.kind, &request.rule_id).await?;
    Ok(Ruma(v3::Response::new(rule.actions().to_vec())))
}
