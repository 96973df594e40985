//! The contents of a room's first events. Pure.

use greenroom_events::RoomVersion;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, OwnedUserId, UserId};

use super::{CreateRoom, Preset, object};
use crate::RoomError;

const TOMBSTONE: &str = "m.room.tombstone";

fn text(value: &str) -> CanonicalJsonValue {
    CanonicalJsonValue::String(value.to_owned())
}

fn level(value: i32) -> CanonicalJsonValue {
    CanonicalJsonValue::Integer(value.into())
}

/// `{key: value}`.
pub(super) fn text_content(key: &str, value: &str) -> CanonicalJsonObject {
    CanonicalJsonObject::from([(key.to_owned(), text(value))])
}

/// The topic, also in the form that newer clients read: "an `m.room.topic` event with a
/// `text/plain` mimetype".
pub(super) fn topic_content(topic: &str) -> CanonicalJsonObject {
    let plain = CanonicalJsonObject::from([
        ("body".to_owned(), text(topic)),
        ("mimetype".to_owned(), text("text/plain")),
    ]);
    let rich = CanonicalJsonObject::from([(
        "m.text".to_owned(),
        CanonicalJsonValue::Array(vec![CanonicalJsonValue::Object(plain)]),
    )]);
    CanonicalJsonObject::from([
        ("topic".to_owned(), text(topic)),
        ("m.topic".to_owned(), CanonicalJsonValue::Object(rich)),
    ])
}

/// The content of the create event: what the request asks for, and what only the server may say.
pub(super) fn create_content(
    request: &CreateRoom,
    preset: Preset,
    version: &RoomVersion,
) -> Result<CanonicalJsonObject, RoomError> {
    let mut content = match &request.creation_content {
        Some(raw) => object(raw)?,
        None => CanonicalJsonObject::new(),
    };
    let rules = &version.rules.authorization;
    content.insert("room_version".to_owned(), text(version.id.as_str()));
    if rules.use_room_create_sender {
        content.remove("creator");
    } else {
        content.insert("creator".to_owned(), text(request.creator.as_str()));
    }
    if rules.additional_room_creators && preset == Preset::TrustedPrivateChat {
        let mut creators = additional_creators(&content)?;
        for invited in &request.invite {
            if *invited != request.creator && !creators.contains(invited) {
                creators.push(invited.clone());
            }
        }
        if !creators.is_empty() {
            let creators = creators
                .iter()
                .map(|user_id| text(user_id.as_str()))
                .collect();
            content.insert(
                "additional_creators".to_owned(),
                CanonicalJsonValue::Array(creators),
            );
        }
    }
    Ok(content)
}

