//! Each numbered authorization rule of each room version's page: an event that it lets pass, and
//! the same event with one thing changed, so that this rule alone is broken.
//!
//! The numbers are those of version 12. Where a version's page counts otherwise, it is its rule
//! with the same words; rules that version 12 no longer has are named with their versions.

mod defaults;
mod events;
mod levels;
mod members;

use std::{collections::HashMap, sync::Arc};

use ruma::{
    OwnedEventId, OwnedRoomId,
    events::{StateEventType, TimelineEventType},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    Pdu, RoomVersion,
    auth::authorize,
    tests::{now, version},
};

/// Made the room: level 100, and above all levels since version 12.
const ALICE: &str = "@alice:a";
/// Joined, of level 60.
const BOB: &str = "@bob:a";
/// Joined, of no level, on another server.
const CAROL: &str = "@carol:b";
/// Joined, of level 30, which is the one to invite.
const DAN: &str = "@dan:a";
/// Invited.
const IDA: &str = "@ida:a";
/// Banned.
const BEN: &str = "@ben:a";
/// Has left; of level 60.
const LEA: &str = "@lea:a";
/// Knocks.
const KIM: &str = "@kim:a";
/// Has never been there.
const STRANGER: &str = "@stranger:a";

const V12_ROOM: &str = "!n8f893n9dJ2MoURFyqAyJ2gJNmvm5vJcXlAU3bdhyeQ";

/// An event that somebody tries to send, and what the room's state is beside [`state`].
#[derive(Clone)]
struct Try {
    sender: &'static str,
    event_type: &'static str,
    state_key: Option<&'static str>,
    content: Value,
    redacts: Option<&'static str>,
    first: bool,
    state: Vec<(&'static str, &'static str, &'static str, Option<Value>)>,
}

fn event(
    sender: &'static str,
    event_type: &'static str,
    state_key: Option<&'static str>,
    content: Value,
) -> Try {
    Try {
        sender,
        event_type,
        state_key,
        content,
        redacts: None,
        first: false,
        state: Vec::new(),
    }
}

/// A member event.
fn member(sender: &'static str, target: &'static str, membership: &str) -> Try {
    let content = json!({ "membership": membership });
    event(sender, "m.room.member", Some(target), content)
}

impl Try {
    /// With another event in a place of the state, by its sender.
    fn given(
        mut self,
        sender: &'static str,
        event_type: &'static str,
        state_key: &'static str,
        content: Value,
    ) -> Self {
        self.state
            .push((sender, event_type, state_key, Some(content)));
        self
    }

    /// With nothing in a place of the state.
    fn without(mut self, event_type: &'static str, state_key: &'static str) -> Self {
        self.state.push(("", event_type, state_key, None));
        self
    }

    fn joining_by(self, rule: &str) -> Self {
        self.given(
            ALICE,
            "m.room.join_rules",
            "",
            json!({ "join_rule": rule, "allow": [] }),
        )
    }

    fn member_is(self, user: &'static str, membership: &str) -> Self {
        let content = json!({ "membership": membership });
        self.given(user, "m.room.member", user, content)
    }

    /// With one level of the room changed.
    fn level(self, pointer: &[&str], level: Value) -> Self {
        let mut levels = levels();
        match pointer {
            [name] => levels[name] = level,
            [map, key] => levels[map][key] = level,
            _ => panic!("a level has one or two names"),
        }
        self.given(ALICE, "m.room.power_levels", "", levels)
    }

    /// With more in the content.
    fn saying(mut self, key: &str, value: Value) -> Self {
        self.content[key] = value;
        self
    }

    fn by(mut self, sender: &'static str) -> Self {
        self.sender = sender;
        self
    }

    fn about(mut self, state_key: &'static str) -> Self {
        self.state_key = Some(state_key);
        self
    }
}

fn levels() -> Value {
    json!({
        "ban": 60, "kick": 60, "invite": 30, "redact": 60,
        "state_default": 50, "events_default": 0, "users_default": 0,
        "events": { "org.example.high": 70, "org.example.low": 10 },
        "notifications": { "room": 70, "low": 10 },
        "users": { ALICE: 100, BOB: 60, DAN: 30, LEA: 60 },
    })
}

/// A room's state.
struct Room {
    version: RoomVersion,
    number: u8,
    state: HashMap<(StateEventType, String), Arc<Pdu>>,
    made: usize,
}

impl Room {
    fn new(number: u8) -> Self {
        Self {
            version: version(number),
            number,
            state: HashMap::new(),
            made: 0,
        }
    }

    fn id(&self) -> OwnedRoomId {
        let id = if self.number == 12 {
            V12_ROOM
        } else {
            "!room:a"
        };
        id.try_into().unwrap()
    }

