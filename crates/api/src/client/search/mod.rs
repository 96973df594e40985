//! Search in what was said.

use ruma::api::client as spec;

use crate::{Routes, endpoint};

mod search_events;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<spec::search::search_events::v3::Request, _, _>(routes, search_events::handle);
}
