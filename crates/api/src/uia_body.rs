//! The body of a request that needs user-interactive authentication.

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use greenroom_auth::UiaAttempt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{ApiError, body};

/// A request, and what it brings along to be let through.
#[derive(Clone, Debug)]
pub struct UiaBody<T> {
    /// The request itself.
    pub request: T,
    /// Its `auth` object.
    pub attempt: UiaAttempt,
    /// Everything but `auth`, which is what gets authorized.
    pub without_auth: Map<String, Value>,
}

impl<T: DeserializeOwned + 'static> FromRequest for UiaBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = body::read_object(request, payload.take());
        Box::pin(async move { parse(&body.await?) })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<UiaBody<T>, ApiError> {
    let mut without_auth: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| body::wrong_json(&error))?;
    let attempt = match without_auth.remove("auth") {
        None | Some(Value::Null) => UiaAttempt(None),
        Some(Value::Object(auth)) => UiaAttempt(Some(auth)),
        Some(_) => return Err(ApiError::bad_json("The field 'auth' is not an object.")),
    };
    let request = serde_json::from_value(Value::Object(without_auth.clone()))
        .map_err(|error| body::wrong_json(&error))?;
    Ok(UiaBody {
        request,
        attempt,
        without_auth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Wish {
        name: String,
    }

    #[test]
    fn what_is_proven_is_kept_apart_from_what_is_wanted() {
        let body: UiaBody<Wish> =
            parse(br#"{"name":"x","auth":{"type":"m.login.dummy"},"more":1}"#).unwrap();
        assert_eq!(body.request.name, "x");
        assert!(body.attempt.0.is_some());
        assert!(!body.without_auth.contains_key("auth"));
        assert!(body.without_auth.contains_key("more"));
    }

    #[test]
    fn b52_an_auth_that_is_no_object_is_bad_json() {
        for body in [
            r#"{"name":"x","auth":[]}"#,
            r#"{"name":"x","auth":"dummy"}"#,
            "{}",
        ] {
            let refused = parse::<Wish>(body.as_bytes()).unwrap_err();
            assert_eq!(refused.errcode(), Some("M_BAD_JSON"), "{body}");
        }
        assert!(
            parse::<Wish>(br#"{"name":"x","auth":null}"#)
                .unwrap()
                .attempt
                .0
                .is_none()
        );
    }
}
