//! Who follows a room to its replacement takes their settings along.

use async_trait::async_trait;
use ruma::{OwnedRoomId, RoomId, UserId};

use super::{TOMBSTONE, contents};
use crate::{RoomError, Rooms};

/// What users want to be notified of, by room.
#[async_trait]
pub trait NotificationSettings: Send + Sync {
    /// Sets for `to` what the user has set for `from`, unless they have set something for it.
    ///
    /// # Errors
    ///
    /// Why it was not done, for the log.
    async fn carry_over(&self, user_id: &UserId, from: &RoomId, to: &RoomId) -> Result<(), String>;
}

impl Rooms {
    /// The room that a room says it replaces.
    pub(super) async fn predecessor(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<OwnedRoomId>, RoomError> {
        let create = self.current_content(room_id, "m.room.create").await?;
        Ok(contents::predecessor_of(create))
    }

    /// "When a user joins the new room, the server should automatically transfer/replicate some of
    /// the user's personalized settings such as notifications, tags, etc."
    ///
    /// Only from a room that says itself that this one has taken its place. What fails is logged:
    /// they have joined all the same.
    pub(crate) async fn settle_in(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), RoomError> {
        let Some(before) = self.predecessor(room_id).await? else {
            return Ok(());
        };
        let tombstone = self.current_content(&before, TOMBSTONE).await?;
        if contents::replacement_of(tombstone).as_deref() != Some(room_id) {
            return Ok(());
        }
        let upgrades = &self.parts().upgrades;
        if let Err(error) = upgrades.carry_labels(user_id, &before, room_id).await {
            tracing::warn!(room.id = %room_id, %error, "a user's labels of an upgraded room are left behind");
        }
        if let Some(notifications) = &self.parts().notifications
            && let Err(error) = notifications.carry_over(user_id, &before, room_id).await
        {
            tracing::warn!(room.id = %room_id, error, "a user's push rules of an upgraded room are left behind");
        }
        Ok(())
    }
}
