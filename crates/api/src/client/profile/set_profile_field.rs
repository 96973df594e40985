//! `PUT /_matrix/client/*/profile/{userId}/{keyName}`

use actix_web::web;
use greenroom_account::ProfileService;
use greenroom_storage::Profile;
use ruma::{OwnedUserId, api::client::profile::set_profile_field::v3};

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((user_id, key)): Path<(OwnedUserId, String)>,
    JsonBody(mut body): JsonBody<Profile>,
    profiles: web::Data<ProfileService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    let value = body.remove(&key).ok_or_else(|| {
        ApiError::missing_param("The body has no field of the name that the path has.")
    })?;
    profiles
        .set_field(&requester.user_id, &user_id, &key, value)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
