//! Room versions we can serve.

use ruma::{RoomVersionId, room_version_rules::RoomVersionRules};

/// A room version with its rules.
#[derive(Clone, Debug)]
pub struct RoomVersion {
    /// Its name.
    pub id: RoomVersionId,
    /// What it demands.
    pub rules: RoomVersionRules,
}

impl RoomVersion {
    /// The version of a new room whose creator names none.
    pub const DEFAULT: RoomVersionId = RoomVersionId::V12;

    /// The version with this name, if we serve it: `"1"` to `"12"`.
    #[must_use]
    pub fn new(id: &RoomVersionId) -> Option<Self> {
        if !Self::supported().contains(id) {
            return None;
        }
        Some(Self {
            rules: id.rules()?,
            id: id.clone(),
        })
    }

    /// The versions we serve, oldest first. All of them are stable in the specification.
    #[must_use]
    pub const fn supported() -> &'static [RoomVersionId] {
        &[
            RoomVersionId::V1,
            RoomVersionId::V2,
            RoomVersionId::V3,
            RoomVersionId::V4,
            RoomVersionId::V5,
            RoomVersionId::V6,
            RoomVersionId::V7,
            RoomVersionId::V8,
            RoomVersionId::V9,
            RoomVersionId::V10,
            RoomVersionId::V11,
            RoomVersionId::V12,
        ]
    }

    /// Whether the room's ID is made of its create event's hash (12 and later).
    #[must_use]
    pub fn room_id_is_create_hash(&self) -> bool {
        self.rules.authorization.room_create_event_id_as_room_id
    }

    /// Whether a redaction names its target in `content` (11 and later).
    #[must_use]
    pub fn redacts_in_content(&self) -> bool {
        self.rules.redaction.content_field_redacts
    }

    /// Whether events carry their own ID and name others with their hashes (1 and 2).
    #[must_use]
    pub fn event_id_in_event(&self) -> bool {
        self.rules.event_format.require_event_id
    }
}
