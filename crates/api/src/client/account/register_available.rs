//! `GET /_matrix/client/*/register/available`

use actix_web::web;
use greenroom_auth::AuthService;
use ruma::api::client::account::get_username_availability::v3;

use crate::{ApiError, ClientAddress, Limited, RateLimits, Ruma};

pub(super) async fn handle(
    Ruma(request): Ruma<v3::Request>,
    address: ClientAddress,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<Ruma<v3::Response>, ApiError> {
    limits.check(Limited::Registration, None, address)?;
    auth.username_is_available(&request.username).await?;
    Ok(Ruma(v3::Response::new(true)))
}
