//! `GET /_matrix/client/*/presence/{userId}/status`

use std::time::Duration;

use actix_web::web;
use greenroom_ephemeral::PresenceTracker;
use ruma::{api::client::presence::get_presence::v3, presence::PresenceState};

use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    Ruma(request): Ruma<v3::Request>,
    presence: web::Data<PresenceTracker>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let status = presence
        .status(&requester.user_id, &request.user_id)
        .await?;
    let online = status.presence == PresenceState::Online;
    let mut response = v3::Response::new(status.presence);
    response.status_msg = status.status_msg;
    response.last_active_ago = status.last_active_ago_ms.map(Duration::from_millis);
    response.currently_active = online.then_some(status.currently_active);
    Ok(Ruma(response))
}
