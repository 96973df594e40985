//! `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`

use actix_web::web;
use greenroom_rooms::Rooms;
use greenroom_storage::Direction;
use ruma::api::{Direction as Way, client::room::get_event_by_timestamp::v1};

use crate::{ApiError, Requester, Ruma};

pub(super) async fn handle(
    requester: Requester,
    Ruma(request): Ruma<v1::Request>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v1::Response>, ApiError> {
    let direction = match request.dir {
        Way::Forward => Direction::Forward,
        Way::Backward => Direction::Backward,
    };
    let ts_ms = request.ts.get().into();
    let event = rooms
        .event_by_time(&request.room_id, &requester.user_id, ts_ms, direction)
        .await?;
    Ok(Ruma(v1::Response::new(
        event.event_id,
        event.origin_server_ts,
    )))
}
