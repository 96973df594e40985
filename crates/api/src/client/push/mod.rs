//! [Push notifications](https://spec.matrix.org/v1.19/client-server-api/#push-notifications): rules, and pushers.

use greenroom_push::{PushError, PushService};
use ruma::{
    api::client as spec,
    push::{AnyPushRule, RuleKind},
};

use crate::{ApiError, Requester, Routes, endpoint};

mod delete_pushrule;
mod get_notifications;
mod get_pushers;
mod get_pushrule;
mod get_pushrule_actions;
mod get_pushrule_enabled;
mod get_pushrules_all;
mod get_pushrules_global_scope;
mod set_pusher;
mod set_pushrule;
mod set_pushrule_actions;
mod set_pushrule_enabled;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<spec::push::get_pushers::v3::Request, _, _>(routes, get_pushers::handle);
    endpoint::<spec::push::set_pusher::v3::Request, _, _>(routes, set_pusher::handle);
    endpoint::<spec::push::get_notifications::v3::Request, _, _>(routes, get_notifications::handle);
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
    endpoint::<spec::push::set_pushrule::v3::Request, _, _>(routes, set_pushrule::handle);
    endpoint::<spec::push::delete_pushrule::v3::Request, _, _>(routes, delete_pushrule::handle);
    endpoint::<spec::push::set_pushrule_enabled::v3::Request, _, _>(
        routes,
        set_pushrule_enabled::handle,
    );
    endpoint::<spec::push::set_pushrule_actions::v3::Request, _, _>(
        routes,
        set_pushrule_actions::handle,
    );
}

async fn rule(
    push: &PushService,
    requester: &Requester,
    kind: RuleKind,
    rule_id: &str,
) -> Result<AnyPushRule, ApiError> {
    let rules = push.rules(&requester.user_id).await?;
    let rule = rules.rule(kind, rule_id);
    rule.ok_or_else(|| PushError::NoSuchRule.into())
}
