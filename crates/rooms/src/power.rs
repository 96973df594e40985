//! Power levels as the server itself asks about them, beside the authorization rules.

use std::collections::HashSet;

use greenroom_events::{Pdu, RoomVersion};
use ruma::{
    OwnedUserId, UserId,
    events::room::power_levels::UserPowerLevel,
    int,
    state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField},
};

/// The power levels of a room at one moment.
pub(crate) struct Power<'a> {
    version: &'a RoomVersion,
    create: &'a Pdu,
    levels: Option<RoomPowerLevelsEvent<&'a Pdu>>,
}

/// The room's own state does not read as it must.
pub(crate) type Unreadable = String;

impl<'a> Power<'a> {
    /// From the room's create event and its power levels, if it has any.
    pub(crate) fn new(version: &'a RoomVersion, create: &'a Pdu, levels: Option<&'a Pdu>) -> Self {
        Self {
            version,
            create,
            levels: levels.map(RoomPowerLevelsEvent::new),
        }
    }

    /// Who made the room.
    pub(crate) fn creators(&self) -> Result<HashSet<OwnedUserId>, Unreadable> {
        RoomCreateEvent::new(self.create).creators(&self.version.rules.authorization)
    }

    /// A user's level.
    pub(crate) fn of(&self, user_id: &UserId) -> Result<UserPowerLevel, Unreadable> {
        let rules = &self.version.rules.authorization;
        let creators = self.creators()?;
        if rules.explicitly_privilege_room_creators && creators.contains(user_id) {
            return Ok(UserPowerLevel::Infinite);
        }
        let level = match &self.levels {
            Some(levels) => levels.user_power_level(user_id, rules)?,
            None if creators.contains(user_id) => int!(100),
            None => int!(0),
        };
        Ok(level.into())
    }

    /// Whether a user has the level that one of the named acts needs.
    pub(crate) fn allows(
        &self,
        user_id: &UserId,
        act: RoomPowerLevelsIntField,
    ) -> Result<bool, Unreadable> {
        let rules = &self.version.rules.authorization;
        let needed = match &self.levels {
            Some(levels) => levels.get_as_int_or_default(act, rules)?,
            None => act.default_value(),
        };
        Ok(self.of(user_id)? >= UserPowerLevel::Int(needed))
    }

    /// Whether a user has the level to send state of a type.
    pub(crate) fn allows_state(
        &self,
        user_id: &UserId,
        event_type: &str,
    ) -> Result<bool, Unreadable> {
        let rules = &self.version.rules.authorization;
        let needed = match &self.levels {
            Some(levels) => levels.event_power_level(&event_type.into(), Some(""), rules)?,
            None => RoomPowerLevelsIntField::StateDefault.default_value(),
        };
        Ok(self.of(user_id)? >= UserPowerLevel::Int(needed))
    }
}
