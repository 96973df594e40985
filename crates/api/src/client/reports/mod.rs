//! [Reporting content](https://spec.matrix.org/v1.19/client-server-api/#reporting-content).

use ruma::api::client as spec;

use crate::{Routes, endpoint};

mod report_event;
mod report_room;
mod report_user;

pub(super) fn list(routes: &mut Routes) {
    endpoint::<spec::room::report_content::v3::Request, _, _>(routes, report_event::handle);
    endpoint::<spec::room::report_room::v3::Request, _, _>(routes, report_room::handle);
    endpoint::<spec::reporting::report_user::v3::Request, _, _>(routes, report_user::handle);
}
