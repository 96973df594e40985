//! `POST /_matrix/client/*/account/password`

use actix_web::web;
use greenroom_auth::{AuthService, Password};
use ruma::api::client::account::change_password::v3;
use serde::Deserialize;

use crate::{ApiError, Author, ClientAddress, Limited, RateLimits, Ruma, UiaBody};

#[derive(Deserialize)]
pub(super) struct Body {
    new_password: String,
    logout_devices: Option<bool>,
}

pub(super) async fn handle(
    author: Author,
    address: ClientAddress,
    body: UiaBody<Body>,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let new_password = Password::new(body.request.new_password)?;
    let counted = body.attempt.tries_password();
    if counted {
        limits.check(Limited::Login, Some(&requester.user_id), address)?;
    }
    let act = auth.uia_act(
        &requester.user_id,
        "POST /account/password",
        &body.without_auth,
    );
    auth.authorize(act, &body.attempt).await?;
    // A password that was given on the fallback page was counted there.
    if counted {
        limits.login_succeeded(&requester.user_id, address);
    }
    let end_others = body.request.logout_devices.unwrap_or(true);
    let own_device = Some(&*requester.device_id);
    auth.change_password(&requester.user_id, new_password, end_others, own_device)
        .await?;
    tracing::info!(user.id = %requester.user_id, "password changed");
    Ok(Ruma(v3::Response::new()))
}
