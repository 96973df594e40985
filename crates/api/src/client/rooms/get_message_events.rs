//! `GET /_matrix/client/*/rooms/{roomId}/messages`

use actix_web::web;
use greenroom_events::Format;
use greenroom_rooms::{EventView, PageQuery, Rooms};
use greenroom_storage::Direction;
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};

use super::{Limit, event_filter, reader};
use crate::{ApiError, ApiVersion, JsonAnswer, Path, Query, Requester};

#[derive(Deserialize)]
pub(super) struct Params {
    from: Option<String>,
    to: Option<String>,
    dir: Option<Way>,
    limit: Option<Limit>,
    filter: Option<String>,
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
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    chunk: Vec<EventView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<EventView>,
}

pub(super) async fn handle(
    requester: Requester,
    version: ApiVersion,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let query = params.query(version)?;
    let page = rooms.messages(&room_id, &reader(requester), query).await?;
    Ok(JsonAnswer(Answer {
        start: page.start,
        end: page.end,
        chunk: page.chunk,
        state: page.state,
    }))
}

impl Params {
    fn query(self, version: ApiVersion) -> Result<PageQuery, ApiError> {
        let said = |token: &String| !token.is_empty();
        Ok(PageQuery {
            from: self.from.filter(said),
            to: self.to.filter(said),
            direction: direction(self.dir, version)?,
            limit: Limit::of(self.limit),
            filter: event_filter::parse(self.filter.as_deref())?,
            format: match version {
                ApiVersion::R0 => Format::LEGACY,
                ApiVersion::V1 | ApiVersion::V3 | ApiVersion::Other => Format::CLIENT,
            },
        })
    }
}

/// The old API went forwards where it was not told which way; today's has to be told.
fn direction(way: Option<Way>, version: ApiVersion) -> Result<Direction, ApiError> {
    match (way, version) {
        (Some(Way::Forward), _) | (None, ApiVersion::R0) => Ok(Direction::Forward),
        (Some(Way::Backward), _) => Ok(Direction::Backward),
        (None, ApiVersion::V1 | ApiVersion::V3 | ApiVersion::Other) => Err(
            ApiError::missing_param("The parameter 'dir' is missing: b or f."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_old_api_may_leave_the_direction_open() {
        let found = |way, version| direction(way, version).map_err(|error| error.to_string());
        assert_eq!(found(None, ApiVersion::R0), Ok(Direction::Forward));
        let missing = Err("400 M_MISSING_PARAM".to_owned());
        assert_eq!(found(None, ApiVersion::V3), missing);
        let back = found(Some(Way::Backward), ApiVersion::R0);
        assert_eq!(back, Ok(Direction::Backward));
    }
}
