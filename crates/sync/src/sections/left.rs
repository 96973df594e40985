//! Rooms that the user has left, or was removed from.

use std::collections::BTreeMap;

use greenroom_model::StreamPosition;
use greenroom_storage::RoomMembership;
use ruma::{OwnedRoomId, events::room::member::MembershipState};

use super::{
    Told,
    account_data::OfRooms,
    listed,
    state::{Known, Wanted},
};
use crate::{LeftRoom, SyncError, service::Reading};

impl Reading<'_> {
    /// Rooms left since the last answer; in an initial sync all, if the filter asks for them.
    pub(super) async fn left(
        &self,
        account_data: &OfRooms,
    ) -> Result<BTreeMap<OwnedRoomId, LeftRoom>, SyncError> {
        let mut left = BTreeMap::new();
        let after = self.after();
        let all = (self.since.is_none() || self.request.full_state) && self.filter.include_leave;
        let wanted = match self.since {
            None => all,
            Some(_) => all || self.user.newest_membership() > after,
        };
        if !wanted {
            return Ok(left);
        }
        let from = if all { StreamPosition::START } else { after };
        let members = &self.service.parts.members;
        let upto = self.upto.position;
        let user_id = &self.user.user_id;
        let mut rooms = members.left_rooms(user_id, from, upto).await?;
        if self.since.is_some() {
            // Forgotten on one device, and perhaps not yet left on this one.
            rooms.extend(members.forgotten_rooms(user_id, after, upto).await?);
        }
        for room in rooms {
            if self.filter.rooms.allows_room(&room.room_id) {
                let data = account_data.get(&room.room_id).cloned().unwrap_or_default();
                let Some(mut section) = self.left_room(&room, after, all).await? else {
                    continue;
                };
                section.account_data = listed(data);
                left.insert(room.room_id, section);
            }
        }
        Ok(left)
    }

    /// The section of one room; `None` for a forgotten one that this device knows to be left.
    async fn left_room(
        &self,
        room: &RoomMembership,
        after: StreamPosition,
        all: bool,
    ) -> Result<Option<LeftRoom>, SyncError> {
        let room_id = &room.room_id;
        let left_at = room.position;
        let history = self.full_history(room_id).await?.and_event_at(left_at);
        let before = history.membership_at(after);
        if room.forgotten && matches!(before, MembershipState::Leave | MembershipState::Ban) {
            return Ok(None);
        }
        // Who was invited and declined knows nothing of the room but that, even if they were in
        // it once: what they may know ends where they were last joined.
        let departed = history
            .departed_by(left_at)
            .filter(|departed| !room.forgotten && (all || *departed > after));
        let was_in = before == &MembershipState::Join;
        let known = match was_in && !self.request.full_state {
            true => Known::Upto(after),
            false => Known::Nothing,
        };
        let lower = match departed {
            _ if self.since.is_some() && left_at <= after => left_at,
            Some(_) if was_in => after,
            Some(_) => StreamPosition::START,
            None => left_at.before(),
        };
        let mut timeline = self
            .timeline(room_id, None, lower, left_at, &history)
            .await?;
        let state = match departed {
            Some(departed) => {
                // The timeline may begin after the user had gone, with an invite that they declined.
                let shown_from = timeline.start;
                timeline.start = shown_from.min(departed);
                let wanted = Wanted {
                    room_id,
                    room: None,
                    known,
                    upto: departed,
                    heroes: &[],
                    joined_since: None,
                };
                let state = self.state(&wanted, &timeline, &mut Told::default()).await?;
                timeline.start = shown_from;
                state
            }
            None => Vec::new(),
        };
        let state = self.state_list(&state, &history).await?;
        let mut section = LeftRoom {
            timeline: self.batch(room_id, &timeline, &history).await?,
            ..LeftRoom::default()
        };
        match self.request.use_state_after {
            true => section.state_after = Some(state),
            // Empty or not: matrix-nio reads it without looking.
            false => section.state = Some(state),
        }
        Ok(Some(section))
    }
}
