//! `POST /_matrix/client/*/knock/{roomIdOrAlias}`

use actix_web::web;
use greenroom_rooms::{Asked, JoinTarget, Rooms};
use ruma::OwnedRoomOrAliasId;

use super::{Author, EnteredRoom, leave_room::Reason};
use crate::{ApiError, JsonAnswer, JsonBody, Limited, Path};

pub(super) async fn handle(
    author: Author,
    Path((target,)): Path<(OwnedRoomOrAliasId,)>,
    JsonBody(Reason { reason }): JsonBody<Reason>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<EnteredRoom>, ApiError> {
    let requester = author.counted(Limited::Join)?;
    let room_id = rooms.resolve(&JoinTarget::from(&*target)).await?;
    let asked = Asked {
        reason,
        transaction: None,
    };
    rooms.knock(&room_id, &requester.user_id, asked).await?;
    Ok(JsonAnswer(EnteredRoom { room_id }))
}
