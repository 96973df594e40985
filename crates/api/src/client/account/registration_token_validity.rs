//! `GET /_matrix/client/v1/register/m.login.registration_token/validity`

use actix_web::web;
use greenroom_auth::AuthService;
use ruma::api::client::account::check_registration_token_validity::v1;

use crate::{ApiError, ClientAddress, Limited, RateLimits, Ruma};

pub(super) async fn handle(
    Ruma(request): Ruma<v1::Request>,
    address: ClientAddress,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<Ruma<v1::Response>, ApiError> {
    // Without it, tokens could be guessed here.
    limits.check(Limited::Registration, None, address)?;
    let valid = auth.registration_token_is_valid(&request.token).await?;
    Ok(Ruma(v1::Response::new(valid)))
}
