//! `PUT /_matrix/client/*/rooms/{roomId}/typing/{userId}`

use std::time::Duration;

use actix_web::web;
use greenroom_ephemeral::{PresenceTracker, TypingTracker};
use ruma::{OwnedRoomId, OwnedUserId, api::client::typing::create_typing_event::v3};
use serde::Deserialize;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

/// For clients that do not say how long: the interval at which the specification has them repeat
/// themselves.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;

/// ruma's type refuses a request without a timeout; the specification asks for none.
#[derive(Deserialize)]
pub(super) struct Body {
    typing: bool,
    timeout: Option<u64>,
}

pub(super) async fn handle(
    author: Author,
    Path((room_id, user_id)): Path<(OwnedRoomId, OwnedUserId)>,
    JsonBody(body): JsonBody<Body>,
    typing: web::Data<TypingTracker>,
    presence: web::Data<PresenceTracker>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let timeout = Duration::from_millis(body.timeout.unwrap_or(DEFAULT_TIMEOUT_MS));
    let timeout = body.typing.then_some(timeout);
    typing
        .set_typing(&requester.user_id, &room_id, &user_id, timeout)
        .await?;
    presence.active(&user_id);
    Ok(Ruma(v3::Response::new()))
}
