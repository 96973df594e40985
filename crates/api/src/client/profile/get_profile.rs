//! `GET /_matrix/client/*/profile/{userId}`

use actix_web::web;
use greenroom_account::ProfileService;
use greenroom_storage::Profile;
use ruma::OwnedUserId;

use crate::{ApiError, JsonAnswer, Path};

pub(super) async fn handle(
    Path((user_id,)): Path<(OwnedUserId,)>,
    profiles: web::Data<ProfileService>,
) -> Result<JsonAnswer<Profile>, ApiError> {
    Ok(JsonAnswer(profiles.profile(&user_id).await?))
}
