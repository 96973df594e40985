//! The shape of content that the server acts on, by event type.
//!
//! Checked where a client sends an event. What other servers send is judged by the authorization
//! rules alone.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedRoomAliasId, RoomAliasId, UserId,
};

use super::power_levels;
use crate::{Draft, EventError, RoomVersion};

/// Checks the content of an event that a client sends, and that clients may send its type at all.
///
/// Types the server does not act on may have any content.
///
/// # Errors
///
/// [`EventError::BadJson`] for content of another shape than its type's,
/// [`EventError::InvalidParam`] for aliases of bad syntax, [`EventError::Forbidden`] for a create
/// event.
pub fn content(draft: &Draft, version: &RoomVersion) -> Result<(), EventError> {
    let content = &draft.content;
    match draft.state_key.as_deref() {
        None => match draft.event_type.as_str() {
            "m.room.message" => message(content),
            "m.room.redaction" => redaction(draft, version),
            "m.room.member" => Err(EventError::bad("m.room.member needs a state key")),
            "m.room.create" => Err(second_create()),
            _ => Ok(()),
        },
        Some(state_key) => match (draft.event_type.as_str(), state_key) {
            ("m.room.create", _) => Err(second_create()),
            ("m.room.member", target) => member(content, target),
            // The server acts on these only where they have an empty state key.
            ("m.room.power_levels", "") => power_levels::check(content, version),
            ("m.room.join_rules", "") => join_rules(content, version),
            ("m.room.history_visibility", "") => history_visibility(content),
            ("m.room.guest_access", "") => guest_access(content),
            ("m.room.canonical_alias", "") => canonical_aliases(content).map(drop),
            ("m.room.encryption", "") => required_text(content, "algorithm").map(drop),
            ("m.room.name", "") => optional_text(content, "name"),
            ("m.room.topic", "") => optional_text(content, "topic"),
            ("m.room.avatar", "") => optional_text(content, "url"),
            ("m.room.tombstone", "") => optional_text(content, "replacement_room"),
            ("m.room.server_acl", "") => server_acl(content),
            _ => Ok(()),
        },
    }
}

/// The aliases that an `m.room.canonical_alias` content names, `alias` first. The caller checks
/// that new ones point to the room (400 `M_BAD_ALIAS` otherwise).
///
/// "The canonical alias for the room. If not present, null, or empty the room should be considered
/// to have no canonical alias."
///
/// # Errors
///
/// [`EventError::BadJson`] for another shape; [`EventError::InvalidParam`] where "one or more
/// aliases within the `m.room.canonical_alias` event have invalid syntax".
pub fn canonical_aliases(
    content: &CanonicalJsonObject,
) -> Result<Vec<OwnedRoomAliasId>, EventError> {
    let mut texts = Vec::new();
    match content.get("alias") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::String(alias)) if alias.is_empty() => {}
        Some(CanonicalJsonValue::String(alias)) => texts.push(alias),
        Some(_) => return Err(EventError::bad("alias must be a string")),
    }
    match content.get("alt_aliases") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::Array(aliases)) => {
            for alias in aliases {
                let CanonicalJsonValue::String(alias) = alias else {
                    return Err(EventError::bad("alt_aliases must be an array of strings"));
                };
                texts.push(alias);
            }
        }
        Some(_) => return Err(EventError::bad("alt_aliases must be an array of strings")),
    }
    texts
        .into_iter()
        .map(|text| {
            <&RoomAliasId>::try_from(text.as_str())
                .map(ToOwned::to_owned)
                .map_err(|_| EventError::InvalidParam("invalid syntax of a room alias".into()))
        })
        .collect()
}

/// "This is the first event in a room and cannot be changed."
fn second_create() -> EventError {
    EventError::Forbidden("a room has one m.room.create event, made with the room".into())
}

/// "Homeservers SHOULD reject `m.room.message` events which don't have a `msgtype` key, or which
/// don't have a textual `body` key, with an HTTP status code of 400."
fn message(content: &CanonicalJsonObject) -> Result<(), EventError> {
    required_text(content, "msgtype")?;
    required_text(content, "body").map(drop)
}

