//! `GET /_matrix/client/*/sync`

use std::time::Duration;

use actix_web::{HttpRequest, web};
use greenroom_sync::{FilterChoice, SyncAnswer, SyncRequest, SyncService};
use ruma::presence::PresenceState;
use serde::Deserialize;
use tokio::sync::watch;

use crate::{ApiError, ApiVersion, JsonAnswer, Query, Requester, client::rooms::Limit};

#[derive(Deserialize)]
pub(super) struct Params {
    filter: Option<String>,
    since: Option<String>,
    #[serde(default)]
    full_state: bool,
    set_presence: Option<SetPresence>,
    timeout: Option<Limit>,
    /// Not by the name it had before it was in the specification: who asks by that one reads
    /// `state_after` by its old name, too, and copes with `state`, which is what it gets.
    #[serde(default)]
    use_state_after: bool,
}

/// Not ruma's type, which takes any word: a typing error would quietly mean 'online'.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SetPresence {
    Offline,
    #[default]
    Online,
    Unavailable,
}

impl From<SetPresence> for PresenceState {
    fn from(set_presence: SetPresence) -> Self {
        match set_presence {
            SetPresence::Offline => Self::Offline,
            SetPresence::Online => Self::Online,
            SetPresence::Unavailable => Self::Unavailable,
        }
    }
}

pub(super) async fn handle(
    requester: Requester,
    version: ApiVersion,
    Query(params): Query<Params>,
    http: HttpRequest,
    sync: web::Data<SyncService>,
) -> Result<JsonAnswer<SyncAnswer>, ApiError> {
    let request = SyncRequest {
        user_id: requester.user_id,
        device_id: requester.device_id,
        since: params.since.filter(|since| !since.is_empty()),
        filter: params
            .filter
            .filter(|filter| !filter.is_empty())
            .map(choice),
        full_state: params.full_state,
        use_state_after: params.use_state_after,
        set_presence: params.set_presence.unwrap_or_default().into(),
        timeout: Duration::from_millis(Limit::of(params.timeout).unwrap_or(0)),
        r0: version == ApiVersion::R0,
    };
    let answer = sync.sync(&request);
    // actix goes on with a handler whose client has hung up; this one must not wait for nobody.
    let Some(mut gone) = http.conn_data::<watch::Receiver<bool>>().cloned() else {
        return Ok(JsonAnswer(answer.await?));
    };
    tokio::select! {
        biased;
        answer = answer => Ok(JsonAnswer(answer?)),
        _ = gone.wait_for(|gone| *gone) => Err(ApiError::unavailable("The client has hung up.")),
    }
}

/// An ID never begins with a brace, an object always does.
fn choice(filter: String) -> FilterChoice {
    match filter.trim_start().starts_with('{') {
        true => FilterChoice::Inline(filter),
        false => FilterChoice::Stored(filter),
    }
}
