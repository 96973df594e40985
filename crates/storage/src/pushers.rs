//! Pushers: where a user's notifications are sent, and how far they have been.

use std::fmt;

use async_trait::async_trait;
use greenroom_model::StreamPosition;
use ruma::{OwnedDeviceId, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;

use crate::StorageError;

/// What tells one pusher from all others.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PusherId {
    /// Whose.
    pub user_id: OwnedUserId,
    /// The application.
    pub app_id: String,
    /// The application's address at its provider. A secret: who has it can notify the device.
    pub pushkey: String,
}

impl fmt::Debug for PusherId {
    /// Without the pushkey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PusherId")
            .field("user_id", &self.user_id)
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

/// A [pusher](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset) of
/// kind `http`, as it was set.
#[derive(Clone, Debug)]
pub struct Pusher {
    /// Which.
    pub id: PusherId,
    /// The device that set it last. The pusher ends with it.
    pub device_id: OwnedDeviceId,
    /// What application it is, for people.
    pub app_display_name: String,
    /// What device it is, for people.
    pub device_display_name: String,
    /// Which set of device-specific rules it executes, for clients: the server has none.
    pub profile_tag: Option<String>,
    /// The language of its notifications.
    pub lang: String,
    /// What it was given for the gateway, and the gateway's URL: a JSON object.
    pub data: Box<RawValue>,
    /// When it was set last, in milliseconds since the Unix epoch.
    pub set_ts_ms: u64,
}

/// How far a pusher has been served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PusherProgress {
    /// Nothing up to here is to be sent any more.
    pub position: StreamPosition,
    /// The number of unread messages that its gateway was told last.
    pub unread_told: Option<u64>,
    /// How many attempts have failed in a row.
    pub failures: u64,
    /// When it may be tried again after a failure, in milliseconds since the Unix epoch.
    pub retry_ts_ms: u64,
}

/// How setting a pusher ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetPusher {
    /// It is set, and those of other users are removed.
    Done {
        /// Whose pushers had to give way.
        removed: Vec<OwnedUserId>,
    },
    /// The device is gone. Nothing was written.
    NoSuchDevice,
    /// The user has as many as one may have. Nothing was written.
    TooMany,
}

/// Pushers and their progress. They go with the devices that set them: see
/// [`DeviceStore::delete_device`](crate::DeviceStore::delete_device).
#[async_trait]
pub trait PusherStore: Send + Sync {
    /// Sets a pusher. A new one is served from `position` on; one that is known keeps its place
    /// and forgets its failures. Unless `append`, those of other users with the same application
    /// and pushkey are removed. A user can have `cap` at most.
    async fn set_pusher(
        &self,
        pusher: Pusher,
        position: StreamPosition,
        append: bool,
        cap: u64,
    ) -> Result<SetPusher, StorageError>;

    /// Deletes a pusher; if `set_ts_ms` is given, only as it was set then. False if there is none.
    async fn delete_pusher(
        &self,
        id: &PusherId,
        set_ts_ms: Option<u64>,
    ) -> Result<bool, StorageError>;

    /// A user's pushers, ordered by application and pushkey.
    async fn pushers_of(
        &self,
        user_id: &UserId,
    ) -> Result<Vec<(Pusher, PusherProgress)>, StorageError>;

    /// Who has a pusher.
    async fn users_with_pushers(&self) -> Result<Vec<OwnedUserId>, StorageError>;

    /// Who of those that have a pusher is joined to a room.
    async fn members_with_pushers(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedUserId>, StorageError>;

    /// Notes how far pushers have been served. Those that are gone are passed over, and none is
    /// moved back.
    async fn note_progress(
        &self,
        progress: Vec<(PusherId, PusherProgress)>,
    ) -> Result<(), StorageError>;
}
