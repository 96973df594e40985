//! Devices, and the access and refresh tokens that speak for them.

use async_trait::async_trait;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::StorageError;

/// SHA-256 of a token. The token itself is never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// A session to be created: a device with its tokens.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The device. If the user has one of this ID already, it is kept and its tokens are replaced.
    pub device_id: OwnedDeviceId,
    /// The name to show if the device is new.
    pub display_name: Option<String>,
    /// The hash of the access token.
    pub access_token: TokenHash,
    /// When the access token expires, in milliseconds since the Unix epoch; `None` for never.
    pub access_expires_ts_ms: Option<u64>,
    /// The hash of the refresh token, for clients that asked for one.
    pub refresh_token: Option<TokenHash>,
    /// Now, in milliseconds since the Unix epoch.
    pub created_ts_ms: u64,
}

/// What an access token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose session.
    pub user_id: OwnedUserId,
    /// On which device.
    pub device_id: OwnedDeviceId,
    /// When the token expires, in milliseconds since the Unix epoch; `None` for never.
    pub access_expires_ts_ms: Option<u64>,
    /// Whether the account administers this server.
    pub admin: bool,
}

/// How a refresh ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// The new tokens are valid.
    Done(Session),
    /// The refresh token is unknown.
    Unknown,
    /// The refresh token was used before, and the tokens made from it have been used since:
    /// somebody holds a copy. All of the device's tokens are gone.
    Reused,
}

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's ID.
    pub device_id: OwnedDeviceId,
    /// Its name, if it has one.
    pub display_name: Option<String>,
    /// When it was created, in milliseconds since the Unix epoch.
    pub created_ts_ms: u64,
}

/// Devices and their tokens.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Logs a device in: creates it or replaces the tokens of an existing one. False, and nothing
    /// written, if there is no such active account.
    async fn create_session(
        &self,
        user_id: &UserId,
        session: NewSession,
    ) -> Result<bool, StorageError>;

    /// What a token stands for, whether or not it has expired; `None` if it is unknown.
    async fn session(&self, access_token: TokenHash) -> Result<Option<Session>, StorageError>;

    /// Trades a refresh token for a new pair. The old refresh token stays good until the new pair
    /// is used for the first time, so that a client that lost the answer can ask again; the old
    /// access token ends now. See [refreshing access
    /// tokens](https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens).
    async fn refresh(
        &self,
        refresh_token: TokenHash,
        access_token: TokenHash,
        access_expires_ts_ms: Option<u64>,
        new_refresh_token: TokenHash,
        now_ms: u64,
    ) -> Result<Refresh, StorageError>;

    /// Says that an access token has been used: a refresh token that it replaced ends for good.
    /// Cheap to call when there is none.
    async fn confirm_refresh(&self, access_token: TokenHash) -> Result<(), StorageError>;

    /// A user's devices, ordered by ID.
    async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>, StorageError>;

    /// Deletes a device with its tokens. False if there is none.
    async fn delete_device(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
    ) -> Result<bool, StorageError>;

    /// Deletes all devices of a user with their tokens.
    async fn delete_devices(&self, user_id: &UserId) -> Result<(), StorageError>;
}
