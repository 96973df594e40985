//! `PUT /_matrix/client/*/directory/list/room/{roomId}`

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, api::client::directory::set_room_visibility::v3};
use serde::Deserialize;

use crate::{ApiError, Author, JsonBody, Limited, Path, Ruma};

// ruma's type asks for what the specification has a default for, and takes any word.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(default)]
    visibility: Visibility,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    #[default]
    Public,
    Private,
}

pub(super) async fn handle(
    author: Author,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    JsonBody(Body { visibility }): JsonBody<Body>,
    rooms: web::Data<Rooms>,
) -> Result<Ruma<v3::Response>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let published = visibility == Visibility::Public;
    rooms
        .publish(&room_id, published, &requester.user_id, requester.admin)
        .await?;
    Ok(Ruma(v3::Response::new()))
}
