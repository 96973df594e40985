//! Who asks, if they say so.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use futures_util::future::LocalBoxFuture;

use crate::{
    ApiError, ClientAddress, Limited, RateLimits, Requester,
    requester::{has_token, session_of},
};

/// Somebody with or without a session, known to a handler only once their question is counted.
/// Who names a token must name one that is good.
pub(crate) struct Visitor {
    requester: Option<Requester>,
    address: ClientAddress,
    limits: web::Data<RateLimits>,
}

impl Visitor {
    /// Counts one question and says whose it is; `None` for a stranger, of whom only the address is
    /// counted.
    ///
    /// # Errors
    ///
    /// 429 `M_LIMIT_EXCEEDED`.
    pub(crate) fn counted(self, limited: Limited) -> Result<Option<Requester>, ApiError> {
        let user_id = self.requester.as_ref().map(|it| &*it.user_id);
        self.limits.check(limited, user_id, self.address)?;
        Ok(self.requester)
    }
}

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let address = ClientAddress::from_request(request, payload);
        let limits = request.app_data::<web::Data<RateLimits>>().cloned();
        let request = request.clone();
        Box::pin(async move {
            let requester = match has_token(&request) {
                true => Some(Requester::of(&*session_of(&request).await?)),
                false => None,
            };
            Ok(Self {
                requester,
                address: address.await?,
                limits: limits
                    .ok_or_else(|| ApiError::internal(&"the rate limits are not wired"))?,
            })
        })
    }
}
