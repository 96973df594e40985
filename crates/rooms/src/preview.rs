//! What somebody may be told of a room before they are in it.

use greenroom_events::RoomVersion;
use greenroom_storage::RoomPreview;
use ruma::{RoomId, UserId, events::room::member::MembershipState};

use crate::{JoinTarget, RoomError, Rooms};

/// Whether a room may be shown to the reader whom the preview was made for: to who is in it, to who
/// may join or knock, and to anybody if its history is. To a stranger without an account it is what
/// anybody may do that counts.
///
/// See [`GET /hierarchy`](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy):
/// a user who is banned has no permission to join, whatever the join rule.
pub(crate) fn may_see(preview: &RoomPreview) -> bool {
    if preview.room.world_readable {
        return true;
    }
    match &preview.membership {
        Some(MembershipState::Join | MembershipState::Invite) => return true,
        Some(MembershipState::Ban) => return false,
        Some(_) | None => {}
    }
    let Some(version) = RoomVersion::new(&preview.version) else {
        return false;
    };
    let rules = &version.rules.authorization;
    match preview.room.join_rule.as_deref() {
        Some("public") => true,
        Some("knock") => rules.knocking,
        Some("knock_restricted") => rules.knock_restricted_join_rule,
        Some("restricted") => rules.restricted_join_rule && preview.in_allowed_room,
        Some(_) | None => false,
    }
}

impl Rooms {
    /// What a room shows to a reader, or to a stranger without an account.
    ///
    /// See [`GET /room_summary`](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias).
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`], also for an alias that points nowhere or belongs to another server,
    /// and for a room that is not for them to see.
    pub async fn room_summary(
        &self,
        target: &JoinTarget,
        reader: Option<&UserId>,
    ) -> Result<RoomPreview, RoomError> {
        let room_id = match self.resolve(target).await {
            Err(RoomError::NoSuchAlias | RoomError::NotLocal(_)) => {
                return Err(RoomError::NoSuchRoom);
            }
            other => other?,
        };
        self.preview(&room_id, reader)
            .await?
            .ok_or(RoomError::NoSuchRoom)
    }

    /// What a room shows to a reader, if it does.
    pub(crate) async fn preview(
        &self,
        room_id: &RoomId,
        reader: Option<&UserId>,
    ) -> Result<Option<RoomPreview>, RoomError> {
        let spaces = &self.parts().spaces;
        let found = spaces
            .room_previews(vec![room_id.to_owned()], reader)
            .await?;
        Ok(found.into_iter().find(may_see))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use greenroom_storage::PublicRoom;
    use ruma::{OwnedRoomId, RoomVersionId};

    use super::*;

    /// A room of version 12 that only its members know of, and a reader who is none.
    pub(crate) fn private_room(room_id: &str) -> RoomPreview {
        RoomPreview {
            room: PublicRoom {
                room_id: OwnedRoomId::try_from(room_id).unwrap(),
                name: None,
                topic: None,
                canonical_alias: None,
                avatar_url: None,
                join_rule: Some("invite".to_owned()),
                room_type: None,
                guest_can_join: false,
                world_readable: false,
                joined_members: 1,
            },
            version: RoomVersionId::V12,
            encryption: None,
            allowed_rooms: Vec::new(),
            membership: None,
            in_allowed_room: false,
        }
    }

    /// Whether it is shown with this join rule, in this version, with this membership.
    fn shown(rule: &str, version: RoomVersionId, membership: Option<MembershipState>) -> bool {
        let mut preview = private_room("!a:b");
        preview.room.join_rule = Some(rule.to_owned());
        preview.version = version;
        preview.membership = membership;
        may_see(&preview)
    }

    #[test]
    fn members_and_invited_users_see_a_room_whatever_its_join_rule() {
        for rule in ["invite", "private", "public", "knock", "restricted", "odd"] {
            for membership in [MembershipState::Join, MembershipState::Invite] {
                assert!(shown(rule, RoomVersionId::V12, Some(membership)), "{rule}");
            }
        }
    }

    #[test]
    fn who_may_join_or_knock_sees_a_room_unless_they_are_banned() {
        let newest = || RoomVersionId::V12;
        for membership in [
            None,
            Some(MembershipState::Leave),
            Some(MembershipState::Knock),
        ] {
            for (rule, expected) in [
                ("public", true),
                ("knock", true),
                ("knock_restricted", true),
                ("restricted", false),
                ("invite", false),
                ("private", false),
                ("odd", false),
            ] {
                assert_eq!(
                    shown(rule, newest(), membership.clone()),
                    expected,
                    "{rule}"
                );
            }
        }
        for rule in ["public", "knock", "knock_restricted"] {
            assert!(!shown(rule, newest(), Some(MembershipState::Ban)), "{rule}");
        }
    }

    #[test]
    fn a_join_rule_counts_only_in_versions_that_have_it() {
        assert!(!shown("knock", RoomVersionId::V6, None));
        assert!(shown("knock", RoomVersionId::V7, None));
        assert!(!shown("knock_restricted", RoomVersionId::V9, None));
        assert!(shown("knock_restricted", RoomVersionId::V10, None));
        let mut preview = private_room("!a:b");
        preview.room.join_rule = Some("restricted".to_owned());
        preview.in_allowed_room = true;
        assert!(may_see(&preview));
        preview.version = RoomVersionId::V7;
        assert!(!may_see(&preview));
    }

    #[test]
    fn everybody_sees_what_the_world_may_read() {
        let mut preview = private_room("!a:b");
        preview.room.world_readable = true;
        assert!(may_see(&preview));
        preview.membership = Some(MembershipState::Ban);
        assert!(may_see(&preview));
    }
}
