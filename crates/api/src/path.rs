//! The variable segments of a path as types of one's own: for endpoints whose body ruma does not
//! read as we do.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use serde::de::{
    DeserializeOwned,
    value::{Error, SeqDeserializer},
};

use crate::{ApiError, routes::PathArgs};

/// The variable segments of the path, in their order: a tuple, or a struct of as many fields.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let args = extensions.get::<PathArgs>().map_or(&[][..], |args| &args.0);
        ready(parse(args).map(Self))
    }
}

fn parse<T: DeserializeOwned>(args: &[String]) -> Result<T, ApiError> {
    let segments = SeqDeserializer::<_, Error>::new(args.iter().map(String::as_str));
    T::deserialize(segments).map_err(|error| {
        ApiError::invalid_param(format!("A part of the path has a wrong value: {error}."))
    })
}

#[cfg(test)]
mod tests {
    use ruma::{OwnedRoomId, OwnedUserId};

    use super::*;

    #[test]
    fn segments_are_parsed_and_what_is_no_id_is_a_bad_parameter() {
        let args = ["@a:b", "!r:b", "m.\0tag"].map(str::to_owned);
        let (user_id, room_id, tag): (OwnedUserId, OwnedRoomId, String) = parse(&args).unwrap();
        assert_eq!((user_id.as_str(), room_id.as_str()), ("@a:b", "!r:b"));
        assert_eq!(tag, "m.\0tag");
        let error = parse::<(OwnedRoomId, OwnedRoomId, String)>(&args).unwrap_err();
        assert_eq!(error.to_string(), "400 M_INVALID_PARAM");
    }
}
