//! Who asks.

use std::sync::Arc;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web};
use futures_util::future::LocalBoxFuture;
use greenroom_auth::Sessions;
use greenroom_storage::Session;
use percent_encoding::percent_decode_str;
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::ApiError;

/// The user and device that a request speaks for. It exists only for a valid access token.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The local user.
    pub user_id: OwnedUserId,
    /// The device that the token belongs to.
    pub device_id: OwnedDeviceId,
    /// Whether the user administers this server.
    pub admin: bool,
    // Nobody outside this file can make one.
    _proof: Proof,
}

#[derive(Clone, Debug)]
struct Proof;

impl Requester {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            user_id: session.user_id.clone(),
            device_id: session.device_id.clone(),
            admin: session.admin,
            _proof: Proof,
        }
    }
}

impl FromRequest for Requester {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { session_of(&request).await.map(|session| Self::of(&session)) })
    }
}

/// The session that a request speaks for. It is looked up once.
pub(crate) async fn session_of(request: &HttpRequest) -> Result<Arc<Session>, ApiError> {
    if let Some(session) = request.extensions().get::<Arc<Session>>() {
        return Ok(Arc::clone(session));
    }
    let token = access_token(request)?;
    let sessions = request
        .app_data::<web::Data<Sessions>>()
        .ok_or_else(|| ApiError::internal(&"the sessions are not wired"))?;
    let session = sessions.authenticate(&token).await?;
    request.extensions_mut().insert(Arc::clone(&session));
    Ok(session)
}

/// Whether a request names an access token, good or not.
pub(crate) fn has_token(request: &HttpRequest) -> bool {
    bearer_token(request).is_some() || query_token(request.query_string()).is_some()
}

/// The access token of a request: in the `Authorization` header, or, as old clients do, in the
/// query. Not in both: one of them may not be the one that somebody meant.
fn access_token(request: &HttpRequest) -> Result<String, ApiError> {
    match (bearer_token(request), query_token(request.query_string())) {
        (Some(_), Some(_)) => Err(ApiError::missing_token(
            "The access token goes into the Authorization header or into the query, not into both.",
        )),
        (Some(token), None) | (None, Some(token)) => Ok(token),
        (None, None) => Err(ApiError::missing_token("An access token is missing.")),
    }
}

fn bearer_token(request: &HttpRequest) -> Option<String> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

fn query_token(query: &str) -> Option<String> {
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="))?;
    // No token of ours has a plus or a byte that is not UTF-8 in it.
    Some(percent_decode_str(token).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn outcome(request: TestRequest) -> Result<String, String> {
        access_token(&request.to_http_request()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_in_the_header_or_in_the_query_but_not_in_both() {
        let missing = Err("401 M_MISSING_TOKEN".to_owned());
        let header = ("Authorization", "Bearer gr_a");
        assert_eq!(outcome(TestRequest::get().uri("/x")), missing);
        assert_eq!(
            outcome(TestRequest::get().insert_header(header)),
            Ok("gr_a".to_owned())
        );
        let query = "/x?since=1&access_token=gr%5Fb";
        assert_eq!(
            outcome(TestRequest::get().uri(query)),
            Ok("gr_b".to_owned())
        );
        assert_eq!(
            outcome(TestRequest::get().uri(query).insert_header(header)),
            missing
        );
        let basic = ("Authorization", "Basic YTpi");
        assert_eq!(outcome(TestRequest::get().insert_header(basic)), missing);
    }
}
