//! `GET /_matrix/client/*/events`

use std::time::Duration;

use actix_web::{HttpRequest, web};
use greenroom_sync::{EventsAnswer, SyncService};
use ruma::OwnedRoomId;
use serde::Deserialize;
use tokio::sync::watch;

use crate::{ApiError, JsonAnswer, Query, Requester, client::rooms::Limit};

/// How long it waits if nobody says.
const DEFAULT_TIMEOUT_MS: u64 = 0;

#[derive(Deserialize)]
pub(super) struct Params {
    from: Option<String>,
    timeout: Option<Limit>,
    room_id: Option<OwnedRoomId>,
}

pub(super) async fn handle(
    requester: Requester,
    Query(params): Query<Params>,
    http: HttpRequest,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<EventsAnswer>, ApiError> {
    let timeout = Limit::of(params.timeout).unwrap_or(DEFAULT_TIMEOUT_MS);
    let answer = sync.events(
        &requester.user_id,
        &requester.device_id,
        params.from.as_deref().filter(|from| !from.is_empty()),
        params.room_id.as_deref(),
        Duration::from_millis(timeout),
    );
    let Some(mut gone) = http.conn_data::<watch::Receiver<bool>>().cloned() else {
        return Ok(JsonAnswer(answer.await?));
    };
    tokio::select! {
        biased;
        answer = answer => Ok(JsonAnswer(answer?)),
        _ = gone.wait_for(|gone| *gone) => Err(ApiError::unavailable("The client has hung up.")),
    }
}
