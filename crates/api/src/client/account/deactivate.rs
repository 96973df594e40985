//! `POST /_matrix/client/*/account/deactivate`

use actix_web::web;
use async_trait::async_trait;
use greenroom_auth::AuthService;
use ruma::{
    UserId,
    api::client::account::{ThirdPartyIdRemovalStatus, deactivate::v3},
};
use serde::Deserialize;

use crate::{ApiError, Author, ClientAddress, Limited, RateLimits, Ruma, UiaBody};

/// What else ends with an account: the memberships of its user.
#[async_trait]
pub trait DeactivationHook: Send + Sync {
    /// Makes `user_id` leave every room they are in, refuse every invite and take back every
    /// knock. It may be called again after a failure, and once more for a user who is nowhere.
    ///
    /// # Errors
    ///
    /// If a room cannot be left now. The account then stays active, and its user can try again.
    async fn leave_all_rooms(&self, user_id: &UserId) -> Result<(), ApiError>;
}

// `id_server` is accepted and not needed: this server has no third-party identifiers to unbind.
// `erase` is accepted too: profile and account data go in any case. Events are served as they were
// to who joins later as well, which the README says.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(default)]
    erase: Option<bool>,
}

pub(super) async fn handle(
    author: Author,
    address: ClientAddress,
    body: UiaBody<Body>,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
    hook: web::Data<dyn DeactivationHook>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let counted = body.attempt.tries_password();
    if counted {
        limits.check(Limited::Login, Some(&requester.user_id), address)?;
    }
    let act = auth.uia_act(
        &requester.user_id,
        "POST /account/deactivate",
        &body.without_auth,
    );
    auth.authorize(act, &body.attempt).await?;
    // A password that was given on the fallback page was counted there.
    if counted {
        limits.login_succeeded(&requester.user_id, address);
    }
    // First the rooms: after the account there is nobody left who could try again.
    hook.leave_all_rooms(&requester.user_id).await?;
    auth.deactivate(&requester.user_id).await?;
    let erase = body.request.erase.unwrap_or(false);
    tracing::info!(user.id = %requester.user_id, erase, "account deactivated");
    Ok(Ruma(v3::Response::new(ThirdPartyIdRemovalStatus::Success)))
}
