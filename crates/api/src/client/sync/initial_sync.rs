//! `GET /_matrix/client/*/initialSync`

use actix_web::web;
use greenroom_sync::{InitialSync, SyncService};
use serde::Deserialize;

use crate::{ApiError, JsonAnswer, Query, Requester, client::rooms::Limit};

#[derive(Deserialize)]
pub(super) struct Params {
    limit: Option<Limit>,
    #[serde(default)]
    archived: bool,
}

pub(super) async fn handle(
    requester: Requester,
    Query(params): Query<Params>,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<InitialSync>, ApiError> {
    let limit = Limit::of(params.limit);
    let answer = sync
        .initial_sync(
            &requester.user_id,
            &requester.device_id,
            limit,
            params.archived,
        )
        .await?;
    Ok(JsonAnswer(answer))
}
