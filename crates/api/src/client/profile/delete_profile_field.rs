//! `DELETE /_matrix/client/*/profile/{userId}/{keyName}`

use actix_web::web;
use greenroom_account::ProfileService;
use ruma::{OwnedUserId, api::client::profile::delete_profile_field::v3};

use crate::{ApiError, Author, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((user_id, key)): Path<(OwnedUserId, String)>,
    profiles: web::Data<ProfileService>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Update)?;
    profiles
        .delete_field(&requester.user_id, &user_id, &key)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
