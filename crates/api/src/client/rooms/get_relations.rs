//! `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}[/{relType}[/{eventType}]]`

use actix_web::web;
use greenroom_rooms::{EventView, RelationsQuery, Rooms};
use greenroom_storage::Direction;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::{Deserialize, Serialize};

use super::{Limit, reader};
use crate::{ApiError, JsonAnswer, Path, Query, Requester};

#[derive(Deserialize)]
pub(super) struct Params {
    from: Option<String>,
    to: Option<String>,
    dir: Option<Way>,
    limit: Option<Limit>,
    recurse: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Way {
    #[serde(rename = "f")]
    Forward,
    #[serde(rename = "b")]
    Backward,
}

#[derive(Serialize)]
pub(super) struct Answer {
    chunk: Vec<EventView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recursion_depth: Option<u64>,
}

pub(super) async fn of_any_type(
    requester: Requester,
    Path((room_id, event_id)): Path<(OwnedRoomId, OwnedEventId)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let query = params.query(None, None);
    answer(&rooms, requester, &room_id, &event_id, query).await
}

pub(super) async fn of_rel_type(
    requester: Requester,
    Path((room_id, event_id, rel_type)): Path<(OwnedRoomId, OwnedEventId, String)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let query = params.query(Some(rel_type), None);
    answer(&rooms, requester, &room_id, &event_id, query).await
}

pub(super) async fn of_event_type(
    requester: Requester,
    Path((room_id, event_id, rel_type, event_type)): Path<(
        OwnedRoomId,
        OwnedEventId,
        String,
        String,
    )>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let query = params.query(Some(rel_type), Some(event_type));
    answer(&rooms, requester, &room_id, &event_id, query).await
}

impl Params {
    fn query(self, rel_type: Option<String>, event_type: Option<String>) -> RelationsQuery {
        let said = |token: &String| !token.is_empty();
        RelationsQuery {
            rel_type,
            event_type,
            from: self.from.filter(said),
            to: self.to.filter(said),
            direction: match self.dir {
                Some(Way::Forward) => Direction::Forward,
                Some(Way::Backward) | None => Direction::Backward,
            },
            limit: Limit::of(self.limit),
            recurse: self.recurse,
        }
    }
}

async fn answer(
    rooms: &Rooms,
    requester: Requester,
    room_id: &OwnedRoomId,
    event_id: &OwnedEventId,
    query: RelationsQuery,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let page = rooms
        .relations(room_id, &reader(requester), event_id, query)
        .await?;
    Ok(JsonAnswer(Answer {
        chunk: page.chunk,
        next_batch: page.next_batch,
        prev_batch: page.prev_batch,
        recursion_depth: page.recursion_depth,
    }))
}
