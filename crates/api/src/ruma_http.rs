//! Requests and responses of the specification, by ruma's types.

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, Responder,
    ResponseError, body::BoxBody, dev::Payload, http::StatusCode,
};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use ruma::api::{
    IncomingRequest, OutgoingResponse, OutgoingResponseExt, error::DeserializationError,
};

use crate::{ApiError, body, query::wrong_parameter, routes::PathArgs};

/// A request of the specification as an argument of a handler, or a response as its result.
#[derive(Clone, Copy, Debug)]
pub struct Ruma<T>(pub T);

impl<R: IncomingRequest + 'static> FromRequest for Ruma<R> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            // A GET has no body, and one that comes along all the same is not looked at.
            let body = if R::METHOD == http::Method::GET {
                Bytes::new()
            } else {
                body::read_object(&request, payload).await?
            };
            parse(&request, &body).map(Self)
        })
    }
}

/// Builds the request of the specification from a path that was found, the query and a body that
/// was checked.
pub(crate) fn parse<R: IncomingRequest>(request: &HttpRequest, body: &[u8]) -> Result<R, ApiError> {
    let mut converted = http::Request::new(body);
    let query = request.query_string();
    if !query.is_empty() {
        *converted.uri_mut() = format!("/?{query}")
            .parse()
            .map_err(|_| ApiError::invalid_param("The query has characters that no URL has."))?;
    }
    let args = request
        .extensions()
        .get::<PathArgs>()
        .cloned()
        .unwrap_or_default();
    let args: smallvec::SmallVec<[&str; 4]> = args.0.iter().map(String::as_str).collect();
    R::try_from_http_request_inner(converted, &args).map_err(|error| wrong_request(&error))
}

fn wrong_request(error: &DeserializationError) -> ApiError {
    match error {
        DeserializationError::Json(error) => body::wrong_json(error),
        DeserializationError::Query(error) => wrong_parameter(error),
        DeserializationError::Ident(error) => {
            ApiError::invalid_param(format!("A parameter has a wrong value: {error}."))
        }
        DeserializationError::Header(error) => {
            ApiError::invalid_param(format!("A header has a wrong value: {error}."))
        }
        // The enum may grow; whatever it is, it is the request's fault.
        _ => ApiError::invalid_param("The request is not as it should be."),
    }
}

impl<T: OutgoingResponse> Responder for Ruma<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let response = match self.0.try_into_http_response::<Vec<u8>>() {
            Ok(response) => response,
            Err(error) => return ApiError::internal(&error).error_response(),
        };
        let (parts, body) = response.into_parts();
        let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::OK);
        let mut builder = HttpResponseBuilder::new(status);
        for (name, value) in &parts.headers {
            builder.append_header((name.as_str(), value.as_bytes()));
        }
        builder.body(body)
    }
}

/// An answer that ruma has no type for, or that has more in it than ruma's type knows.
#[derive(Clone, Copy, Debug)]
pub struct JsonAnswer<T>(pub T);

impl<T: serde::Serialize> Responder for JsonAnswer<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        match serde_json::to_vec(&self.0) {
            Ok(body) => HttpResponse::Ok()
                .content_type("application/json")
                .body(body),
            Err(error) => ApiError::internal(&error).error_response(),
        }
    }
}
