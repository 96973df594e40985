//! `POST /_matrix/client/*/logout/all`

use actix_web::web;
use greenroom_auth::AuthService;
use ruma::api::client::session::logout_all::v3;

use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    _: Ruma<v3::Request>,
    auth: web::Data<AuthService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    auth.logout_all(&requester.user_id).await?;
    Ok(Ruma(v3::Response::new()))
}
