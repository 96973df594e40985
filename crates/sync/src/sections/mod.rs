//! One reading of everything that is new, section by section.

mod account_data;
mod bundles;
mod ephemeral;
mod invited;
mod joined;
mod left;
mod presence;
mod state;
mod timeline;

use std::{collections::BTreeMap, sync::Arc};

use greenroom_model::{StreamPosition, SyncToken};
use greenroom_storage::AccountDataEntry;
use ruma::{OwnedRoomId, OwnedUserId, events::room::member::MembershipState};
use serde_json::value::RawValue;

pub(crate) use self::{
    account_data::{OfRooms, data_event},
    ephemeral::{receipt_event, receipt_events, typing_event},
    state::{newest_state, tails},
    timeline::Timeline,
};
use crate::{
    EventList, SyncAnswer, SyncError,
    answer::RoomsAnswer,
    index::{Member, Room, Standing},
    service::Reading,
};

/// What of the user's rooms has to be read.
#[derive(Default)]
struct Candidates {
    joined: Vec<(Arc<Room>, StreamPosition)>,
    invited: Vec<(OwnedRoomId, Standing)>,
    knocked: Vec<(OwnedRoomId, Standing)>,
}

impl SyncAnswer {
    /// Puts empty sections where there are none, as the first clients expect them.
    pub(crate) fn fill_sections(&mut self) {
        self.account_data.get_or_insert_default();
        self.presence.get_or_insert_default();
        let rooms = self.rooms.get_or_insert_default();
        rooms.join.get_or_insert_default();
        rooms.invite.get_or_insert_default();
        rooms.leave.get_or_insert_default();
    }
}

/// A map that is left out when it is empty.
fn filled<T>(map: BTreeMap<OwnedRoomId, T>) -> Option<BTreeMap<OwnedRoomId, T>> {
    (!map.is_empty()).then_some(map)
}

/// A list that is left out when it is empty.
fn listed(events: Vec<Box<RawValue>>) -> Option<EventList> {
    (!events.is_empty()).then_some(EventList { events })
}

impl Reading<'_> {
    /// Reads everything that is new. `None` if memory has run ahead of where the reading ends:
    /// then it has to be done again.
    pub(crate) async fn read(&self) -> Result<Option<Read>, SyncError> {
        let account_data = self.account_data_changes().await?;
        let mut candidates = self.candidates(&account_data);
        if self.user.newest_membership() > self.upto.position {
            return Ok(None);
        }
        let (global, of_rooms) = Self::split_account_data(account_data);
        let mut told = Told::default();
        let mut join = BTreeMap::new();
        for (room, joined_since) in candidates.joined {
            let data = of_rooms.get(&room.room_id).cloned().unwrap_or_default();
            if let Some(joined) = self.joined(&room, joined_since, data, &mut told).await? {
                join.insert(room.room_id.clone(), joined);
            }
        }
        let invited = &mut candidates.invited;
        if !invited.is_empty() && self.service.blocks_invites(&self.user.user_id).await? {
            invited.clear();
        }
        let mut invite = BTreeMap::new();
        for (room_id, standing) in candidates.invited {
            let invited = self.invited(&room_id, &standing).await?;
            invite.insert(room_id, invited);
        }
        let mut knock = BTreeMap::new();
        for (room_id, standing) in candidates.knocked {
            let knocked = self.knocked(&room_id, &standing).await?;
            knock.insert(room_id, knocked);
        }
        let leave = self.left(&of_rooms).await?;
        let rooms = RoomsAnswer {
            join: filled(join),
            invite: filled(invite),
            knock: filled(knock),
            leave: filled(leave),
        };
        let has_rooms = rooms.join.is_some()
            || rooms.invite.is_some()
            || rooms.knock.is_some()
            || rooms.leave.is_some();
        let (presence, presence_upto) = self.presence(&told.newcomers).await?;
        let upto = SyncToken {
            typers: self.upto.typers || told.typers,
            presence: presence_upto,
            ..self.upto
        };
        let tokens = &self.service.parts.tokens;
        let mut answer = SyncAnswer {
            next_batch: tokens.sync(&self.user.user_id, upto),
            account_data: listed(global),
            presence: listed(presence),
            rooms: has_rooms.then_some(rooms),
        };
        if self.request.r0 {
            answer.fill_sections();
        }
        Ok(Some(Read {
            answer,
            upto,
            members: told.members,
        }))
    }

    /// The rooms with something new in them: a comparison of positions in memory.
    fn candidates(&self, account_data: &[AccountDataEntry]) -> Candidates {
        let after = self.after();
        let everything = self.since.is_none() || self.request.full_state;
        let typing = self.since.map_or(0, |since| since.typing);
        let somebody_types = (self.upto.typing > typing || self.typing_is_stale())
            && self.filter.ephemeral.allows_type("m.typing", None);
        let mut found = Candidates::default();
        self.user.each_room(|room_id, standing| {
            if !self.filter.rooms.allows_room(room_id) {
                return;
            }
            match (&standing.membership, &standing.room) {
                (MembershipState::Join, Some(room)) => {
                    let changed = everything
                        || room.newest_event() > after
                        || room.newest_receipt() > after
                        || (somebody_types && self.new_typing(room_id).is_some())
                        || account_data
                            .iter()
                            .any(|entry| entry.room_id.as_ref() == Some(room_id));
                    if changed {
                        found.joined.push((Arc::clone(room), standing.joined_since));
                    }
                }
                // "Servers must not send room invites from ignored users to clients."
                (MembershipState::Invite, _)
                    if standing.position > after && !self.ignored.contains(&standing.sender) =>
                {
                    found.invited.push((room_id.clone(), standing.clone()));
                }
                (MembershipState::Knock, _) if standing.position > after => {
                    found.knocked.push((room_id.clone(), standing.clone()));
                }
                _ => {}
            }
        });
        found
    }
}

/// What an answer says of rooms that matters beside them.
#[derive(Default)]
struct Told {
    /// Users who have become visible with it: their presence goes with it.
    newcomers: Vec<OwnedUserId>,
    /// Whether it says of anybody that they type.
    typers: bool,
    /// The members whose events are in it, where members are lazy-loaded.
    members: Vec<Member>,
}

/// What came of a reading.
pub(crate) struct Read {
    pub(crate) answer: SyncAnswer,
    /// What its token says.
    pub(crate) upto: SyncToken,
    /// The members whose events are in it, where members are lazy-loaded.
    pub(crate) members: Vec<Member>,
}
