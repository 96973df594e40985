//! `GET /_matrix/client/*/rooms/{roomId}/initialSync`

use actix_web::web;
use greenroom_sync::{InitialRoom, SyncService};
use ruma::OwnedRoomId;
use serde::Deserialize;

use crate::{ApiError, JsonAnswer, Path, Query, Requester, client::rooms::Limit};

#[derive(Deserialize)]
pub(super) struct Params {
    limit: Option<Limit>,
}

pub(super) async fn handle(
    requester: Requester,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    Query(params): Query<Params>,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<InitialRoom>, ApiError> {
    let limit = Limit::of(params.limit);
    let answer = sync
        .room_initial_sync(&requester.user_id, &requester.device_id, &room_id, limit)
        .await?;
    Ok(JsonAnswer(answer))
}
