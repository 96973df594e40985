//! Who wants to change something.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use futures_util::future::LocalBoxFuture;

use crate::{ApiError, ClientAddress, Limited, RateLimits, Requester};

/// A requester who wants to change something: known to a handler only once that is counted.
pub(crate) struct Author {
    requester: Requester,
    address: ClientAddress,
    limits: web::Data<RateLimits>,
}

impl Author {
    /// Counts one act and says whose it is.
    ///
    /// # Errors
    ///
    /// 429 `M_LIMIT_EXCEEDED`.
    pub(crate) fn counted(self, limited: Limited) -> Result<Requester, ApiError> {
        self.limits
            .check(limited, Some(&self.requester.user_id), self.address)?;
        Ok(self.requester)
    }
}

impl FromRequest for Author {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let requester = Requester::from_request(request, payload);
        let address = ClientAddress::from_request(request, payload);
        let limits = request.app_data::<web::Data<RateLimits>>().cloned();
        Box::pin(async move {
            Ok(Self {
                requester: requester.await?,
                address: address.await?,
                limits: limits
                    .ok_or_else(|| ApiError::internal(&"the rate limits are not wired"))?,
            })
        })
    }
}
