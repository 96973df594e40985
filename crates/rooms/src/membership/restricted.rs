//! Joining a restricted room: by another room that one is in, if a member here vouches.

use greenroom_events::{Pdu, RoomVersion};
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState,
    state_res::events::RoomPowerLevelsIntField,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{RoomError, Rooms, power::Power};

/// How many members are asked whether they may vouch for a restricted join.
const VOUCHERS: u64 = 100;

/// A room's join rule, as far as a restricted join needs it.
#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
    #[serde(default)]
    allow: serde_json::Value,
}

impl JoinRules {
    /// The rooms whose members are let in. What is no proper condition lets nobody in.
    fn allowed_rooms(&self) -> Vec<OwnedRoomId> {
        let conditions = self.allow.as_array().into_iter().flatten();
        conditions
            .filter(|condition| {
                condition
                    .get("type")
                    .is_some_and(|it| it == "m.room_membership")
            })
            .filter_map(|condition| condition.get("room_id")?.as_str()?.try_into().ok())
            .collect()
    }
}

impl Rooms {
    /// A member who may invite, if the room's rule allows this user in by a room that they share.
    ///
    /// See [restricted rooms](https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms).
    pub(crate) async fn voucher(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<OwnedUserId>, RoomError> {
        let Some(version) = self.parts().rooms.room_version(room_id).await? else {
            return Err(RoomError::NoSuchRoom);
        };
        let Some(version) = RoomVersion::new(&version) else {
            return Ok(None);
        };
        if !version.rules.authorization.restricted_join_rule {
            return Ok(None);
        }
        let keys = ["m.room.create", "m.room.power_levels", "m.room.join_rules"]
            .map(|event_type| (event_type.to_owned(), String::new()));
        let stored = self
            .parts()
            .rooms
            .current_state(room_id, keys.to_vec())
            .await?;
        let mut state = Vec::with_capacity(stored.len());
        for event in &stored {
            state.push(Pdu::from_stored(event, &version)?);
        }
        let held = |event_type: &str| state.iter().find(|pdu| pdu.type_name == event_type);
        let (Some(create), Some(rules)) = (held("m.room.create"), held("m.room.join_rules")) else {
            return Ok(None);
        };
        let Ok(rules) = serde_json::from_str::<JoinRules>(rules.content.get()) else {
            return Ok(None);
        };
        let restricted = rules.join_rule == "restricted"
            || (rules.join_rule == "knock_restricted"
                && version.rules.authorization.knock_restricted_join_rule);
        if !restricted {
            return Ok(None);
        }
        let allowed = rules.allowed_rooms();
        if !self.parts().rooms.joined_any(user_id, &allowed).await? {
            return Ok(None);
        }
        let power = Power::new(&version, create, held("m.room.power_levels"));
        let mut candidates = powerful(&power, held("m.room.power_levels"));
        candidates.extend(
            self.parts()
                .rooms
                .local_joined_members(room_id, &self.server_name(), VOUCHERS)
                .await?,
        );
        for candidate in candidates {
            if self.is_local(candidate.server_name())
                && power
                    .allows(&candidate, RoomPowerLevelsIntField::Invite)
                    .unwrap_or(false)
                && self.membership(room_id, &candidate).await? == Some(MembershipState::Join)
            {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }
}

/// Those whom the room's own state names as having power: creators and who is in its levels.
pub(super) fn powerful(power: &Power<'_>, levels: Option<&Pdu>) -> Vec<OwnedUserId> {
    #[derive(Deserialize)]
    struct Levels {
        #[serde(default)]
        users: std::collections::BTreeMap<OwnedUserId, Box<RawValue>>,
    }
    let mut users: Vec<OwnedUserId> = power.creators().unwrap_or_default().into_iter().collect();
    users.sort();
    if let Some(levels) = levels
        && let Ok(levels) = serde_json::from_str::<Levels>(levels.content.get())
    {
        users.extend(levels.users.into_keys());
    }
    users
}
