//! The endpoints of the client-server API: a folder per area, a file per endpoint.

mod account;
mod account_data;
mod discovery;
mod ephemeral;
mod profile;
mod push;
mod session;

pub use account::deactivate::DeactivationHook;

use actix_web::web;
use ruma::api::client as spec;

use crate::{dispatch, endpoint, routes::Routes};

/// Makes the app answer the client-server API, and everything that it has no other service for
/// with 404 `M_UNRECOGNIZED`.
///
/// Register the app's own pages before, and as application data: `Data<AuthService>`,
/// `Data<Sessions>`, `Data<ApiSettings>`, `Data<RateLimits>`, `Data<dyn DeactivationHook>`, and
/// the services that the other endpoints ask for.
pub fn configure(cfg: &mut web::ServiceConfig) {
    dispatch::serve(cfg, routes());
}

/// Every endpoint. This is the one list: what is not in it is not there.
#[must_use]
pub fn routes() -> Routes {
    let mut routes = Routes::default();
    discovery::list(&mut routes);
    session::list(&mut routes);
    account::list(&mut routes);
    profiles(&mut routes);
    account_data(&mut routes);
    ephemeral(&mut routes);
    push_rules(&mut routes);
    routes
}

fn profiles(routes: &mut Routes) {
    use profile::{delete_profile_field, get_profile, get_profile_field, set_profile_field};
    endpoint::<spec::profile::get_profile::v3::Request, _, _>(routes, get_profile::handle);
    endpoint::<spec::profile::get_profile_field::v3::Request, _, _>(
        routes,
        get_profile_field::handle,
    );
    endpoint::<spec::profile::set_profile_field::v3::Request, _, _>(
        routes,
        set_profile_field::handle,
    );
    endpoint::<spec::profile::delete_profile_field::v3::Request, _, _>(
        routes,
        delete_profile_field::handle,
    );
}

fn account_data(routes: &mut Routes) {
    use account_data::{
        create_tag, delete_tag, get_global_account_data, get_room_account_data, get_tags,
        set_global_account_data, set_room_account_data,
    };
    endpoint::<spec::config::get_global_account_data::v3::Request, _, _>(
        routes,
        get_global_account_data::handle,
    );
    endpoint::<spec::config::set_global_account_data::v3::Request, _, _>(
        routes,
        set_global_account_data::handle,
    );
    endpoint::<spec::config::get_room_account_data::v3::Request, _, _>(
        routes,
        get_room_account_data::handle,
    );
    endpoint::<spec::config::set_room_account_data::v3::Request, _, _>(
        routes,
        set_room_account_data::handle,
    );
    endpoint::<spec::tag::get_tags::v3::Request, _, _>(routes, get_tags::handle);
    endpoint::<spec::tag::create_tag::v3::Request, _, _>(routes, create_tag::handle);
    endpoint::<spec::tag::delete_tag::v3::Request, _, _>(routes, delete_tag::handle);
}

fn ephemeral(routes: &mut Routes) {
    use ephemeral::{
        create_receipt, create_typing_event, get_presence, set_presence, set_read_marker,
    };
    endpoint::<spec::typing::create_typing_event::v3::Request, _, _>(
        routes,
        create_typing_event::handle,
    );
    endpoint::<spec::presence::get_presence::v3::Request, _, _>(routes, get_presence::handle);
    endpoint::<spec::presence::set_presence::v3::Request, _, _>(routes, set_presence::handle);
    endpoint::<spec::receipt::create_receipt::v3::Request, _, _>(routes, create_receipt::handle);
    endpoint::<spec::read_marker::set_read_marker::v3::Request, _, _>(
        routes,
        set_read_marker::handle,
    );
}

fn push_rules(routes: &mut Routes) {
    use push::{
        get_pushrule, get_pushrule_actions, get_pushrule_enabled, get_pushrules_all,
        get_pushrules_global_scope,
    };
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
