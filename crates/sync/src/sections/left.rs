//! Rooms that the user has left, or was removed from.

use std::collections::BTreeMap;

use greenroom_model::StreamPosition;
use greenroom_storage::RoomMembership;
use ruma::OwnedRoomId;

use super::{account_data::OfRooms, joined::end_of, listed, state::Known};
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
        let rooms = members
            .left_rooms(&self.user.user_id, from, self.upto.position)
            .await?;
        for room in rooms {
            if self.filter.rooms.allows_room(&room.room_id) {
                let data = account_data.get(&room.room_id).cloned().unwrap_or_default();
                let mut section = self.left_room(&room, after).await?;
                section.account_data = listed(data);
                left.insert(room.room_id, section);
            }
        }
        Ok(left)
    }

    async fn left_room(
        &self,
        room: &RoomMembership,
        after: StreamPosition,
    ) -> Result<LeftRoom, SyncError> {
        let room_id = &room.room_id;
        let history = self.full_history(room_id).await?;
        // Who was invited and declined knows nothing of the room but that.
        let was_in = history.has_joined();
        let before =
            history.membership_at(after) == &ruma::events::room::member::MembershipState::Join;
        let is_new = self.since.is_none() || !before;
        let lower = match (is_new, was_in) {
            (true, true) => StreamPosition::START,
            (true, false) => room.position.before(),
            (false, _) => after,
        };
        let timeline = self
            .timeline(room_id, None, lower, room.position, &history)
            .await?;
        let known = match (was_in, is_new || self.request.full_state) {
            (true, true) => Known::Nothing,
            _ => Known::Upto(lower),
        };
        let state = match was_in {
            true => {
                self.state(room_id, known, &timeline, room.position, &[])
                    .await?
            }
            false => Vec::new(),
        };
        debug_assert!(
            end_of(&timeline) <= room.position,
            "nothing after the leaving is shown"
        );
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
        Ok(section)
    }
}
