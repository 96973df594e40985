//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`

use actix_web::web;
use greenroom_rooms::{HierarchyQuery, HierarchyRoom, Rooms};
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{Author, Limit, summary::Summary};
use crate::{ApiError, JsonAnswer, Limited, Path, Query};

#[derive(Deserialize)]
pub(super) struct Params {
    from: Option<String>,
    limit: Option<Limit>,
    max_depth: Option<Limit>,
    #[serde(default)]
    suggested_only: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    rooms: Vec<Chunk<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<&'a str>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    children_state: &'a [Box<RawValue>],
}

impl<'a> Chunk<'a> {
    fn of(room: &'a HierarchyRoom) -> Self {
        Self {
            summary: Summary::of(&room.preview),
            children_state: &room.children_state,
        }
    }
}

pub(super) async fn handle(
    author: Author,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Box<RawValue>>, ApiError> {
    let requester = author.counted(Limited::Lookup)?;
    let query = HierarchyQuery {
        from: params.from.filter(|from| !from.is_empty()),
        limit: Limit::of(params.limit),
        max_depth: Limit::of(params.max_depth),
        suggested_only: params.suggested_only,
    };
    let page = rooms
        .hierarchy(&room_id, &requester.user_id, &query)
        .await?;
    let answer = Answer {
        rooms: page.rooms.iter().map(Chunk::of).collect(),
        next_batch: page.next_batch.as_deref(),
    };
    let answer = to_raw_value(&answer).map_err(|error| ApiError::internal(&error))?;
    Ok(JsonAnswer(answer))
}
