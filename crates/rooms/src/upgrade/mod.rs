//! Putting a room of another version in the place of one.
//!
//! The replacement is made of the old room's state as it was read, and written together with the
//! old room's last events if that state still holds then; otherwise all is done again. So there is
//! one replacement however many ask at once, nothing of the old room is lost in between, and a
//! crash leaves all of it or nothing.

mod contents;
mod follow;
pub(crate) mod power_levels;

use std::sync::Arc;

use greenroom_events::{Pdu, RoomVersion};
use greenroom_model::StreamPosition;
use greenroom_storage::{NewRoom, StorageError};
use ruma::{
    OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId,
};

pub use self::follow::NotificationSettings;
use self::power_levels::Powers;
use crate::{
    RoomError, Rooms,
    create::Builder,
    power::Power,
    send::CANONICAL_ALIAS,
    wish::{Act, MemberAction, MemberWish, UpgradeWish, Wish},
};

/// How often an upgrade begins again because the room has changed meanwhile.
const TRIES: usize = 16;
const POWER_LEVELS: &str = "m.room.power_levels";
const TOMBSTONE: &str = "m.room.tombstone";
/// State with an empty key that the new room has otherwise than the old one.
const CHANGED: [&str; 4] = ["m.room.create", POWER_LEVELS, CANONICAL_ALIAS, TOMBSTONE];

/// The types of state that are read of the old room.
fn state_types() -> Vec<String> {
    let types = contents::COPIED.iter().chain(&CHANGED);
    let types = types.chain([&contents::SPACE_CHILD]);
    types.map(|event_type| (*event_type).to_owned()).collect()
}

/// An upgrade that somebody asks for. See
/// [room upgrades](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades).
#[derive(Clone, Debug)]
pub struct UpgradeRoom {
    /// Who.
    pub upgrader: OwnedUserId,
    /// The version of the new room.
    pub version: RoomVersionId,
    /// The `additional_creators` of the request, as the client wrote them.
    pub additional_creators: Option<serde_json::Value>,
}

/// What of the old room the new one is made of.
struct OldRoom {
    room_id: OwnedRoomId,
    version: RoomVersion,
    /// Up to where all this was read.
    as_of: StreamPosition,
    newest: OwnedEventId,
    create: Pdu,
    state: Vec<Pdu>,
    bans: Vec<Pdu>,
    aliases: Vec<OwnedRoomAliasId>,
}

/// What the new room is to be, and who makes it.
struct Plan {
    version: RoomVersion,
    upgrader: OwnedUserId,
    additional_creators: Vec<OwnedUserId>,
    /// The upgrader's join.
    join: MemberWish,
}

impl OldRoom {
    /// The event that the room holds in a place with an empty state key.
    fn held(&self, event_type: &str) -> Option<&Pdu> {
        self.state.iter().find(|pdu| pdu.is_state(event_type, ""))
    }

    fn power(&self) -> Power<'_> {
        Power::new(&self.version, &self.create, self.held(POWER_LEVELS))
    }

    fn is_space(&self) -> bool {
        let room_type = contents::content(&self.create).remove("type");
        room_type.is_some_and(|it| it.as_str() == Some("m.space"))
    }
}

