//! `POST /_matrix/client/*/user_directory/search`

use actix_web::web;
use greenroom_account::UserDirectory;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{ApiError, Author, JsonAnswer, JsonBody, Limited};

/// How many users are found if the client does not say.
const DEFAULT_LIMIT: u64 = 10;

#[derive(Deserialize)]
pub(super) struct Body {
    search_term: String,
    limit: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Answer {
    results: Vec<User>,
    limited: bool,
}

#[derive(Serialize)]
struct User {
    user_id: OwnedUserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

// Names are compared alike in every language, so `Accept-Language` changes nothing.
pub(super) async fn handle(
    author: Author,
    JsonBody(body): JsonBody<Body>,
    directory: web::Data<UserDirectory>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let requester = author.counted(Limited::Lookup)?;
    let limit = body.limit.unwrap_or(DEFAULT_LIMIT);
    let found = directory
        .find(&requester.user_id, &body.search_term, limit)
        .await?;
    let user = |user: greenroom_account::DirectoryUser| User {
        user_id: user.user_id,
        display_name: user.display_name,
        avatar_url: user.avatar_url,
    };
    Ok(JsonAnswer(Answer {
        results: found.users.into_iter().map(user).collect(),
        limited: found.limited,
    }))
}
