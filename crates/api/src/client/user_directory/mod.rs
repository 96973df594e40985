//! The [user directory](https://spec.matrix.org/v1.19/client-server-api/#user-directory).

use ruma::api::client::user_directory::search_users as search_of;

use crate::{Routes, endpoint};

mod search_users;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<search_of::v3::Request, _, _>(routes, search_users::handle);
}