impl Rooms {
    /// Puts a room of another version in the place of one: makes it of the old one's state, moves
    /// the aliases and the entry in the directory, and ends the old one with a tombstone. Gives the
    /// new room.
    ///
    /// A room that was upgraded to this version before gives the same room again.
    ///
    /// # Errors
    ///
    /// [`RoomError::UnsupportedVersion`]; [`RoomError::NotInRoom`] and [`RoomError::Forbidden`] for
    /// who may not send tombstones; [`RoomError::BadState`] if it was upgraded to another version;
    /// [`RoomError::InvalidParam`] for additional creators that are no users;
    /// [`RoomError::InvalidRoomState`] for a room whose state makes no other. Nothing was done then.
    pub async fn upgrade(
        &self,
        room_id: &RoomId,
        request: UpgradeRoom,
    ) -> Result<OwnedRoomId, RoomError> {
        let UpgradeRoom {
            upgrader,
            version,
            additional_creators,
        } = request;
        let version = RoomVersion::new(&version).ok_or(RoomError::UnsupportedVersion(version))?;
        let asked = additional_creators.as_ref();
        let plan = Arc::new(Plan {
            additional_creators: contents::additional_creators(asked, &version, &upgrader)?,
            join: self.join_of(&upgrader).await?,
            version,
            upgrader,
        });
        for _ in 0..TRIES {
            self.require_joined(room_id, &plan.upgrader).await?;
            let old = self.old_room(room_id).await?;
            let power = old.power();
            if !power
                .allows_state(&plan.upgrader, TOMBSTONE)
                .map_err(RoomError::Forbidden)?
            {
                return Err(RoomError::Forbidden(
                    "you may not upgrade this room".to_owned(),
                ));
            }
            if let Some(replacement) = self.upgraded_before(&old, &plan.version).await? {
                self.settle_in(&replacement, &plan.upgrader).await?;
                return Ok(replacement);
            }
            match self.replace(old, &plan).await {
                Ok(replacement) => {
                    self.settle_in(&replacement, &plan.upgrader).await?;
                    return Ok(replacement);
                }
                // The room has changed since it was read: once that is written, again.
                Err(RoomError::Storage(StorageError::Conflict)) => {
                    self.parts().rooms.settle().await?;
                }
                Err(other) => return Err(other),
            }
        }
        Err(RoomError::Busy)
    }

    async fn join_of(&self, upgrader: &UserId) -> Result<MemberWish, RoomError> {
        let action = MemberAction::Join {
            authorized_by: None,
        };
        self.member_wish(upgrader, upgrader, action, None).await
    }

    /// Reads what the new room is made of. Its reader is in the room.
    async fn old_room(&self, room_id: &RoomId) -> Result<OldRoom, RoomError> {
        let parts = self.parts();
        // First of all: what changes from here on stops the upgrade.
        let as_of = parts.stream.position();
        let row = parts.rooms.room_head(room_id).await?;
        let row = row.ok_or(RoomError::NotInRoom)?;
        let version = RoomVersion::new(&row.version)
            .ok_or_else(|| StorageError::Damaged(format!("room version {}", row.version)))?;
        let types = Some(state_types());
        let mut state = Vec::new();
        for event in parts.state.state_at(room_id, as_of, types).await? {
            state.push(Pdu::from_stored(&event, &version)?);
        }
        let mut bans = Vec::new();
        for event in parts.upgrades.bans(room_id).await? {
            bans.push(Pdu::from_stored(&event, &version)?);
        }
        let create = state.iter().find(|pdu| pdu.is_state("m.room.create", ""));
        Ok(OldRoom {
            room_id: room_id.to_owned(),
            as_of,
            newest: row.newest.event_id.clone(),
            create: create.cloned().ok_or(RoomError::NoSuchRoom)?,
            version,
            state,
            bans,
            aliases: parts.directory.aliases(room_id).await?,
        })
    }

    /// The room that this one was replaced by before, if that is of the version asked for.
    async fn upgraded_before(
        &self,
        old: &OldRoom,
        version: &RoomVersion,
    ) -> Result<Option<OwnedRoomId>, RoomError> {
        let tombstone = old.held(TOMBSTONE).map(contents::content);
        let Some(replacement) = tombstone.and_then(contents::replacement_of) else {
            return Ok(None);
        };
        // Anybody with the power can put up a tombstone that leads nowhere.
        if self.predecessor(&replacement).await? != Some(old.room_id.clone()) {
            return Ok(None);
        }
        match self.parts().rooms.room_version(&replacement).await? {
            Some(id) if id == version.id => Ok(Some(replacement)),
            _ => Err(RoomError::BadState(
                "the room was upgraded before, to another version",
            )),
        }
    }

