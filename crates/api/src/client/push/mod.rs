//! [Push rules](https://spec.matrix.org/v1.19/client-server-api/#push-rules-api), to be read.

use greenroom_push::PushRules;
use ruma::{
    api::client as spec,
    push::{AnyPushRule, RuleKind},
};

use crate::{ApiError, Requester, Routes, endpoint};

mod get_pushrule;
mod get_pushrule_actions;
mod get_pushrule_enabled;
mod get_pushrules_all;
mod get_pushrules_global_scope;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<spec::push::get_pushrules_all::v3::Request, _, _>(routes, get_pushrules_all::handle);
    endpoint::<spec::push::get_pushrules_global_scope::v3::Request, _, _>(
        routes,
        get_pushrules_global_scope::handle,
    );
    endpoint::<spec::push::get_pushrule::v3::Request, _, _>(routes, get_pushrule::handle);
    endpoint::<spec::push::get_pushrule_enabled::v3::Request, _, _>(
        routes,
        get_pushrule_enabled::handle,
    );
    endpoint::<spec::push::get_pushrule_actions::v3::Request, _, _>(
        routes,
        get_pushrule_actions::handle,
    );
}

fn rule(requester: &Requester, kind: RuleKind, rule_id: &str) -> Result<AnyPushRule, ApiError> {
    PushRules::of(&requester.user_id)
        .rule(kind, rule_id)
        .ok_or_else(|| ApiError::not_found("There is no such push rule."))
}
