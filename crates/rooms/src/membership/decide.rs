//! What a wish about a membership comes to. Pure: the authorization rules have the last word.

use greenroom_events::{Draft, Pdu};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, events::room::member::MembershipState,
};

use serde::Deserialize;

use crate::{
    RoomError,
    actor::membership_of,
    wish::{MemberAction, MemberWish},
};

fn text(value: &str) -> CanonicalJsonValue {
    CanonicalJsonValue::String(value.to_owned())
}

/// What a wish about a membership comes to: a member event, or the event that has done it already.
pub(crate) fn decide(
    wish: &MemberWish,
    current: Option<&Pdu>,
) -> Result<Result<Draft, OwnedEventId>, RoomError> {
    let standing = current.and_then(membership_of);
    let done = |pdu: Option<&Pdu>| pdu.map(|pdu| Err(pdu.event_id.clone()));
    let membership = match (&wish.action, standing) {
        // Joining twice changes nothing; nor do a retried leave and knock.
        (MemberAction::Join { .. }, Some(MembershipState::Join))
        | (MemberAction::Leave, Some(MembershipState::Leave))
        | (MemberAction::Knock, Some(MembershipState::Knock)) => {
            return done(current).ok_or(RoomError::NotInRoom);
        }
        // Nor does inviting once more, unless there is something to say.
        (MemberAction::Invite { .. }, Some(MembershipState::Invite))
            if by_the_same(wish, current) && adds_no_reason(wish, current) =>
        {
            return done(current).ok_or(RoomError::NotInRoom);
        }
        (MemberAction::Leave, None) => return Err(RoomError::NotInRoom),
        (MemberAction::Kick, None | Some(MembershipState::Leave | MembershipState::Ban)) => {
            return Err(RoomError::Forbidden(format!(
                "{} is not in this room",
                wish.target
            )));
        }
        (MemberAction::Unban, standing) if standing != Some(MembershipState::Ban) => {
            return Err(RoomError::BadState("the user is not banned from this room"));
        }
        (MemberAction::Refresh, standing) if standing != Some(MembershipState::Join) => {
            return done(current).ok_or(RoomError::NotInRoom);
        }
        (MemberAction::Join { .. } | MemberAction::Refresh, _) => MembershipState::Join,
        (MemberAction::Leave | MemberAction::Kick | MemberAction::Unban, _) => {
            MembershipState::Leave
        }
        (MemberAction::Invite { .. }, _) => MembershipState::Invite,
        (MemberAction::Ban, _) => MembershipState::Ban,
        (MemberAction::Knock, _) => MembershipState::Knock,
    };
    let content = match wish.action {
        MemberAction::Refresh => match refreshed(wish, current) {
            Some(content) => content,
            None => return done(current).ok_or(RoomError::NotInRoom),
        },
        MemberAction::Invite { is_direct: false } if standing_invite_is_direct(wish, current) => {
            let action = MemberAction::Invite { is_direct: true };
            let wish = MemberWish {
                action,
                ..wish.clone()
            };
            content(&wish, &membership)
        }
        _ => content(wish, &membership),
    };
    Ok(Ok(Draft {
        sender: wish.sender.clone(),
        event_type: "m.room.member".to_owned(),
        state_key: Some(wish.target.to_string()),
        content,
        redacts: None,
        origin_server_ts_override: None,
    }))
}

/// What a member event says beside the membership.
#[derive(Default, Deserialize)]
struct Said {
    membership: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    is_direct: bool,
}

fn said(current: Option<&Pdu>) -> Said {
    current
        .and_then(|pdu| serde_json::from_str(pdu.content.get()).ok())
        .unwrap_or_default()
}

fn by_the_same(wish: &MemberWish, current: Option<&Pdu>) -> bool {
    current.is_some_and(|pdu| pdu.sender == wish.sender)
}

fn adds_no_reason(wish: &MemberWish, current: Option<&Pdu>) -> bool {
    wish.reason.is_none() || wish.reason == said(current).reason
}

/// Whether the inviter has said before that the chat is to be a direct one: only rooms are created
/// with that word, and an invite that is made again is still the same one.
fn standing_invite_is_direct(wish: &MemberWish, current: Option<&Pdu>) -> bool {
    let said = said(current);
    said.is_direct && said.membership.as_deref() == Some("invite") && by_the_same(wish, current)
}

fn content(wish: &MemberWish, membership: &MembershipState) -> CanonicalJsonObject {
    let mut content = CanonicalJsonObject::new();
    content.insert("membership".to_owned(), text(membership.as_str()));
    if let Some(reason) = &wish.reason {
        content.insert("reason".to_owned(), text(reason));
    }
    set_profile(&mut content, wish);
    match &wish.action {
        MemberAction::Join {
            authorized_by: Some(user_id),
        } => {
            content.insert(
                "join_authorised_via_users_server".to_owned(),
                text(user_id.as_str()),
            );
        }
        MemberAction::Invite { is_direct: true } => {
            content.insert("is_direct".to_owned(), CanonicalJsonValue::Bool(true));
        }
        _ => {}
    }
    content
}

fn set_profile(content: &mut CanonicalJsonObject, wish: &MemberWish) {
    for (key, value) in [
        ("displayname", &wish.display_name),
        ("avatar_url", &wish.avatar_url),
    ] {
        match value {
            Some(value) => content.insert(key.to_owned(), text(value)),
            None => content.remove(key),
        };
    }
}

/// The member event's content with the profile as it is now; `None` if it says so already.
fn refreshed(wish: &MemberWish, current: Option<&Pdu>) -> Option<CanonicalJsonObject> {
    let before: CanonicalJsonObject =
        greenroom_events::json::parse_object(current?.content.get().as_bytes()).ok()?;
    let mut content = before.clone();
    set_profile(&mut content, wish);
    if content == before {
        return None;
    }
    // These belong to the join itself: a change of name is not another one, and is not vouched for.
    content.remove("reason");
    content.remove("join_authorised_via_users_server");
    Some(content)
}
