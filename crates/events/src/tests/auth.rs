use std::{collections::HashMap, sync::Arc};

use ruma::{events::StateEventType, user_id};
use serde_json::{Value, json};

use crate::{
    Draft, EventError, EventRef, Pdu, Place, RoomVersion,
    auth::{auth_keys, authorize},
    build, room_id_for_create,
    tests::{created, draft, now, signer, version, versions},
};

/// A room on a straight line, as its actor would keep it.
struct Room {
    version: RoomVersion,
    state: HashMap<(StateEventType, String), Arc<Pdu>>,
    newest: Arc<Pdu>,
}

impl Room {
    fn create(version: RoomVersion) -> Self {
        let content = if version.rules.authorization.use_room_create_sender {
            json!({ "room_version": version.id })
        } else {
            json!({ "room_version": version.id, "creator": "@alice:localhost" })
        };
        let room_id =
            (!version.room_id_is_create_hash()).then(|| "!room:localhost".try_into().unwrap());
        let place = Place {
            room_id,
            prev_events: vec![],
            auth_events: vec![],
            depth: 1,
        };
        let draft = draft("m.room.create", Some(""), &content);
        assert_eq!(auth_keys(&draft, &version).unwrap(), vec![]);
        let newest = Arc::new(build(draft, &place, &version, &signer(), now()).unwrap());
        authorize(&newest, &version, |_, _| None::<Arc<Pdu>>).unwrap();
        let key = (StateEventType::RoomCreate, String::new());
        Self {
            version,
            state: HashMap::from([(key, Arc::clone(&newest))]),
            newest,
        }
    }

    fn send(&mut self, draft: Draft) -> Result<Arc<Pdu>, String> {
        let keys = auth_keys(&draft, &self.version).map_err(|error| error.to_string())?;
        let reference = |pdu: &Arc<Pdu>| EventRef::to(pdu, &self.version).unwrap();
        let place = Place {
            room_id: Some(self.newest.room_id.clone()),
            prev_events: vec![reference(&self.newest)],
            auth_events: keys
                .iter()
                .filter_map(|key| self.state.get(key))
                .map(reference)
                .collect(),
            depth: self.newest.depth + 1,
        };
        let pdu = Arc::new(build(draft, &place, &self.version, &signer(), now()).unwrap());
        let fetch = |event_type: &StateEventType, state_key: &str| {
            self.state
                .get(&(event_type.clone(), state_key.to_owned()))
                .cloned()
        };
        authorize(&pdu, &self.version, fetch).map_err(|rejected| rejected.to_string())?;
        if let Some(state_key) = &pdu.state_key {
            let key = (
                StateEventType::from(pdu.type_name.as_str()),
                state_key.clone(),
            );
            self.state.insert(key, Arc::clone(&pdu));
        }
        self.newest = Arc::clone(&pdu);
        Ok(pdu)
    }
}

fn by_bob(event_type: &str, state_key: Option<&str>, content: &Value) -> Draft {
    Draft {
        sender: user_id!("@bob:localhost").to_owned(),
        ..draft(event_type, state_key, content)
    }
}

#[test]
fn a_room_of_every_version_lives_by_its_rules() {
    for (number, version) in versions() {
        let mut room = Room::create(version);
        let join = json!({ "membership": "join" });
        let creators_named = number < 12;
        let levels = if creators_named {
            json!({ "users": { "@alice:localhost": 100 } })
        } else {
            json!({})
        };
        room.send(draft("m.room.member", Some("@alice:localhost"), &join))
            .unwrap();
        room.send(draft("m.room.power_levels", Some(""), &levels))
            .unwrap();
        room.send(draft(
            "m.room.join_rules",
            Some(""),
            &json!({ "join_rule": "public" }),
        ))
        .unwrap();

        let stranger = room
            .send(by_bob("m.room.message", None, &json!({})))
            .unwrap_err();
        assert!(
            stranger.contains("membership"),
            "version {number}: {stranger}"
        );
        room.send(by_bob("m.room.member", Some("@bob:localhost"), &join))
            .unwrap();
        room.send(by_bob("m.room.message", None, &json!({})))
            .unwrap();
        room.send(by_bob("m.room.name", Some(""), &json!({ "name": "mine" })))
            .unwrap_err();
        room.send(by_bob(
            "m.room.member",
            Some("@alice:localhost"),
            &json!({ "membership": "ban" }),
        ))
        .unwrap_err();
        let named = room
            .send(draft("m.room.name", Some(""), &json!({ "name": "ours" })))
            .unwrap();
        assert_eq!(named.depth, 7, "version {number}");

        let create = &room.state[&(StateEventType::RoomCreate, String::new())];
        assert_eq!(
            named.auth_events.contains(&create.event_id),
            creators_named,
            "version {number}"
        );
        room.send(by_bob("m.room.name", Some("@alice:localhost"), &json!({})))
            .unwrap_err();
    }
}

#[test]
fn the_events_that_decide_are_named() {
    let keys = |draft: &Draft, number| {
        let keys = auth_keys(draft, &version(number)).unwrap();
        let mut texts: Vec<String> = keys
            .iter()
            .map(|(kind, key)| format!("{kind} {key}"))
            .collect();
        texts.sort();
        texts
    };
    let message = by_bob("m.room.message", None, &json!({}));
    assert_eq!(
        keys(&message, 11),
        [
            "m.room.create ",
            "m.room.member @bob:localhost",
            "m.room.power_levels "
        ]
    );
    assert_eq!(
        keys(&message, 12),
        ["m.room.member @bob:localhost", "m.room.power_levels "]
    );
    let content =
        json!({ "membership": "join", "join_authorised_via_users_server": "@alice:localhost" });
    let join = by_bob("m.room.member", Some("@bob:localhost"), &content);
    assert_eq!(
        keys(&join, 12),
        [
            "m.room.join_rules ",
            "m.room.member @alice:localhost",
            "m.room.member @bob:localhost",
            "m.room.power_levels "
        ]
    );
    for (state_key, content) in [
        (Some("@bob:localhost"), json!({})),
        (None, json!({ "membership": "join" })),
    ] {
        let refused = auth_keys(&by_bob("m.room.member", state_key, &content), &version(12));
        assert!(matches!(refused, Err(EventError::BadJson(_))));
    }
}

#[test]
fn a_create_event_stands_alone() {
    let create = created();
    assert!(authorize(&create, &version(12), |_, _| None::<Pdu>).is_ok());
    // The same event judged as if it named its room.
    assert!(authorize(&create, &version(11), |_, _| None::<Pdu>).is_err());
    assert!(room_id_for_create(&create.event_id).is_ok());
}
