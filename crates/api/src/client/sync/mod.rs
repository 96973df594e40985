//! What is new: `/sync`, its filters, and the older ways to ask.

use ruma::api::client as spec;

use crate::{Routes, endpoint};

mod create_filter;
mod get_filter;
mod initial_sync;
mod listen_to_new_events;
mod room_initial_sync;
mod sliding_sync;
mod sync_events;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<spec::sync::sync_events::v3::Request, _, _>(routes, sync_events::handle);
    endpoint::<spec::filter::create_filter::v3::Request, _, _>(routes, create_filter::handle);
    endpoint::<spec::filter::get_filter::v3::Request, _, _>(routes, get_filter::handle);
    endpoint::<spec::peeking::listen_to_new_events::v3::Request, _, _>(
        routes,
        listen_to_new_events::handle,
    );
    old(routes);
    unstable(routes);
}

/// Endpoints that are not in the specification yet.
fn unstable(routes: &mut Routes) {
    use crate::{Access, custom_endpoint};
    use actix_web::http::Method;

    custom_endpoint(
        routes,
        &Method::POST,
        Access::Token,
        &["/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"],
        sliding_sync::handle,
    );
}

/// Endpoints that ruma does not know.
fn old(routes: &mut Routes) {
    use crate::{Access, custom_endpoint};
    use actix_web::http::Method;

    let paths = &[
        "/_matrix/client/r0/initialSync",
        "/_matrix/client/v3/initialSync",
    ];
    custom_endpoint(
        routes,
        &Method::GET,
        Access::Token,
        paths,
        initial_sync::handle,
    );
    let paths = &[
        "/_matrix/client/r0/rooms/{room_id}/initialSync",
        "/_matrix/client/v3/rooms/{room_id}/initialSync",
    ];
    custom_endpoint(
        routes,
        &Method::GET,
        Access::Token,
        paths,
        room_initial_sync::handle,
    );
}
