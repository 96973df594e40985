//! `DELETE /_matrix/client/*/directory/room/{roomAlias}`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomAliasId, api::client::alias::delete_alias::v3};

use crate::{ApiError, Author, Limited, Path, Ruma};

pub(super) async fn handle(
    author: Author,
    Path((alias,)): Path<(OwnedRoomAliasId,)>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    rooms
        .delete_alias(&alias, &requester.user_id, requester.admin)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
