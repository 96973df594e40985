//! What this server is and what it can do.

use ruma::api::client::discovery::{discover_homeserver, get_capabilities, get_supported_versions};

use crate::{Routes, endpoint};

mod capabilities;
mod versions;
mod well_known;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<get_supported_versions::Request, _, _>(routes, versions::handle);
    endpoint::<get_capabilities::v3::Request, _, _>(routes, capabilities::handle);
    endpoint::<discover_homeserver::Request, _, _>(routes, well_known::handle);
}
