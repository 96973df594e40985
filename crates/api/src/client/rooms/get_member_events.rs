//! `GET /_matrix/client/*/rooms/{roomId}/members`

use actix_web::web;
use greenroom_rooms::{EventView, MembersQuery, Rooms};
use ruma::{OwnedRoomId, events::room::member::MembershipState};
use serde::{Deserialize, Serialize};

use super::reader;
use crate::{ApiError, JsonAnswer, Path, Query, Requester};

#[derive(Deserialize)]
pub(super) struct Params {
    at: Option<String>,
    membership: Option<Membership>,
    not_membership: Option<Membership>,
}

/// ruma's type takes any word for a membership.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Membership {
    Join,
    Invite,
    Knock,
    Leave,
    Ban,
}

impl From<Membership> for MembershipState {
    fn from(membership: Membership) -> Self {
        match membership {
            Membership::Join => Self::Join,
            Membership::Invite => Self::Invite,
            Membership::Knock => Self::Knock,
            Membership::Leave => Self::Leave,
            Membership::Ban => Self::Ban,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Answer {
    chunk: Vec<EventView>,
}

pub(super) async fn handle(
    requester: Requester,
    Path((room_id,)): Path<(OwnedRoomId,)>,
    Query(params): Query<Params>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<Answer>, ApiError> {
    let query = MembersQuery {
        at: params.at,
        membership: params.membership.map(MembershipState::from),
        not_membership: params.not_membership.map(MembershipState::from),
    };
    let chunk = rooms
        .member_events(&room_id, &reader(requester), query)
        .await?;
    Ok(JsonAnswer(Answer { chunk }))
}