fn additional_creators(content: &CanonicalJsonObject) -> Result<Vec<OwnedUserId>, RoomError> {
    let wrong = || {
        RoomError::InvalidRoomState("additional_creators must be an array of user IDs".to_owned())
    };
    match content.get("additional_creators") {
        None => Ok(Vec::new()),
        Some(CanonicalJsonValue::Array(users)) => users
            .iter()
            .map(|user| match user {
                CanonicalJsonValue::String(user) => UserId::parse(user).map_err(|_| wrong()),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// The room's first power levels, with what the request overrides.
pub(super) fn power_levels(
    request: &CreateRoom,
    preset: Preset,
    version: &RoomVersion,
    create: &CanonicalJsonObject,
) -> Result<CanonicalJsonObject, RoomError> {
    let creators_are_above = version
        .rules
        .authorization
        .explicitly_privilege_room_creators;
    let mut users = CanonicalJsonObject::new();
    if !creators_are_above {
        users.insert(request.creator.to_string(), level(100));
        if preset == Preset::TrustedPrivateChat {
            users.extend(
                request
                    .invite
                    .iter()
                    .map(|user| (user.to_string(), level(100))),
            );
        }
    }
    let events = [
        ("m.room.avatar", 50),
        ("m.room.canonical_alias", 50),
        ("m.room.encryption", 100),
        ("m.room.history_visibility", 100),
        ("m.room.name", 50),
        ("m.room.power_levels", 100),
        ("m.room.server_acl", 100),
        (TOMBSTONE, 100),
    ]
    .map(|(event_type, needed)| (event_type.to_owned(), level(needed)));
    // Anyone may invite to a room that is private; the rest are the specification's defaults.
    let invite = if preset == Preset::PublicChat { 50 } else { 0 };
    let mut content: CanonicalJsonObject = [
        ("ban", 50),
        ("events_default", 0),
        ("invite", invite),
        ("kick", 50),
        ("redact", 50),
        ("state_default", 50),
        ("users_default", 0),
    ]
    .map(|(key, value)| (key.to_owned(), level(value)))
    .into_iter()
    .collect();
    content.insert(
        "events".to_owned(),
        CanonicalJsonValue::Object(events.into_iter().collect()),
    );
    content.insert("users".to_owned(), CanonicalJsonValue::Object(users));
    if let Some(raw) = &request.power_levels {
        // "This object is applied on top of the generated content": its keys replace ours.
        content.extend(object(raw)?);
    }
    if creators_are_above {
        keep_creators_out(&content, request, create)?;
        raise_tombstone(&mut content, request)?;
    }
    Ok(content)
}

/// In version 12 the level for tombstones "MUST explicitly be higher than `state_default`", so that
/// the creators alone may end the room; unless the request names it.
fn raise_tombstone(
    levels: &mut CanonicalJsonObject,
    request: &CreateRoom,
) -> Result<(), RoomError> {
    let named = match &request.power_levels {
        Some(raw) => matches!(
            object(raw)?.get("events"),
            Some(CanonicalJsonValue::Object(events)) if events.contains_key(TOMBSTONE)
        ),
        None => false,
    };
    let state_default = match levels.get("state_default") {
        Some(CanonicalJsonValue::Integer(state_default)) => *state_default,
        _ => 50.into(),
    };
    if let Some(CanonicalJsonValue::Object(events)) = levels.get_mut("events")
        && !named
    {
        let higher = state_default.checked_add(50.into()).unwrap_or(Int::MAX);
        let needed = CanonicalJsonValue::Integer(higher.max(150.into()));
        events.insert(TOMBSTONE.to_owned(), needed);
    }
    Ok(())
}

/// "Creators MUST NOT be specified in the `users` field" of version 12.
fn keep_creators_out(
    levels: &CanonicalJsonObject,
    request: &CreateRoom,
    create: &CanonicalJsonObject,
) -> Result<(), RoomError> {
    let Some(CanonicalJsonValue::Object(users)) = levels.get("users") else {
        return Ok(());
    };
    let mut creators = additional_creators(create)?;
    creators.push(request.creator.clone());
    match creators
        .iter()
        .find(|creator| users.contains_key(creator.as_str()))
    {
        Some(creator) => Err(RoomError::InvalidRoomState(format!(
            "{creator} creates the room and so cannot be in the users of its power levels"
        ))),
        None => Ok(()),
    }
}

/// The rules that a preset stands for.
pub(super) fn preset_state(preset: Preset) -> [(&'static str, CanonicalJsonObject); 3] {
    let (join_rule, guest_access) = match preset {
        Preset::PublicChat => ("public", "forbidden"),
        Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", "can_join"),
    };
    [
        ("m.room.join_rules", text_content("join_rule", join_rule)),
        (
            "m.room.history_visibility",
            text_content("history_visibility", "shared"),
        ),
        (
            "m.room.guest_access",
            text_content("guest_access", guest_access),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, owned_user_id};
    use serde_json::{Value, json};

    use super::*;

    const VERSIONS: [RoomVersionId; 12] = [
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
    ];

    fn request() -> CreateRoom {
        CreateRoom {
            creator: owned_user_id!("@alice:localhost"),
            version: None,
            alias_localpart: None,
            name: None,
            topic: None,
            published: false,
            preset: None,
            invite: vec![owned_user_id!("@bob:localhost")],
            is_direct: false,
            initial_state: Vec::new(),
            power_levels: None,
            creation_content: None,
            transaction: None,
        }
    }

    fn raw(value: &Value) -> Box<serde_json::value::RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn version(id: &RoomVersionId) -> RoomVersion {
        RoomVersion::new(id).unwrap()
    }

    fn value(content: CanonicalJsonObject) -> Value {
        serde_json::to_value(content).unwrap()
    }

    #[test]
    fn the_server_says_the_version_and_who_the_creator_is() {
        let mut request = request();
        request.creation_content = Some(raw(
            &json!({"room_version": "99", "creator": "@eve:x", "type": "m.space"}),
        ));
        for id in &VERSIONS {
            let found = create_content(&request, Preset::PrivateChat, &version(id)).unwrap();
            let mut wanted = json!({"room_version": id, "type": "m.space"});
            if !matches!(id, RoomVersionId::V11 | RoomVersionId::V12) {
                wanted["creator"] = json!("@alice:localhost");
            }
            assert_eq!(value(found), wanted);
        }
    }

    #[test]
    fn the_trusted_are_creators_or_have_the_creator_s_level() {
        let mut request = request();
        request.creation_content = Some(raw(&json!({
            "additional_creators": ["@carol:localhost", "@bob:localhost"]
        })));
        let preset = Preset::TrustedPrivateChat;
        let create = create_content(&request, preset, &version(&RoomVersionId::V12)).unwrap();
        let levels = power_levels(&request, preset, &version(&RoomVersionId::V12), &create);
        assert_eq!(value(levels.unwrap())["users"], json!({}));
        assert_eq!(
            value(create)["additional_creators"],
            json!(["@carol:localhost", "@bob:localhost"])
        );
        for id in &VERSIONS[..11] {
            let create = create_content(&request, preset, &version(id)).unwrap();
            let levels = power_levels(&request, preset, &version(id), &create).unwrap();
            let wanted = json!({"@alice:localhost": 100, "@bob:localhost": 100});
            assert_eq!(value(levels)["users"], wanted);
        }
    }

    #[test]
    fn tombstones_need_more_than_other_state_where_creators_stand_above() {
        let request = request();
        for id in &VERSIONS {
            let create = create_content(&request, Preset::PublicChat, &version(id)).unwrap();
            let levels = power_levels(&request, Preset::PublicChat, &version(id), &create);
            let levels = value(levels.unwrap());
            let wanted = if *id == RoomVersionId::V12 { 150 } else { 100 };
            assert_eq!(levels["events"]["m.room.tombstone"], wanted);
            assert_eq!(levels["state_default"], 50);
        }
    }

    #[test]
    fn the_level_of_tombstones_stays_above_other_state_unless_it_is_named() {
        let max = i64::from(Int::MAX);
        let table = [
            (json!({"events": {"org.example": 1}}), 150),
            (json!({"state_default": 149}), 199),
            (json!({"state_default": max}), max),
            (json!({"events": {"m.room.tombstone": 7}}), 7),
        ];
        let v12 = version(&RoomVersionId::V12);
        for (levels, wanted) in table {
            let mut request = request();
            request.power_levels = Some(raw(&levels));
            let create = create_content(&request, Preset::PrivateChat, &v12).unwrap();
            let found = power_levels(&request, Preset::PrivateChat, &v12, &create);
            let found = value(found.unwrap());
            assert_eq!(found["events"]["m.room.tombstone"], wanted, "{levels}");
        }
    }

    #[test]
    fn b21_a_creator_cannot_be_given_a_level_in_version_12() {
        let mut request = request();
        request.power_levels = Some(raw(&json!({"users": {"@alice:localhost": 100}})));
        let (preset, v12) = (Preset::PrivateChat, version(&RoomVersionId::V12));
        let create = create_content(&request, preset, &v12).unwrap();
        let refused = power_levels(&request, preset, &v12, &create);
        assert!(
            matches!(refused, Err(RoomError::InvalidRoomState(_))),
            "{refused:?}"
        );
        let v11 = version(&RoomVersionId::V11);
        let create = create_content(&request, preset, &v11).unwrap();
        assert!(power_levels(&request, preset, &v11, &create).is_ok());
        for wrong in [json!("@bob:localhost"), json!(["bob"]), json!([1])] {
            request.creation_content = Some(raw(&json!({"additional_creators": wrong})));
            let refused = create_content(&request, Preset::TrustedPrivateChat, &v12);
            assert!(
                matches!(refused, Err(RoomError::InvalidRoomState(_))),
                "{refused:?}"
            );
        }
    }
}
