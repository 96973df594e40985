//! `POST /_matrix/client/*/rooms/{roomId}/report/{eventId}`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedEventId, OwnedRoomId, api::client::room::report_content::v3};
use serde::Deserialize;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

// Without the `score` of before v1.18, whatever it is: nobody looks at it.
#[derive(Deserialize)]
pub(super) struct Body {
    reason: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    Path((room_id, event_id)): Path<(OwnedRoomId, OwnedEventId)>,
    JsonBody(Body { reason }): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Report)?;
    rooms
        .report_event(&room_id, &event_id, &requester.user_id, reason)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
