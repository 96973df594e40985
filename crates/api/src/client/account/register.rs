//! `POST /_matrix/client/*/register`

use actix_web::{http::StatusCode, web};
use greenroom_auth::{AuthService, DeviceRequest, Password, RegisterRequest};
use ruma::OwnedDeviceId;
use serde::Deserialize;

use crate::{
    ApiError, ClientAddress, JsonAnswer, Limited, Query, RateLimits, UiaBody,
    client::session::SessionAnswer,
};

// ruma's type would do but for one thing: its `auth` knows only the stages of the specification,
// each with all of its fields, and what is wrong with an attempt is for the dance to say.
#[derive(Deserialize)]
pub(super) struct Body {
    username: Option<String>,
    password: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    inhibit_login: Option<bool>,
    refresh_token: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Kind {
    kind: Option<String>,
}

pub(super) async fn handle(
    Query(Kind { kind }): Query<Kind>,
    address: ClientAddress,
    body: UiaBody<Body>,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<JsonAnswer<SessionAnswer>, ApiError> {
    match kind.as_deref() {
        None | Some("user") => {}
        Some("guest") => {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "M_GUEST_ACCESS_FORBIDDEN",
                "This server has no guest accounts.",
            ));
        }
        Some(_) => return Err(ApiError::invalid_param("There is no such kind of account.")),
    }
    limits.check(Limited::Registration, None, address)?;
    let UiaBody {
        request, attempt, ..
    } = body;
    let registered = auth
        .register(RegisterRequest {
            username: request.username,
            password: request.password.map(Password::new).transpose()?,
            inhibit_login: request.inhibit_login.unwrap_or(false),
            device: DeviceRequest {
                device_id: request.device_id,
                display_name: request.initial_device_display_name,
                refresh_token: request.refresh_token.unwrap_or(false),
            },
            auth: attempt,
        })
        .await?;
    tracing::info!(user.id = %registered.user_id, "account registered");
    Ok(JsonAnswer(match registered.session {
        Some(session) => SessionAnswer::from(session),
        None => SessionAnswer::without_login(registered.user_id),
    }))
}
