//! How long typing and presence last.

use serde::{Deserialize, Serialize};

/// The settings of this crate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EphemeralSettings {
    /// Typing notifications.
    pub typing: TypingSettings,
    /// Presence.
    pub presence: PresenceSettings,
}

/// Typing notifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypingSettings {
    /// The longest time for which a client can say that its user types, in milliseconds. What is
    /// longer is cut to this.
    pub max_timeout_ms: u64,
    /// How many rooms where nobody types any more are remembered, so that syncs can be told.
    pub max_silent_rooms: usize,
}

impl Default for TypingSettings {
    fn default() -> Self {
        Self {
            max_timeout_ms: 120_000,
            max_silent_rooms: 10_000,
        }
    }
}

/// Who is told of somebody's presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceReach {
    /// Nobody: it is not even tracked, and everybody is offline.
    Off,
    /// Users of this server who share a room with them.
    Local,
    /// Everybody who shares a room with them.
    #[default]
    On,
}

/// Presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceSettings {
    /// Who is told.
    pub reach: PresenceReach,
    /// How long after their last sync a user is offline, in milliseconds.
    pub offline_after_ms: u64,
    /// How long after their last activity a user who is online is unavailable, in milliseconds.
    pub idle_after_ms: u64,
    /// How long after their last activity a user counts as currently active, in milliseconds.
    pub active_for_ms: u64,
    /// Changes of one user within this time are announced as one, in milliseconds.
    pub announce_interval_ms: u64,
    /// A sync whose end nobody has reported is taken for ended after this time, in milliseconds.
    /// Longer than the longest time a sync may wait.
    pub longest_sync_ms: u64,
    /// The longest status message, in bytes.
    pub max_status_msg_bytes: usize,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self {
            reach: PresenceReach::default(),
            offline_after_ms: 30_000,
            idle_after_ms: 300_000,
            active_for_ms: 60_000,
            announce_interval_ms: 500,
            longest_sync_ms: 600_000,
            max_status_msg_bytes: 4096,
        }
    }
}
