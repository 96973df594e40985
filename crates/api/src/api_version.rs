//! By which version of its path an endpoint was called.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};

use crate::{ApiError, routes::PathArgs};

/// The version in a path like `/_matrix/client/r0/sync`, for handlers that answer an old one in
/// its old way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// `r0`, of the years 2016 to 2021.
    R0,
    /// `v1`, for endpoints that came after `v3`.
    V1,
    /// `v3`, today's.
    V3,
    /// `unstable`, or no version at all.
    Other,
}

impl ApiVersion {
    fn of(path: &str) -> Self {
        match path.split('/').nth(3) {
            Some("r0") => Self::R0,
            Some("v1") => Self::V1,
            Some("v3") => Self::V3,
            Some(_) | None => Self::Other,
        }
    }
}

impl FromRequest for ApiVersion {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request.uri().path())))
    }
}

impl FromRequest for PathArgs {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_third_segment() {
        assert_eq!(ApiVersion::of("/_matrix/client/r0/sync"), ApiVersion::R0);
        assert_eq!(ApiVersion::of("/_matrix/client/v3/sync"), ApiVersion::V3);
        assert_eq!(
            ApiVersion::of("/_matrix/client/versions"),
            ApiVersion::Other
        );
        assert_eq!(ApiVersion::of("/"), ApiVersion::Other);
    }
}
