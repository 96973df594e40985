//! Accounts: made, changed, ended.

use actix_web::http::Method;
use ruma::api::client::account::{
    change_password, check_registration_token_validity, deactivate as deactivate_account,
    get_username_availability, register as register_account, whoami as who_am_i,
};

use crate::{Access, Routes, custom_endpoint, endpoint};

pub(super) mod deactivate;
mod password;
mod register;
mod register_available;
mod registration_token_validity;
mod stage_fallback;
mod whoami;

const STAGE_FALLBACK: [&str; 2] = [
    "/_matrix/client/r0/auth/{stage}/fallback/web",
    "/_matrix/client/v3/auth/{stage}/fallback/web",
];

pub(super) fn list(routes: &mut Routes) {
    endpoint::<register_account::v3::Request, _, _>(routes, register::handle);
    endpoint::<get_username_availability::v3::Request, _, _>(routes, register_available::handle);
    endpoint::<check_registration_token_validity::v1::Request, _, _>(
        routes,
        registration_token_validity::handle,
    );
    endpoint::<who_am_i::v3::Request, _, _>(routes, whoami::handle);
    endpoint::<change_password::v3::Request, _, _>(routes, password::handle);
    endpoint::<deactivate_account::v3::Request, _, _>(routes, deactivate::handle);
    let anybody = Access::Anybody;
    custom_endpoint(
        routes,
        &Method::GET,
        anybody,
        &STAGE_FALLBACK,
        stage_fallback::show,
    );
    custom_endpoint(
        routes,
        &Method::POST,
        anybody,
        &STAGE_FALLBACK,
        stage_fallback::submit,
    );
}
