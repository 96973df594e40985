use std::sync::Arc;

use greenroom_events::{Pdu, RoomVersion};
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{
    CanonicalJsonValue, MilliSecondsSinceUnixEpoch, RoomVersionId, owned_event_id, owned_room_id,
    owned_user_id, uint,
};
use serde_json::{Value, json};

use super::{restricted::powerful, *};
use crate::power::Power;

/// Bob's member event with this content.
fn member(content: &Value) -> Pdu {
    state_of_bob("m.room.member", "@bob:localhost", content)
}

fn state_of_bob(event_type: &str, state_key: &str, content: &Value) -> Pdu {
    let json = json!({
        "auth_events": [],
        "content": content,
        "depth": 7,
        "hashes": {"sha256": ""},
        "origin_server_ts": 1,
        "prev_events": [],
        "room_id": "!tea",
        "sender": "@bob:localhost",
        "signatures": {},
        "state_key": state_key,
        "type": event_type,
    });
    let stored = StoredEvent {
        position: StreamPosition(1),
        event_id: owned_event_id!("$before"),
        room_id: owned_room_id!("!tea"),
        event_type: event_type.to_owned(),
        state_key: Some(state_key.to_owned()),
        sender: owned_user_id!("@bob:localhost"),
        origin_server_ts: MilliSecondsSinceUnixEpoch(uint!(1)),
        json: Arc::from(json.to_string().into_bytes()),
        redacted_by: None,
        replaces_state: None,
        transaction: None,
    };
    let version = RoomVersion::new(&RoomVersionId::V12).unwrap();
    Pdu::from_stored(&stored, &version).unwrap()
}

fn wish(action: MemberAction) -> MemberWish {
    MemberWish {
        sender: owned_user_id!("@alice:localhost"),
        target: owned_user_id!("@bob:localhost"),
        action,
        reason: Some("because".to_owned()),
        display_name: Some("Bob".to_owned()),
        avatar_url: None,
    }
}

/// What comes of an act: the membership it sets, `same` for none, or the refusal.
fn outcome(action: MemberAction, standing: &str) -> String {
    let current = (standing != "nothing").then(|| member(&json!({"membership": standing})));
    match decide(&wish(action), current.as_ref()) {
        Ok(Ok(draft)) => match draft.content.get("membership") {
            Some(CanonicalJsonValue::String(membership)) => membership.clone(),
            _ => "no membership".to_owned(),
        },
        Ok(Err(event_id)) => {
            assert_eq!(event_id, "$before");
            "same".to_owned()
        }
        Err(RoomError::NotInRoom) => "not in room".to_owned(),
        Err(RoomError::Forbidden(_)) => "forbidden".to_owned(),
        Err(RoomError::BadState(_)) => "bad state".to_owned(),
        Err(other) => panic!("{other}"),
    }
}

/// What is written in the table is what reaches the authorization rules, which have the last word.
#[test]
fn every_act_on_every_membership() {
    let join = MemberAction::Join {
        authorized_by: None,
    };
    let invite = MemberAction::Invite { is_direct: false };
    let standings = ["nothing", "invite", "join", "leave", "ban", "knock"];
    let table = [
        (join, ["join", "join", "same", "join", "join", "join"]),
        (
            MemberAction::Leave,
            ["not in room", "leave", "leave", "same", "leave", "leave"],
        ),
        (invite, ["invite"; 6]),
        (
            MemberAction::Kick,
            [
                "forbidden",
                "leave",
                "leave",
                "forbidden",
                "forbidden",
                "leave",
            ],
        ),
        (MemberAction::Ban, ["ban"; 6]),
        (
            MemberAction::Unban,
            [
                "bad state",
                "bad state",
                "bad state",
                "bad state",
                "leave",
                "bad state",
            ],
        ),
        (
            MemberAction::Knock,
            ["knock", "knock", "knock", "knock", "knock", "same"],
        ),
        (
            MemberAction::Refresh,
            ["not in room", "same", "join", "same", "same", "same"],
        ),
    ];
    for (action, wanted) in table {
        for (standing, wanted) in standings.iter().zip(wanted) {
            let found = outcome(action.clone(), standing);
            assert_eq!(found, wanted, "{action:?} of who is at {standing}");
        }
    }
}

#[test]
fn a_member_event_says_who_why_and_by_whom() {
    let content = |action, current: Option<&Pdu>| {
        let draft = decide(&wish(action), current).unwrap().unwrap();
        assert_eq!(draft.state_key.as_deref(), Some("@bob:localhost"));
        assert_eq!(draft.sender, "@alice:localhost");
        serde_json::to_value(&draft.content).unwrap()
    };
    let voucher = MemberAction::Join {
        authorized_by: Some(owned_user_id!("@carol:localhost")),
    };
    let wanted = json!({
        "membership": "join",
        "reason": "because",
        "displayname": "Bob",
        "join_authorised_via_users_server": "@carol:localhost",
    });
    assert_eq!(content(voucher, None), wanted);
    let wanted = json!({
        "membership": "invite", "reason": "because", "displayname": "Bob", "is_direct": true
    });
    let direct = MemberAction::Invite { is_direct: true };
    assert_eq!(content(direct, None), wanted);
}

#[test]
fn a_change_of_profile_keeps_the_rest_of_the_member_event() {
    let before = member(&json!({
        "membership": "join",
        "reason": "at the time",
        "join_authorised_via_users_server": "@carol:localhost",
        "displayname": "Robert",
        "avatar_url": "mxc://localhost/old",
        "org.example": [1],
    }));
    let draft = decide(&wish(MemberAction::Refresh), Some(&before));
    let content = serde_json::to_value(draft.unwrap().unwrap().content).unwrap();
    let wanted = json!({"membership": "join", "displayname": "Bob", "org.example": [1]});
    assert_eq!(content, wanted);
    let again = member(&json!({"membership": "join", "displayname": "Bob", "reason": "then"}));
    let same = decide(&wish(MemberAction::Refresh), Some(&again)).unwrap();
    assert_eq!(same.unwrap_err(), "$before");
}

#[test]
fn b23_who_may_vouch_is_sought_among_all_creators_and_whom_the_levels_name() {
    let content = json!({"additional_creators": ["@carol:localhost"]});
    let create = state_of_bob("m.room.create", "", &content);
    let content = json!({"users": {"@dave:localhost": 50}});
    let levels = state_of_bob("m.room.power_levels", "", &content);
    for (id, wanted) in [
        (RoomVersionId::V11, &["@bob", "@dave"][..]),
        (RoomVersionId::V12, &["@bob", "@carol", "@dave"]),
    ] {
        let version = RoomVersion::new(&id).unwrap();
        let power = Power::new(&version, &create, Some(&levels));
        let found = powerful(&power, Some(&levels));
        let found: Vec<_> = found.iter().map(|user| user.as_str()).collect();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|name| format!("{name}:localhost"))
            .collect();
        assert_eq!(found, wanted);
    }
}
