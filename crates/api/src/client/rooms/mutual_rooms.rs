//! `GET /_matrix/client/v1/mutual_rooms`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::Author;
use crate::{ApiError, JsonAnswer, Limited, Query};

#[derive(Deserialize)]
pub(super) struct Params {
    user_id: OwnedUserId,
    from: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Answer {
    count: u64,
    joined: Vec<OwnedRoomId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

pub(super) async fn handle(
    author: Author,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let requester = author.counted(Limited::Lookup)?;
    let page = rooms
        .mutual_rooms(&requester.user_id, &params.user_id, params.from.as_deref())
        .await?;
    Ok(JsonAnswer(Answer {
        count: page.count,
        joined: page.joined,
        next_batch: page.next_batch,
    }))
}
