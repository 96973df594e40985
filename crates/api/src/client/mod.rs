//! The endpoints of the client-server API: a folder per area, a file per endpoint.

use actix_web::web;

use crate::{dispatch, routes::Routes};

/// Makes the app answer the client-server API, and everything that it has no other service for
/// with 404 `M_UNRECOGNIZED`.
///
/// Register the app's own pages before, and as application data: `Data<Sessions>`,
/// `Data<ApiSettings>`, `Data<RateLimits>`, and the services that the endpoints ask for.
pub fn configure(cfg: &mut web::ServiceConfig) {
    dispatch::serve(cfg, routes());
}

/// Every endpoint. This is the one list: what is not in it is not there.
#[must_use]
pub fn routes() -> Routes {
    Routes::default()
}
