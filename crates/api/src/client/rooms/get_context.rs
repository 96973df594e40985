//! `GET /_matrix/client/*/rooms/{roomId}/context/{eventId}`

use actix_web::web;
use greenroom_rooms::{EventView, Rooms};
use ruma::{OwnedEventId, OwnedRoomId};
use serde::{Deserialize, Serialize};

use super::{Limit, event_filter, reader};
use crate::{ApiError, JsonAnswer, Path, Query, Requester};

#[derive(Deserialize)]
pub(super) struct Params {
    limit: Option<Limit>,
    filter: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Answer {
    start: String,
    end: String,
    events_before: Vec<EventView>,
    event: EventView,
    events_after: Vec<EventView>,
    state: Vec<EventView>,
}

pub(super) async fn handle(
    requester: Requester,
    Path((room_id, event_id)): Path<(OwnedRoomId, OwnedEventId)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let filter = event_filter::parse(params.filter.as_deref())?;
    let limit = Limit::of(params.limit);
    let context = rooms
        .context(&room_id, &reader(requester), &event_id, limit, &filter)
        .await?;
    Ok(JsonAnswer(Answer {
        start: context.start,
        end: context.end,
        events_before: context.before,
        event: context.event,
        events_after: context.after,
        state: context.state,
    }))
}
