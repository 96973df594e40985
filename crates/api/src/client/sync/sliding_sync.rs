//! `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync`

use std::time::Duration;

use actix_web::{HttpRequest, web};
use greenroom_sync::{SlidingAnswer, SlidingBody, SlidingRequest, SyncService};
use serde::Deserialize;
use tokio::sync::watch;

use super::sync_events::SetPresence;
use crate::{ApiError, JsonAnswer, JsonBody, Query, Requester, client::rooms::Limit};

#[derive(Deserialize)]
pub(super) struct Params {
    pos: Option<String>,
    set_presence: Option<SetPresence>,
    timeout: Option<Limit>,
}

pub(super) async fn handle(
    requester: Requester,
    Query(params): Query<Params>,
    JsonBody(body): JsonBody<SlidingBody>,
    http: HttpRequest,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<SlidingAnswer>, ApiError> {
    let answer = sync.sliding_sync(SlidingRequest {
        user_id: requester.user_id,
        device_id: requester.device_id,
        pos: params.pos.filter(|pos| !pos.is_empty()),
        set_presence: params.set_presence.unwrap_or_default().into(),
        timeout: Duration::from_millis(Limit::of(params.timeout).unwrap_or(0)),
        body,
    });
    // As in `/sync`: it must not wait for nobody.
    let Some(mut gone) = http.conn_data::<watch::Receiver<bool>>().cloned() else {
        return Ok(JsonAnswer(answer.await?));
    };
    tokio::select! {
        biased;
        answer = answer => Ok(JsonAnswer(answer?)),
        _ = gone.wait_for(|gone| *gone) => Err(ApiError::unavailable("The client has hung up.")),
    }
}
