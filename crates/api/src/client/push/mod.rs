//! [Push rules](https://spec.matrix.org/v1.19/client-server-api/#push-rules-api), to be read.

pub(super) mod get_pushrule;
pub(super) mod get_pushrule_actions;
pub(super) mod get_pushrule_enabled;
pub(super) mod get_pushrules_all;
pub(super) mod get_pushrules_global_scope;

use greenroom_account::PushRules;
use ruma::push::{AnyPushRule, RuleKind};

use crate::{ApiError, Requester};

fn rule(requester: &Requester, kind: RuleKind, rule_id: &str) -> Result<AnyPushRule, ApiError> {
    PushRules::of(&requester.user_id)
        .rule(kind, rule_id)
        .ok_or_else(|| ApiError::not_found("There is no such push rule."))
}
