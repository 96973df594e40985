//! The content of an event, as its client wrote it.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_LENGTH, HeaderValue},
};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::{ApiError, body};

/// A body that becomes the content of an event: known to be a JSON object, and not parsed here.
/// Unlike elsewhere, it must be there.
pub(crate) struct EventContent(pub(crate) Bytes);

impl FromRequest for EventContent {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let zero = HeaderValue::from_static("0");
        let empty = matches!(payload, Payload::None)
            || request.headers().get(CONTENT_LENGTH) == Some(&zero);
        let body = body::read_object(request, payload.take());
        Box::pin(async move {
            if empty {
                return Err(ApiError::not_json(
                    "The body must be the content of an event.",
                ));
            }
            body.await.map(Self)
        })
    }
}
