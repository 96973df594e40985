//! `GET /_matrix/client/*/notifications`

use actix_web::web;
use greenroom_push::{NotificationsPage, NotificationsQuery, PushService};
use serde::Deserialize;

use crate::{ApiError, JsonAnswer, Query, Requester, client::rooms::Limit};

#[derive(Deserialize)]
pub(super) struct Params {
    from: Option<String>,
    limit: Option<Limit>,
    only: Option<String>,
}

pub(super) async fn handle(
    requester: Requester,
    Query(params): Query<Params>,
    push: web::Data<PushService>,
) -> Result<JsonAnswer<NotificationsPage>, ApiError> {
    let query = NotificationsQuery {
        from: params.from,
        limit: Limit::of(params.limit),
        only_highlights: params.only.as_deref() == Some("highlight"),
    };
    let device_id = Some(&*requester.device_id);
    let page = push
        .notifications(&requester.user_id, device_id, query)
        .await?;
    Ok(JsonAnswer(page))
}
