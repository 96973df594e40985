//! `GET /_matrix/client/v1/rooms/{roomId}/threads`

use actix_web::web;
use greenroom_rooms::{EventView, Rooms, ThreadsRequest};
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};

use super::{Limit, reader};
use crate::{ApiError, JsonAnswer, Path, Query, Requester};

#[derive(Deserialize)]
pub(super) struct Params {
    from: Option<String>,
    limit: Option<Limit>,
    #[serde(default)]
    include: Include,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Include {
    #[default]
    All,
    Participated,
}

#[derive(Serialize)]
pub(super) struct Answer {
    chunk: Vec<EventView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

pub(super) async fn handle(
    requester: Requester,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let request = ThreadsRequest {
        from: params.from.filter(|token| !token.is_empty()),
        limit: Limit::of(params.limit),
        participated: params.include == Include::Participated,
    };
    let list = rooms.threads(&room_id, &reader(requester), request).await?;
    Ok(JsonAnswer(Answer {
        chunk: list.chunk,
        next_batch: list.next_batch,
    }))
}
