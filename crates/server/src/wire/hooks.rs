//! What one part needs of another that it does not know.

use async_trait::async_trait;
use greenroom_account::{MemberEventUpdater, MemberUpdateError};
use greenroom_api::{ApiError, client::DeactivationHook};
use greenroom_push::{PushService, default_push_rules};
use greenroom_rooms::{NotificationSettings, Rooms};
use greenroom_stream::BuiltinAccountData;
use ruma::{RoomId, UserId};
use serde_json::value::RawValue;

/// Rooms, for accounts that are deactivated.
pub(super) struct LeaveRooms(pub(super) Rooms);

#[async_trait]
impl DeactivationHook for LeaveRooms {
    async fn leave_all_rooms(&self, user_id: &UserId) -> Result<(), ApiError> {
        Ok(self.0.leave_all(user_id).await?)
    }
}

/// Push rules, for rooms that take the place of others.
pub(super) struct RoomRules(pub(super) PushService);

#[async_trait]
impl NotificationSettings for RoomRules {
    async fn carry_over(&self, user_id: &UserId, from: &RoomId, to: &RoomId) -> Result<(), String> {
        let carried = self.0.carry_over_room_rules(user_id, from, to).await;
        carried.map_err(|error| error.to_string())
    }
}

/// Rooms, for profiles that change.
pub(super) struct MemberEvents(pub(super) Rooms);

#[async_trait]
impl MemberEventUpdater for MemberEvents {
    async fn update_member_event(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), MemberUpdateError> {
        self.0
            .refresh_member(room_id, user_id)
            .await
            .map_err(|error| MemberUpdateError::Failed(error.to_string()))
    }
}

/// The predefined push rules, as the account data that everyone has.
pub(super) struct PushRulesForAll;

impl BuiltinAccountData for PushRulesForAll {
    fn of(&self, user_id: &UserId) -> Vec<(String, Box<RawValue>)> {
        vec![("m.push_rules".to_owned(), default_push_rules(user_id))]
    }
}
