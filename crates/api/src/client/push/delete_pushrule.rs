//! `DELETE /_matrix/client/*/pushrules/global/{kind}/{ruleId}`

use actix_web::web;
use greenroom_push::{PushService, RuleChange};
use ruma::api::client::push::delete_pushrule::v3;

use crate::{ApiError, Author, Limited, Ruma};

pub(super) async fn handle(
    author: Author,
    Ruma(request): Ruma<v3::Request>,
    push: web::Data<PushService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let change = RuleChange::Remove(request.kind, request.rule_id);
    push.change_rules(&requester.user_id, change).await?;
    Ok(Ruma(v3::Response::new()))
}
