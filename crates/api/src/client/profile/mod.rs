//! [Profiles](https://spec.matrix.org/v1.19/client-server-api/#profiles).

use ruma::api::client as spec;

use crate::{Routes, endpoint};

mod delete_profile_field;
mod get_profile;
mod get_profile_field;
mod set_profile_field;

pub(super) fn list(routes: &mut Routes) {
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
