//! [Typing](https://spec.matrix.org/v1.19/client-server-api/#typing-notifications),
//! [presence](https://spec.matrix.org/v1.19/client-server-api/#presence) and
//! [receipts](https://spec.matrix.org/v1.19/client-server-api/#receipts).

use ruma::api::client as spec;

use crate::{Routes, endpoint};

mod create_receipt;
mod create_typing_event;
mod get_presence;
mod set_presence;
mod set_read_marker;

pub(super) fn list(routes: &mut Routes) {
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
