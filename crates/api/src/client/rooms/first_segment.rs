//! What a path begins with, for handlers that serve paths of two lengths.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use serde::de::{
    DeserializeOwned,
    value::{Error, StrDeserializer},
};

use crate::{ApiError, PathArgs};

/// The first variable segment of the path. A transaction ID may come after it, as in the first
/// API: where a second time changes nothing, it is not looked at.
pub(super) struct FirstSegment<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for FirstSegment<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let args = extensions.get::<PathArgs>().map_or(&[][..], |args| &args.0);
        let segment = args.first().map_or("", String::as_str);
        ready(parse(segment).map(Self))
    }
}

fn parse<T: DeserializeOwned>(segment: &str) -> Result<T, ApiError> {
    T::deserialize(StrDeserializer::<Error>::new(segment)).map_err(|error| {
        ApiError::invalid_param(format!("A part of the path has a wrong value: {error}."))
    })
}

#[cfg(test)]
mod tests {
    use ruma::{OwnedRoomId, OwnedRoomOrAliasId};

    use super::*;

    #[test]
    fn what_is_no_id_is_a_bad_parameter() {
        assert_eq!(parse::<OwnedRoomId>("!r:b").unwrap(), "!r:b");
        assert_eq!(parse::<OwnedRoomOrAliasId>("#r:b").unwrap(), "#r:b");
        for bad in ["", "r", "@r:b", "#r:b"] {
            let error = parse::<OwnedRoomId>(bad).unwrap_err().to_string();
            assert_eq!(error, "400 M_INVALID_PARAM", "{bad:?}");
        }
    }
}
