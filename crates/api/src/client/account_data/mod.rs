//! [Client config](https://spec.matrix.org/v1.19/client-server-api/#client-config) and [room
//! tagging](https://spec.matrix.org/v1.19/client-server-api/#room-tagging).

use ruma::api::client as spec;

use crate::{Routes, endpoint};

mod create_tag;
mod delete_tag;
mod get_global_account_data;
mod get_room_account_data;
mod get_tags;
mod set_global_account_data;
mod set_room_account_data;

pub(super) fn list(routes: &mut Routes) {
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
