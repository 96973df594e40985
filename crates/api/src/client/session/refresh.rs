//! `POST /_matrix/client/v3/refresh`

use actix_web::web;
use greenroom_auth::{AuthService, Token};
use ruma::api::client::session::refresh_token::v3;

use crate::{ApiError, Ruma};

// Not limited: a token cannot be guessed, and what is not one of ours is refused by its checksum.
pub(super) async fn handle(
    Ruma(request): Ruma<v3::Request>,
    auth: web::Data<AuthService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let session = auth.refresh(&request.refresh_token).await?;
    let mut response = v3::Response::new(session.access_token.reveal());
    response.refresh_token = session.refresh_token.map(Token::reveal);
    response.expires_in_ms = session.expires_in;
    Ok(Ruma(response))
}