    /// A PDU made by hand: nobody has checked anything of it.
    fn pdu(
        &mut self,
        sender: &str,
        event_type: &str,
        state_key: Option<&str>,
        content: &Value,
    ) -> Pdu {
        self.made += 1;
        let is_create = self.number == 12 && event_type == "m.room.create";
        let event_id: OwnedEventId = if is_create {
            V12_ROOM.replace('!', "$").try_into().unwrap()
        } else if self.number <= 2 {
            format!(
                "${}:{}",
                self.made,
                &sender[sender.find(':').unwrap() + 1..]
            )
            .try_into()
            .unwrap()
        } else {
            format!("${:0>43}", self.made).try_into().unwrap()
        };
        let content: Box<RawValue> = to_raw_value(content).unwrap();
        Pdu {
            event_id,
            room_id: self.id(),
            sender: sender.try_into().unwrap(),
            event_type: TimelineEventType::from(event_type),
            type_name: event_type.to_owned(),
            state_key: state_key.map(str::to_owned),
            origin_server_ts: now(),
            depth: 7,
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            redacts: None,
            content,
            json: Arc::from(&b"{}"[..]),
            names_room: !is_create,
        }
    }

    fn put(&mut self, sender: &str, event_type: &str, state_key: &str, content: &Value) {
        let pdu = self.pdu(sender, event_type, Some(state_key), content);
        let key = (StateEventType::from(event_type), state_key.to_owned());
        self.state.insert(key, Arc::new(pdu));
    }

    /// The room in which the tries are made.
    fn furnished(number: u8) -> Self {
        let mut room = Self::new(number);
        let mut create = json!({ "room_version": number.to_string() });
        if number <= 10 {
            create["creator"] = json!(ALICE);
        }
        room.put(ALICE, "m.room.create", "", &create);
        let mut levels = levels();
        if number == 12 {
            levels["users"].as_object_mut().unwrap().remove(ALICE);
        }
        room.put(ALICE, "m.room.power_levels", "", &levels);
        room.put(
            ALICE,
            "m.room.join_rules",
            "",
            &json!({ "join_rule": "invite" }),
        );
        for (user, membership) in [
            (ALICE, "join"),
            (BOB, "join"),
            (CAROL, "join"),
            (DAN, "join"),
            (IDA, "invite"),
            (BEN, "ban"),
            (LEA, "leave"),
            (KIM, "knock"),
        ] {
            let content = json!({ "membership": membership });
            room.put(user, "m.room.member", user, &content);
        }
        room
    }

    /// What the rules of a version say to a try.
    fn judge(number: u8, attempt: &Try) -> Result<(), String> {
        let mut room = Self::furnished(number);
        if attempt.first {
            room.state
                .retain(|(event_type, _), _| *event_type == StateEventType::RoomCreate);
        }
        for (sender, event_type, state_key, content) in &attempt.state {
            let Some(content) = content else {
                let key = (StateEventType::from(*event_type), (*state_key).to_owned());
                room.state.remove(&key);
                continue;
            };
            let mut content = content.clone();
            if number == 12
                && *event_type == "m.room.power_levels"
                && let Some(users) = content["users"].as_object_mut()
            {
                users.remove(ALICE);
            }
            room.put(sender, event_type, state_key, &content);
        }
        let create = Arc::clone(&room.state[&(StateEventType::RoomCreate, String::new())]);
        let Try {
            sender,
            event_type,
            state_key,
            content,
            ..
        } = attempt;
        let mut pdu = room.pdu(sender, event_type, *state_key, content);
        pdu.redacts = attempt.redacts.map(|id| id.try_into().unwrap());
        pdu.prev_events = vec![create.event_id.clone()];
        if !attempt.first {
            pdu.prev_events = vec![format!("${:0>43}", 999).try_into().unwrap()];
        }
        let fetch = |event_type: &StateEventType, state_key: &str| {
            let key = (event_type.clone(), state_key.to_owned());
            room.state.get(&key).cloned()
        };
        authorize(&pdu, &room.version, fetch).map_err(|rejected| rejected.reason)
    }
}

/// In each of the versions the rules let `allowed` pass and reject each of the others.
#[track_caller]
fn rule(
    name: &str,
    versions: impl IntoIterator<Item = u8>,
    allowed: &Try,
    rejected: impl IntoIterator<Item = Try>,
) {
    let rejected: Vec<Try> = rejected.into_iter().collect();
    for number in versions {
        let verdict = Room::judge(number, allowed);
        assert_eq!(verdict, Ok(()), "rule {name}, version {number}");
        rejects(name, [number], rejected.iter().cloned());
    }
}

/// In each of the versions the rules reject each of these.
#[track_caller]
fn rejects(
    name: &str,
    versions: impl IntoIterator<Item = u8>,
    rejected: impl IntoIterator<Item = Try>,
) {
    let rejected: Vec<Try> = rejected.into_iter().collect();
    for number in versions {
        for (at, attempt) in rejected.iter().enumerate() {
            let verdict = Room::judge(number, attempt);
            assert!(
                verdict.is_err(),
                "rule {name}, version {number}: try {at} passes"
            );
        }
    }
}
