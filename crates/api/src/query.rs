//! The query of a request as a type of one's own: for endpoints that ruma does not know.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use ruma::exports::serde_html_form;
use serde::de::DeserializeOwned;

use crate::{ApiError, body::wrong_shape};

/// The parameters of the query.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = serde_html_form::from_str(request.query_string());
        ready(parsed.map(Self).map_err(|error| wrong_parameter(&error)))
    }
}

/// The answer to a parameter of the query or the path that is missing or cannot be read.
pub(crate) fn wrong_parameter(error: &serde_html_form::de::Error) -> ApiError {
    let text = wrong_shape(&error.to_string());
    // serde has no code for it, only this text.
    if text.starts_with("missing field") {
        ApiError::missing_param(format!("A parameter is missing: {text}."))
    } else {
        ApiError::invalid_param(format!("A parameter is not as it should be: {text}."))
    }
}
