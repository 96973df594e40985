//! `GET /.well-known/matrix/client`

use actix_web::web;
use ruma::api::client::discovery::discover_homeserver::{HomeserverInfo, Request, Response};

use crate::{ApiError, ApiSettings, Ruma};

pub(super) async fn handle(
    _: Ruma<Request>,
    settings: web::Data<ApiSettings>,
) -> Result<Ruma<Response>, ApiError> {
    let base_url = settings.public_base_url.clone().ok_or_else(|| {
        ApiError::not_found("This server does not know under which address it is reached.")
    })?;
    Ok(Ruma(Response::new(HomeserverInfo::new(base_url))))
}
