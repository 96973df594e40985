//! What of a room's state its replacement takes over, and how it says it. Pure.

use greenroom_events::{Pdu, RoomVersion, check::canonical_aliases, json};
use ruma::{
    CanonicalJsonObject as Object, CanonicalJsonValue as Json, EventId, OwnedRoomAliasId,
    OwnedRoomId, OwnedUserId, RoomId,
};

use crate::{
    RoomError,
    wish::{MemberAction, MemberWish},
};

/// State with an empty key that is taken over as it is, in the order in which it is sent.
///
/// Not the levels and the aliases, which have to change; not members, who decide for themselves;
/// and nothing whose meaning depends on who sent it.
pub(super) const COPIED: [&str; 8] = [
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.encryption",
    "m.room.server_acl",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
];
/// The rooms in a space.
pub(super) const SPACE_CHILD: &str = "m.space.child";

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

/// The content of an event of the old room, but for what it related to, which the new room has not.
/// What cannot be read says nothing.
pub(super) fn content(pdu: &Pdu) -> Object {
    let mut content = json::parse_object(pdu.content.get().as_bytes()).unwrap_or_default();
    content.remove("m.relates_to");
    content
}

/// The content of the new room's create event.
///
/// Of the old one it keeps the type, and that it stays on one server: the rest is about the old
/// room.
pub(super) fn create(
    old_room: &RoomId,
    old_create: &Pdu,
    last_event: &EventId,
    version: &RoomVersion,
    upgrader: &OwnedUserId,
    additional_creators: &[OwnedUserId],
) -> Object {
    let mut old = content(old_create);
    let rules = &version.rules.authorization;
    let predecessor = Object::from([
        ("room_id".to_owned(), text(old_room.as_str())),
        ("event_id".to_owned(), text(last_event.as_str())),
    ]);
    let mut content = Object::from([
        ("room_version".to_owned(), text(version.id.as_str())),
        ("predecessor".to_owned(), Json::Object(predecessor)),
    ]);
    if let Some(room_type @ Json::String(_)) = old.remove("type") {
        content.insert("type".to_owned(), room_type);
    }
    if let Some(alone @ Json::Bool(false)) = old.remove("m.federate") {
        content.insert("m.federate".to_owned(), alone);
    }
    if !rules.use_room_create_sender {
        content.insert("creator".to_owned(), text(upgrader.as_str()));
    }
    if rules.additional_room_creators && !additional_creators.is_empty() {
        let creators = additional_creators.iter().map(|user| text(user.as_str()));
        let creators = Json::Array(creators.collect());
        content.insert("additional_creators".to_owned(), creators);
    }
    content
}

/// A state event's content as the new version knows it; `None` if it says nothing any more.
pub(super) fn copied(pdu: &Pdu, version: &RoomVersion) -> Option<Object> {
    let mut content = content(pdu);
    if content.is_empty() {
        // It was redacted.
        return None;
    }
    if pdu.type_name == "m.room.join_rules" {
        let known = match content.get("join_rule") {
            Some(Json::String(rule)) => known_join_rule(rule, version).to_owned(),
            _ => "invite".to_owned(),
        };
        content.insert("join_rule".to_owned(), Json::String(known));
    }
    Some(content)
}

/// The rule, or the nearest that lets in nobody else: older versions know fewer.
fn known_join_rule<'a>(rule: &'a str, version: &RoomVersion) -> &'a str {
    let rules = &version.rules.authorization;
    match rule {
        "public" | "invite" | "private" => rule,
        "knock" if rules.knocking => rule,
        "restricted" if rules.restricted_join_rule => rule,
        "knock_restricted" if rules.knock_restricted_join_rule => rule,
        "knock_restricted" if rules.restricted_join_rule => "restricted",
        "knock_restricted" if rules.knocking => "knock",
        _ => "invite",
    }
}

/// What the new room advertises of the old one's aliases: those that lead to it now.
pub(super) fn canonical_alias(old: &Pdu, moved: &[OwnedRoomAliasId]) -> Option<Object> {
    let mut content = content(old);
    let known = |alias: &Json| matches!(alias, Json::String(alias) if moved.iter().any(|it| it.as_str() == alias));
    if content.get("alias").is_some_and(|alias| !known(alias)) {
        content.remove("alias");
    }
    if let Some(Json::Array(others)) = content.get_mut("alt_aliases") {
        others.retain(known);
    }
    let named = canonical_aliases(&content).unwrap_or_default();
    (!named.is_empty()).then_some(content)
}

/// The room that a tombstone leads to.
pub(super) fn replacement_of(mut tombstone: Object) -> Option<OwnedRoomId> {
    match tombstone.remove("replacement_room") {
        Some(Json::String(room_id)) => RoomId::parse(room_id).ok(),
        _ => None,
    }
}

/// The room that a create event says its room replaces.
pub(super) fn predecessor_of(mut create: Object) -> Option<OwnedRoomId> {
    let Some(Json::Object(mut predecessor)) = create.remove("predecessor") else {
        return None;
    };
    match predecessor.remove("room_id") {
        Some(Json::String(room_id)) => RoomId::parse(room_id).ok(),
        _ => None,
    }
}

/// The users that are to be creators beside who upgrades, where the new version knows of such.
pub(super) fn additional_creators(
    asked: Option<&serde_json::Value>,
    version: &RoomVersion,
    upgrader: &OwnedUserId,
) -> Result<Vec<OwnedUserId>, RoomError> {
    const WRONG: RoomError =
        RoomError::InvalidParam("additional_creators must be an array of user IDs");
    // "When upgrading to a room version which doesn't support additional creators, this field is
    // ignored and has no effect during the upgrade process."
    let asked = asked.filter(|_| version.rules.authorization.additional_room_creators);
    let Some(asked) = asked.filter(|asked| !asked.is_null()) else {
        return Ok(Vec::new());
    };
    let mut creators = Vec::new();
    for user in asked.as_array().ok_or(WRONG)? {
        let user = user.as_str().ok_or(WRONG)?;
        let user = OwnedUserId::try_from(user).map_err(|_| WRONG)?;
        if user != *upgrader && !creators.contains(&user) {
            creators.push(user);
        }
    }
    Ok(creators)
}

/// The ban of somebody who was banned from the old room, now by who upgrades.
pub(super) fn ban(old: &Pdu, upgrader: &OwnedUserId) -> Option<MemberWish> {
    let reason = match content(old).remove("reason") {
        Some(Json::String(reason)) => Some(reason),
        _ => None,
    };
    Some(MemberWish {
        sender: upgrader.clone(),
        target: old.state_key.as_deref()?.try_into().ok()?,
        action: MemberAction::Ban,
        reason,
        display_name: None,
        avatar_url: None,
    })
}
