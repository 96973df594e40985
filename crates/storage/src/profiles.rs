//! Profiles: what a user shows of themselves.

use std::collections::HashMap;

use async_trait::async_trait;
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};

use crate::StorageError;

/// A profile: `displayname`, `avatar_url` and any other keys, as on the wire.
pub type Profile = Map<String, Value>;

/// Profiles, and the work of carrying a change into every room.
#[async_trait]
pub trait ProfileStore: Send + Sync {
    /// The profile; `None` if there is no such active account.
    async fn profile(&self, user_id: &UserId) -> Result<Option<Profile>, StorageError>;

    /// Display name and avatar, as far as they have any, of those of these users who have one: what
    /// member and presence events carry.
    async fn names(
        &self,
        user_ids: &[OwnedUserId],
    ) -> Result<HashMap<OwnedUserId, Profile>, StorageError>;

    /// Sets (`Some`) or removes (`None`) one key, and in the same act, if the key is one that
    /// member events carry, notes that the user's rooms have to be told. False if there is no
    /// such active account.
    async fn set_profile_field(
        &self,
        user_id: &UserId,
        key: &str,
        value: Option<Value>,
    ) -> Result<bool, StorageError>;

    /// Users whose rooms have not all been told of their profile yet, with the version noted.
    async fn pending_profile_changes(&self) -> Result<Vec<(OwnedUserId, u64)>, StorageError>;

    /// The user's rooms know the profile of `version`. A newer note stays.
    async fn profile_change_done(&self, user_id: &UserId, version: u64)
    -> Result<(), StorageError>;
}
