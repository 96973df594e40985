//! `PUT /_matrix/client/*/presence/{userId}/status`

use actix_web::web;
use greenroom_ephemeral::PresenceTracker;
use ruma::api::client::presence::set_presence::v3;

use crate::{ApiError, Author, Limited, Ruma};

pub(super) async fn handle(
    author: Author,
    Ruma(request): Ruma<v3::Request>,
    presence: web::Data<PresenceTracker>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let v3::Request {
        user_id,
        presence: state,
        status_msg,
        ..
    } = request;
    presence.set_status(&requester.user_id, &user_id, &state, status_msg)?;
    Ok(Ruma(v3::Response::new()))
}
