//! `POST /_matrix/client/*/login`

use actix_web::web;
use greenroom_auth::{
    AuthError, AuthService, DeviceRequest, Identifier, LoginRequest, Password, PasswordProblem,
};
use ruma::OwnedDeviceId;
use serde::Deserialize;

use super::SessionAnswer;
use crate::{ApiError, ClientAddress, JsonAnswer, JsonBody, Limited, RateLimits};

// ruma's type panics on a body without a type.
#[derive(Deserialize)]
pub(super) struct Body {
    r#type: String,
    identifier: Option<UserIdentifier>,
    user: Option<String>,
    medium: Option<String>,
    address: Option<String>,
    password: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    refresh_token: Option<bool>,
}

/// In the specification's own example of a login by a third-party identifier it has no type.
#[derive(Deserialize)]
struct UserIdentifier {
    r#type: Option<String>,
    user: Option<String>,
    medium: Option<String>,
    address: Option<String>,
}

pub(super) async fn handle(
    address: ClientAddress,
    JsonBody(body): JsonBody<Body>,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<JsonAnswer<SessionAnswer>, ApiError> {
    if body.r#type != "m.login.password" {
        return Err(ApiError::bad_request(
            "M_UNKNOWN",
            "This server has no such type of login.",
        ));
    }
    let identifier = body.identifier()?;
    let password = body.password.ok_or_else(|| missing("password"))?;
    let password = match Password::new(password) {
        // Nobody has an empty password, so this tells nothing of who exists.
        Err(AuthError::PasswordUnusable(PasswordProblem::Empty)) => {
            return Err(AuthError::WrongCredentials.into());
        }
        other => other?,
    };
    let counted_for = auth.counted_for(&identifier);
    limits.check(Limited::Login, counted_for.as_deref(), address)?;
    let device = DeviceRequest {
        device_id: body.device_id,
        display_name: body.initial_device_display_name,
        refresh_token: body.refresh_token.unwrap_or(false),
    };
    let session = auth
        .login(LoginRequest {
            identifier,
            password,
            device,
        })
        .await?;
    if let Some(counted_for) = counted_for {
        limits.login_succeeded(&counted_for, address);
    }
    tracing::info!(user.id = %session.user_id, device.id = %session.device_id, "logged in");
    Ok(JsonAnswer(session.into()))
}

impl Body {
    fn identifier(&self) -> Result<Identifier, ApiError> {
        if let Some(identifier) = &self.identifier {
            let address = identifier.medium.as_ref().zip(identifier.address.as_ref());
            return match identifier.r#type.as_deref() {
                Some("m.id.user") => identifier
                    .user
                    .clone()
                    .map(Identifier::User)
                    .ok_or_else(|| missing("identifier.user")),
                // Nobody is known here by an address or a number, and that is 403, not 400.
                Some("m.id.thirdparty" | "m.id.phone") => Ok(Identifier::Unknown),
                None if address.is_some() => Ok(Identifier::Unknown),
                None => Err(missing("identifier.type")),
                Some(_) => Err(ApiError::bad_request(
                    "M_UNKNOWN",
                    "There is no such identifier.",
                )),
            };
        }
        match (&self.user, &self.medium, &self.address) {
            (Some(user), _, _) => Ok(Identifier::User(user.clone())),
            (None, Some(_), Some(_)) => Ok(Identifier::Unknown),
            (None, _, _) => Err(missing("identifier")),
        }
    }
}

fn missing(field: &'static str) -> ApiError {
    ApiError::bad_json(format!("The field '{field}' is missing."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(body: &str) -> Result<Identifier, String> {
        let body: Body = serde_json::from_str(body).unwrap();
        body.identifier().map_err(|error| error.to_string())
    }

    #[test]
    fn somebody_is_named_in_today_s_way_or_in_the_old_ones() {
        let alice = Ok(Identifier::User("alice".to_owned()));
        let today = r#"{"type":"x","identifier":{"type":"m.id.user","user":"alice"}}"#;
        assert_eq!(identifier(today), alice);
        assert_eq!(identifier(r#"{"type":"x","user":"alice"}"#), alice);
        let both = r#"{"type":"x","user":"bob","identifier":{"type":"m.id.user","user":"alice"}}"#;
        assert_eq!(identifier(both), alice);
        for address in [
            r#"{"type":"x","medium":"email","address":"a@b.c"}"#,
            r#"{"type":"x","identifier":{"medium":"email","address":"a@b.c"}}"#,
            r#"{"type":"x","identifier":{"type":"m.id.thirdparty","medium":"email","address":"a@b.c"}}"#,
            r#"{"type":"x","identifier":{"type":"m.id.phone","country":"GB","phone":"1"}}"#,
        ] {
            assert_eq!(identifier(address), Ok(Identifier::Unknown), "{address}");
        }
        for bad in [
            r#"{"type":"x"}"#,
            r#"{"type":"x","identifier":{"type":"m.id.user"}}"#,
            r#"{"type":"x","identifier":{"user":"alice"}}"#,
            r#"{"type":"x","identifier":{}}"#,
        ] {
            assert_eq!(identifier(bad), Err("400 M_BAD_JSON".to_owned()));
        }
    }
}