    /// Makes the replacement and has it written with the old room's last events.
    #[expect(
        clippy::disallowed_methods,
        reason = "neither SQL nor a password, and as rare as upgrades are"
    )]
    async fn replace(&self, old: OldRoom, plan: &Arc<Plan>) -> Result<OwnedRoomId, RoomError> {
        let (room_id, as_of) = (old.room_id.clone(), old.as_of);
        let places = contents::COPIED.iter().chain(&CHANGED).map(|event_type| {
            let held = old.held(event_type).map(|pdu| pdu.event_id.clone());
            (((*event_type).to_owned(), String::new()), held)
        });
        let places = places.collect();
        let banned = old.bans.iter();
        let banned = banned.filter_map(|pdu| pdu.state_key.as_deref()?.try_into().ok());
        let banned = banned.collect();
        let (rooms, plan_here) = (self.clone(), Arc::clone(plan));
        // Each event is signed, and a room may have banned thousands.
        let built = tokio::task::spawn_blocking(move || rooms.build_replacement(&old, &plan_here));
        let replacement = built.await.map_err(|_| RoomError::Panicked)??;
        let new_room = replacement.room_id.clone();
        let wish = Wish {
            act: Act::Upgrade(UpgradeWish {
                sender: plan.upgrader.clone(),
                places,
                state_types: state_types(),
                as_of,
                banned,
                replacement,
            }),
            transaction: None,
        };
        self.propose(&room_id, wish).await?;
        tracing::info!(room.id = %room_id, replacement = %new_room, "room upgraded");
        Ok(new_room)
    }

    fn build_replacement(&self, old: &OldRoom, plan: &Plan) -> Result<NewRoom, RoomError> {
        let levels = old.held(POWER_LEVELS).map(contents::content);
        let bans = old
            .bans
            .iter()
            .filter_map(|pdu| contents::ban(pdu, &plan.upgrader));
        let bans: Vec<MemberWish> = bans
            .filter(|ban| !plan.additional_creators.contains(&ban.target))
            .collect();
        let levels = Powers {
            had_levels: levels.is_some(),
            content: levels.unwrap_or_default(),
            old_creators: old.power().creators().map_err(RoomError::Forbidden)?,
            old: &old.version,
            new: &plan.version,
            upgrader: &plan.upgrader,
            additional_creators: &plan.additional_creators,
            banned: &bans
                .iter()
                .map(|ban| ban.target.clone())
                .collect::<Vec<_>>(),
        }
        .carried_over();
        let mut builder = Builder::new(self, plan.version.clone(), &plan.upgrader);
        builder.create(contents::create(
            &old.room_id,
            &old.create,
            &old.newest,
            &plan.version,
            &plan.upgrader,
            &plan.additional_creators,
        ))?;
        builder.add(Act::Member(plan.join.clone()))?;
        builder.state(POWER_LEVELS, "", levels.first)?;
        for event_type in contents::COPIED {
            let copied = old.held(event_type);
            if let Some(content) = copied.and_then(|pdu| contents::copied(pdu, &plan.version)) {
                builder.state(event_type, "", content)?;
            }
        }
        if old.is_space() {
            let children = old.state.iter();
            for child in children.filter(|pdu| pdu.type_name == contents::SPACE_CHILD) {
                let key = child.state_key.as_deref().unwrap_or_default();
                // Of a user's own place only that user speaks.
                if let Some(content) = contents::copied(child, &plan.version)
                    && !key.starts_with('@')
                {
                    builder.state(contents::SPACE_CHILD, key, content)?;
                }
            }
        }
        let aliases = old.held(CANONICAL_ALIAS);
        if let Some(content) = aliases.and_then(|pdu| contents::canonical_alias(pdu, &old.aliases))
        {
            builder.state(CANONICAL_ALIAS, "", content)?;
        }
        for ban in bans {
            builder.add(Act::Member(ban))?;
        }
        if let Some(last) = levels.last {
            builder.state(POWER_LEVELS, "", last)?;
        }
        builder.finish()
    }
}
