//! The shape of `m.room.power_levels`.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, UserId};

use crate::{EventError, RoomVersion};

const LEVELS: [&str; 7] = [
    "ban",
    "events_default",
    "invite",
    "kick",
    "redact",
    "state_default",
    "users_default",
];

/// Checks that the levels are levels and that users are users.
///
/// "If any of the properties `users_default`, `events_default`, `state_default`, `ban`, `redact`,
/// `kick`, or `invite` in `content` are present and not an integer, reject", the same for the
/// values of `events`, `notifications` and `users`, and "if the `users` property in `content` is
/// not a dictionary with keys that are valid user IDs, reject". Before version 10 a level may be a
/// string with an integer in it.
pub(super) fn check(
    content: &CanonicalJsonObject,
    version: &RoomVersion,
) -> Result<(), EventError> {
    let rules = &version.rules.authorization;
    let is_level = |value: &CanonicalJsonValue| match value {
        CanonicalJsonValue::Integer(_) => true,
        CanonicalJsonValue::String(text) => !rules.integer_power_levels && is_integer(text),
        _ => false,
    };
    for key in LEVELS {
        if content.get(key).is_some_and(|value| !is_level(value)) {
            return Err(EventError::BadJson(
                format!("{key} must be an integer").into(),
            ));
        }
    }
    for key in ["events", "notifications", "users"] {
        match content.get(key) {
            // Nobody would be left who may do anything, the sender included. Where creators stand
            // above the levels it may be meant.
            None if key == "users" && !rules.explicitly_privilege_room_creators => {
                return Err(EventError::bad("users is missing"));
            }
            None => {}
            Some(CanonicalJsonValue::Object(levels)) => {
                if !levels.values().all(is_level) {
                    let text = format!("the levels in {key} must be integers");
                    return Err(EventError::BadJson(text.into()));
                }
                if key == "users"
                    && !levels
                        .keys()
                        .all(|user| <&UserId>::try_from(&**user).is_ok())
                {
                    return Err(EventError::bad("the keys of users must be user IDs"));
                }
            }
            Some(_) => {
                return Err(EventError::BadJson(
                    format!("{key} must be an object").into(),
                ));
            }
        }
    }
    Ok(())
}

/// "A single base 10 integer", with "any number of leading zeroes", "a single `-` or `+`" before it
/// and white space around it.
fn is_integer(text: &str) -> bool {
    text.trim()
        .parse::<i64>()
        .is_ok_and(|level| Int::try_from(level).is_ok())
}
