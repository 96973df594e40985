//! `GET /_matrix/client/*/profile/{userId}/{keyName}`

use actix_web::web;
use greenroom_account::ProfileService;
use greenroom_storage::Profile;
use ruma::OwnedUserId;

use crate::{ApiError, JsonAnswer, Path};

pub(super) async fn handle(
    Path((user_id, key)): Path<(OwnedUserId, String)>,
    profiles: web::Data<ProfileService>,
) -> Result<JsonAnswer<Profile>, ApiError> {
    let value = profiles.field(&user_id, &key).await?;
    Ok(JsonAnswer(Profile::from_iter([(key, value)])))
}
