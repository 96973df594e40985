//! `GET /_matrix/client/*/rooms/{roomId}/joined_members`

use std::collections::BTreeMap;

use actix_web::web;
use greenroom_rooms::Rooms;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;

use crate::{ApiError, JsonAnswer, Path, Requester};

#[derive(Serialize)]
pub(super) struct Answer {
    joined: BTreeMap<OwnedUserId, Member>,
}

// An avatar may be anything that a member event may say. ruma's type takes MXC URIs alone.
#[derive(Serialize)]
struct Member {
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

pub(super) async fn handle(
    requester: Requester,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let members = rooms.joined_members(&room_id, &requester.user_id).await?;
    let joined = members.into_iter().map(|member| {
        let profile = Member {
            display_name: member.display_name,
            avatar_url: member.avatar_url,
        };
        (member.user_id, profile)
    });
    Ok(JsonAnswer(Answer {
        joined: joined.collect(),
    }))
}
