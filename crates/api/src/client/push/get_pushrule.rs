//! `GET /_matrix/client/*/pushrules/global/{kind}/{ruleId}`

use ruma::api::client::push::get_pushrule::v3;

use super::rule;
use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    Ruma(request): Ruma<v3::Request>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let rule = rule(&requester, request.kind, &request.rule_id)?;
    Ok(Ruma(v3::Response::new(rule.into())))
}
