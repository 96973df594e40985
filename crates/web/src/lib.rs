//! The pages Greenroom itself serves, embedded in the binary.
//!
//! Two of them, both static and both speaking nothing but the public
//! client-server API: the example application at `/`
//! ([`configure_app`]) and the login fallback ([`configure_login`]). Each is
//! HTML, CSS and modules as they stand in `assets/`, without a build step.
//!
//! Nothing of a request ever enters an answer, so there is nothing to escape
//! here; what the pages show, they show by `textContent`. Every answer carries
//! a content security policy that allows only what the server itself serves.

mod assets;
mod serve;
#[cfg(test)]
mod tests;

use actix_web::web;

/// Serves the example application at `/` and its parts under `/app/`.
///
/// Leave it out where the application is switched off: nothing else depends
/// on it. Other methods than `GET` and `HEAD` on these paths answer 405; paths
/// that are not there are left to the rest of the server.
pub fn configure_app(cfg: &mut web::ServiceConfig) {
    serve::configure(cfg, assets::APP);
}

/// Serves the login fallback page and its parts.
///
/// The page is at `/_matrix/static/client/login/`, where the specification has
/// it ('Login Fallback'), and at `login/fallback` of the client-server API,
/// where old clients look for it. It logs in with a password, passes
/// `device_id` and `initial_device_display_name` on, and hands the answer to
/// `window.matrixLogin.onLogin` or else `window.onLogin`.
pub fn configure_login(cfg: &mut web::ServiceConfig) {
    serve::configure(cfg, assets::LOGIN);
}