/// "The event ID that was redacted. Required for, and present starting in, room version 11."
///
/// Before, it is not content: a client that reads it there all the same would believe in a
/// redaction that never was.
fn redaction(draft: &Draft, version: &RoomVersion) -> Result<(), EventError> {
    let inner = match draft.content.get("redacts") {
        None => None,
        Some(CanonicalJsonValue::String(inner)) => Some(inner.as_str()),
        Some(_) => return Err(EventError::bad("redacts must be an event ID")),
    };
    match (&draft.redacts, inner) {
        (Some(target), Some(inner)) if target.as_str() != inner => Err(EventError::bad(
            "redacts names another event than the request",
        )),
        (Some(_), _) => Ok(()),
        (None, Some(inner)) if version.redacts_in_content() => <&EventId>::try_from(inner)
            .map(drop)
            .map_err(|_| EventError::bad("redacts must be an event ID")),
        (None, _) => Err(EventError::bad(
            "a redaction must name the event it redacts",
        )),
    }
}

/// "membership: required, one of invite, join, knock, leave, ban"; the state key is "the `user_id`
/// this membership event relates to".
fn member(content: &CanonicalJsonObject, target: &str) -> Result<(), EventError> {
    if <&UserId>::try_from(target).is_err() {
        return Err(EventError::bad(
            "the state key of m.room.member must be a user ID",
        ));
    }
    match required_text(content, "membership")? {
        "invite" | "join" | "knock" | "leave" | "ban" => {}
        _ => return Err(EventError::bad("unknown membership")),
    }
    optional_text(content, "displayname")?;
    optional_text(content, "avatar_url")?;
    optional_text(content, "reason")?;
    optional_text(content, "join_authorised_via_users_server")
}

/// "`knock`: only available in rooms which support knocking", "`restricted`: only available in
/// rooms which support the join rule". An unknown rule would let nobody join.
///
/// "Improper or no `allow` conditions on a `restricted` join rule imply the room is effectively
/// invite-only": they are not refused.
fn join_rules(content: &CanonicalJsonObject, version: &RoomVersion) -> Result<(), EventError> {
    let rules = &version.rules.authorization;
    let (known, supported) = match required_text(content, "join_rule")? {
        "public" | "invite" | "private" => (true, true),
        "knock" => (true, rules.knocking),
        "restricted" => (true, rules.restricted_join_rule),
        "knock_restricted" => (true, rules.knock_restricted_join_rule),
        _ => (false, false),
    };
    if !known {
        return Err(EventError::bad("unknown join_rule"));
    }
    if !supported {
        return Err(EventError::bad(
            "this room's version does not support the join_rule",
        ));
    }
    Ok(())
}

/// "If the value is not understood, the visibility is assumed to be `shared`": whoever means
/// something stricter must learn that it is not understood.
fn history_visibility(content: &CanonicalJsonObject) -> Result<(), EventError> {
    match required_text(content, "history_visibility")? {
        "invited" | "joined" | "shared" | "world_readable" => Ok(()),
        _ => Err(EventError::bad("unknown history_visibility")),
    }
}

/// "Whether guests can join the room: `can_join` or `forbidden`."
fn guest_access(content: &CanonicalJsonObject) -> Result<(), EventError> {
    match required_text(content, "guest_access")? {
        "can_join" | "forbidden" => Ok(()),
        _ => Err(EventError::bad("unknown guest_access")),
    }
}

/// "`allow`, `deny`: array of string." A malformed list would shut out every server, or none.
fn server_acl(content: &CanonicalJsonObject) -> Result<(), EventError> {
    for list in ["allow", "deny"] {
        let well_formed = match content.get(list) {
            None => true,
            Some(CanonicalJsonValue::Array(globs)) => {
                globs.iter().all(CanonicalJsonValue::is_string)
            }
            Some(_) => false,
        };
        if !well_formed {
            return Err(EventError::BadJson(
                format!("{list} must be an array of strings").into(),
            ));
        }
    }
    Ok(())
}

fn required_text<'a>(
    content: &'a CanonicalJsonObject,
    key: &'static str,
) -> Result<&'a str, EventError> {
    match content.get(key) {
        Some(CanonicalJsonValue::String(text)) => Ok(text),
        Some(_) => Err(EventError::BadJson(
            format!("{key} must be a string").into(),
        )),
        None => Err(EventError::BadJson(format!("{key} is missing").into())),
    }
}

/// A string, or nothing: null says the same as absence.
fn optional_text(content: &CanonicalJsonObject, key: &'static str) -> Result<(), EventError> {
    match content.get(key) {
        None | Some(CanonicalJsonValue::Null | CanonicalJsonValue::String(_)) => Ok(()),
        Some(_) => Err(EventError::BadJson(
            format!("{key} must be a string").into(),
        )),
    }
}
