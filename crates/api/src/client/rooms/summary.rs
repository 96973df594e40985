//! A room as it is shown to who is not in it.

use greenroom_storage::RoomPreview;
use ruma::{RoomAliasId, RoomId};
use serde::Serialize;

/// What [`/room_summary`](super::get_summary) and [`/hierarchy`](super::get_hierarchy) say of a room.
// State may say anything: an alias that is none is left out, for clients refuse the whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    room_id: &'a RoomId,
    num_joined_members: u64,
    world_readable: bool,
    guest_can_join: bool,
    join_rule: &'a str,
    room_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_alias: Option<&'a RoomAliasId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allowed_room_ids: &'a [ruma::OwnedRoomId],
}

impl<'a> Summary<'a> {
    pub(super) fn of(preview: &'a RoomPreview) -> Self {
        let room = &preview.room;
        let alias = room.canonical_alias.as_deref();
        // What the auth rules take a room for that has none.
        let join_rule = room.join_rule.as_deref().unwrap_or("invite");
        let restricted = matches!(join_rule, "restricted" | "knock_restricted");
        Self {
            room_id: &room.room_id,
            num_joined_members: room.joined_members,
            world_readable: room.world_readable,
            guest_can_join: room.guest_can_join,
            join_rule,
            room_version: preview.version.as_str(),
            name: room.name.as_deref(),
            topic: room.topic.as_deref(),
            canonical_alias: alias.and_then(|alias| <&RoomAliasId>::try_from(alias).ok()),
            avatar_url: room.avatar_url.as_deref(),
            room_type: room.room_type.as_deref(),
            encryption: preview.encryption.as_deref(),
            allowed_room_ids: if restricted {
                &preview.allowed_rooms
            } else {
                &[]
            },
        }
    }
}
