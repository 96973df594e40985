//! A room as push rules look at it.

use std::collections::BTreeMap;

use greenroom_events::RoomVersion;
use greenroom_model::StoredEvent;
use ruma::{OwnedUserId, RoomVersionId, UserId};
use serde::Deserialize;
use serde_json::Value;

/// What a kind of notification takes that the power levels do not name.
const NOTIFICATION_DEFAULT: i64 = 50;
/// What a creator has where there are no power levels.
const CREATOR_LEVEL: i64 = 100;

/// What of a room matters to push rules: the members as they are now, the power levels as they were
/// at the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomContext {
    /// How many are joined.
    pub joined_members: u64,
    /// Who may trigger which notifications.
    pub power: NotificationPower,
}

impl RoomContext {
    /// The same with these power levels.
    #[must_use]
    pub fn with(&self, power: NotificationPower) -> Self {
        Self {
            joined_members: self.joined_members,
            power,
        }
    }
}

/// The part of a room's [power levels] that decides who may trigger which notifications.
///
/// [power levels]: https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationPower {
    /// Those who may do everything, whatever the levels say.
    creators: Vec<OwnedUserId>,
    users: BTreeMap<OwnedUserId, i64>,
    users_default: i64,
    notifications: BTreeMap<String, i64>,
}

#[derive(Default, Deserialize)]
struct Create {
    room_version: Option<RoomVersionId>,
    creator: Option<OwnedUserId>,
    #[serde(default)]
    additional_creators: Vec<OwnedUserId>,
}

#[derive(Default, Deserialize)]
struct PowerLevels {
    #[serde(default)]
    users: BTreeMap<String, Value>,
    #[serde(default)]
    users_default: Value,
    #[serde(default)]
    notifications: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Pdu<C> {
    content: C,
}

fn content<'de, C: Deserialize<'de>>(event: &'de StoredEvent) -> Option<C> {
    let pdu: Pdu<C> = serde_json::from_slice(&event.json).ok()?;
    Some(pdu.content)
}

/// A level. Old rooms may say it as a string.
fn level(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64(),
    }
}

impl NotificationPower {
    /// Reads the two events of a room's state that decide: its beginning and its power levels.
    #[must_use]
    pub fn new(create: Option<&StoredEvent>, power_levels: Option<&StoredEvent>) -> Self {
        let mut creators = Vec::new();
        let mut are_privileged = false;
        if let Some(event) = create {
            let create: Create = content(event).unwrap_or_default();
            let version = create.room_version.unwrap_or(RoomVersionId::V1);
            let version = RoomVersion::new(&version);
            let rules = version.map(|version| version.rules.authorization);
            are_privileged = rules.is_some_and(|rules| rules.explicitly_privilege_room_creators);
            match are_privileged {
                true => {
                    creators = create.additional_creators;
                    creators.push(event.sender.clone());
                }
                false => creators.push(create.creator.unwrap_or_else(|| event.sender.clone())),
            }
        }
        let Some(levels) = power_levels else {
            let users = match are_privileged {
                true => BTreeMap::new(),
                false => creators.drain(..).map(|it| (it, CREATOR_LEVEL)).collect(),
            };
            return Self {
                creators,
                users,
                ..Self::default()
            };
        };
        if !are_privileged {
            creators.clear();
        }
        let levels: PowerLevels = content(levels).unwrap_or_default();
        Self {
            creators,
            users: levels
                .users
                .iter()
                .filter_map(|(user, value)| Some((UserId::parse(user).ok()?, level(value)?)))
                .collect(),
            users_default: level(&levels.users_default).unwrap_or_default(),
            notifications: levels
                .notifications
                .into_iter()
                .filter_map(|(key, value)| Some((key, level(&value)?)))
                .collect(),
        }
    }

    /// Whether a sender may trigger notifications of a kind, such as `room`.
    #[must_use]
    pub fn may_notify(&self, sender: &UserId, key: &str) -> bool {
        let level = self.users.get(sender).unwrap_or(&self.users_default);
        let wanted = self.notifications.get(key).unwrap_or(&NOTIFICATION_DEFAULT);
        level >= wanted || self.creators.iter().any(|creator| creator == sender)
    }
}
