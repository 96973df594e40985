//! What a path is about, for handlers that serve it with and without a transaction ID.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use greenroom_rooms::TransactionUse;
use ruma::OwnedTransactionId;
use serde::de::{
    DeserializeOwned,
    value::{Error, StrDeserializer},
};

use crate::{ApiError, PathArgs, Requester};

/// The first variable segment of the path, and the transaction ID that may come after it, as in
/// the first API.
pub(super) struct Subject<T> {
    pub(super) id: T,
    txn_id: Option<OwnedTransactionId>,
}

impl<T> Subject<T> {
    /// What makes a retry of the request the same act; `endpoint` is the path up to the ID.
    pub(super) fn transaction(
        self,
        requester: &Requester,
        endpoint: &str,
    ) -> Option<TransactionUse> {
        let txn_id = self.txn_id?;
        Some(super::transaction(requester, endpoint, txn_id))
    }
}

impl<T: DeserializeOwned> FromRequest for Subject<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let args = extensions.get::<PathArgs>().map_or(&[][..], |args| &args.0);
        let id = parse(args.first().map_or("", String::as_str));
        let txn_id = args.get(1).map(|segment| segment.as_str().into());
        ready(id.map(|id| Self { id, txn_id }))
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
