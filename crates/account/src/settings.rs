//! How much a user may keep, and how hard the server works to tell their rooms.

use serde::{Deserialize, Serialize};

/// The settings of this crate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSettings {
    /// Bounds of profiles.
    pub profile: ProfileSettings,
    /// Bounds of account data.
    pub account_data: AccountDataSettings,
    /// How a profile change reaches the user's rooms.
    pub fan_out: FanOutSettings,
}

/// Bounds of profiles. The total and the length of keys are the specification's: 64 KiB, 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileSettings {
    /// The longest display name, in bytes. It travels in every member event, so it has to leave
    /// room for the rest of one.
    pub max_display_name_bytes: usize,
    /// The longest avatar URL, in bytes. It travels in every member event as well.
    pub max_avatar_url_bytes: usize,
}

impl Default for ProfileSettings {
    fn default() -> Self {
        Self {
            max_display_name_bytes: 1024,
            max_avatar_url_bytes: 1024,
        }
    }
}

/// Bounds of account data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountDataSettings {
    /// The largest content of one type, in bytes of JSON.
    pub max_content_bytes: usize,
    /// How many tags one room may have.
    pub max_tags_per_room: usize,
}

impl Default for AccountDataSettings {
    fn default() -> Self {
        Self {
            max_content_bytes: 512 * 1024,
            max_tags_per_room: 256,
        }
    }
}

/// How a profile change reaches the user's rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanOutSettings {
    /// How many users' changes are carried at once.
    pub concurrent_users: usize,
    /// How many rooms of one user are told at once.
    pub concurrent_rooms: usize,
    /// How long to wait before a user's rooms are tried again after one could not be told, in
    /// milliseconds. It doubles with every failure.
    pub retry_after_ms: u64,
    /// The longest such wait, in milliseconds.
    pub max_retry_after_ms: u64,
}

impl Default for FanOutSettings {
    fn default() -> Self {
        Self {
            concurrent_users: 4,
            concurrent_rooms: 8,
            retry_after_ms: 1_000,
            max_retry_after_ms: 300_000,
        }
    }
}
