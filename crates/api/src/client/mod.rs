//! The endpoints of the client-server API: a folder per area, a file per endpoint.

mod account;
mod account_data;
mod directory;
mod discovery;
mod ephemeral;
mod profile;
mod push;
mod reports;
mod rooms;
mod search;
mod session;
mod sync;
mod user_directory;

pub use account::deactivate::DeactivationHook;

use actix_web::web;

use crate::{dispatch, routes::Routes};

/// Makes the app answer the client-server API, and everything that it has no other service for
/// with 404 `M_UNRECOGNIZED`.
///
/// Register the app's own pages before, and as application data: `Data<AuthService>`,
/// `Data<Sessions>`, `Data<ApiSettings>`, `Data<RateLimits>`, `Data<dyn DeactivationHook>`,
/// `Data<Rooms>`, and the services that the other endpoints ask for.
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
    profile::list(&mut routes);
    account_data::list(&mut routes);
    ephemeral::list(&mut routes);
    push::list(&mut routes);
    rooms::list(&mut routes);
    reports::list(&mut routes);
    search::list(&mut routes);
    directory::list(&mut routes);
    sync::list(&mut routes);
    user_directory::list(&mut routes);
    routes
}
