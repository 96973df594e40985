//! Rules 1 and 6 to 9: who may send what.

use futures_util::future::join_all;
use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room, text, timeline};

const VERSIONS: [&str; 6] = ["1", "5", "6", "9", "11", "12"];

/// Everything that a room is: its state and its events.
async fn everything(alice: &Client, room: &str) -> (Value, usize) {
    let state = alice.get(&in_room(room, "state")).await.expect_ok();
    let ids = state.as_array().unwrap().iter();
    let mut ids: Vec<Value> = ids.map(|event| event["event_id"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    (json!(ids), timeline(alice, room).await.len())
}

/// Somebody tries to send a state event, and must not.
async fn refused_state(client: &Client, room: &str, place: &str, content: Value) {
    let path = in_room(room, &format!("state/{place}"));
    let answer = client.put(&path, content).await;
    answer.expect_error(403, "M_FORBIDDEN");
}

async fn act(client: &Client, room: &str, verb: &str, body: Value) {
    client.post(&in_room(room, verb), body).await.expect_ok();
}

/// "If the `sender`'s current membership state is not `join`, reject."
#[tokio::test]
async fn a05_rule_6_who_is_not_in_the_room_sends_nothing() {
    let server = shared_server().await;
    join_all(VERSIONS.map(|version| outsiders(&server, version))).await;
}

async fn outsiders(server: &TestServer, version: &str) {
    let open = json!({"room_version": version, "initial_state": [
        {"type": "m.room.join_rules", "content": {"join_rule": "public"}},
    ]});
    let (alice, bob, room) = shared_room(server, open).await;
    let [left, banned, invited, stranger] = [
        server.register("left").await,
        server.register("banned").await,
        server.register("invited").await,
        server.register("stranger").await,
    ];
    let outsiders = [&left, &banned, &invited, &stranger];
    let mut levels = alice
        .state(&room, "m.room.power_levels", "")
        .await
        .expect_ok();
    // It is not their power that they lack.
    for outsider in outsiders {
        levels["users"][&outsider.user_id] = json!(99);
    }
    alice
        .send_state(&room, "m.room.power_levels", "", levels.clone())
        .await;
    for outsider in [&left, &banned] {
        outsider.join(&room).await;
    }
    let note = json!({"by": "somebody who left"});
    left.send_state(&room, "org.example.note", "", note.clone())
        .await;
    let own = left.send_text(&room, "own", "own").await;
    act(&left, &room, "leave", json!({})).await;
    act(&alice, &room, "ban", json!({"user_id": banned.user_id})).await;
    alice.invite(&room, &invited).await;
    let said = bob.send_text(&room, "t", "said").await;
    let before = everything(&alice, &room).await;
    for outsider in outsiders {
        for (event_type, content) in [
            ("m.room.message", text("hello")),
            ("org.example", json!({})),
            ("m.room.redaction", json!({"redacts": said})),
        ] {
            let path = in_room(&room, &format!("send/{event_type}/t"));
            let answer = outsider.put(&path, content).await;
            answer.expect_error(403, "M_FORBIDDEN");
        }
        for target in [&said, &own] {
            let path = in_room(&room, &format!("redact/{}/t", encode(target)));
            let answer = outsider.put(&path, json!({})).await;
            answer.expect_error(403, "M_FORBIDDEN");
        }
        let own_place = format!("org.example/{}", encode(&outsider.user_id));
        for (place, content) in [
            ("m.room.name", json!({"name": "mine"})),
            ("m.room.power_levels", levels.clone()),
            ("m.room.power_levels", json!({"users": {}})),
            ("m.room.join_rules", json!({"join_rule": "invite"})),
            ("m.room.third_party_invite/token", json!({})),
            (
                "m.room.tombstone",
                json!({"body": "b", "replacement_room": "!x"}),
            ),
            (&own_place, json!({})),
            // Even if it is what they said when they were in the room.
            ("org.example.note", note.clone()),
        ] {
            refused_state(outsider, &room, place, content).await;
        }
        let typing = in_room(&room, &format!("typing/{}", encode(&outsider.user_id)));
        let answer = outsider
            .put(&typing, json!({"typing": true, "timeout": 1}))
            .await;
        answer.expect_error(403, "M_FORBIDDEN");
    }
    assert_eq!(everything(&alice, &room).await, before, "version {version}");
}

/// "Allow if and only if `sender`'s current power level is greater than or equal to the invite
/// level": `state_default` has no say in it.
#[tokio::test]
async fn a05_rule_7_third_party_invites_need_the_level_to_invite() {
    let server = shared_server().await;
    let content = json!({"display_name": "a...@e...", "key_validity_url": "https://id.example.org",
        "public_key": "x"});
    for version in VERSIONS {
        for (invite, allowed) in [(0, true), (1, false)] {
            let request = json!({"room_version": version,
                "power_level_content_override": {"invite": invite}});
            let (alice, bob, room) = shared_room(&server, request).await;
            let path = in_room(&room, "state/m.room.third_party_invite/token");
            let before = everything(&alice, &room).await;
            let answer = bob.put(&path, content.clone()).await;
            if allowed {
                answer.expect_ok();
            } else {
                answer.expect_error(403, "M_FORBIDDEN");
                assert_eq!(everything(&alice, &room).await, before, "version {version}");
            }
        }
    }
}

/// Rule 5.4.1: an invite that pretends to redeem one made by way of an address.
#[tokio::test]
async fn a05_rule_5_4_1_a_forged_third_party_invite_is_rejected() {
    let server = shared_server().await;
    for version in VERSIONS {
        let request = json!({"room_version": version,
            "power_level_content_override": {"invite": 0}});
        let (alice, bob, room) = shared_room(&server, request).await;
        let carol = server.register("carol").await;
        let issued = json!({"display_name": "a...@e...",
            "key_validity_url": "https://id.example.org/valid",
            "public_key": "ta8IQ0u1sp44HVpxYi7dFOdS/bfwDjcy4xLFlfY5KOA"});
        alice
            .send_state(&room, "m.room.third_party_invite", "token", issued)
            .await;
        let place = format!("m.room.member/{}", encode(&carol.user_id));
        let before = everything(&alice, &room).await;
        let signature = "A".repeat(86);
        let signed = |mxid: &str, token: &str| {
            json!({"display_name": "a...@e...", "signed": {"mxid": mxid, "token": token,
                "signatures": {"id.example.org": {"ed25519:0": signature}}}})
        };
        for forged in [
            json!({}),
            json!({"signed": {}}),
            json!({"signed": {"mxid": carol.user_id, "signatures": {}}}),
            json!({"signed": {"token": "token", "signatures": {}}}),
            signed(&bob.user_id, "token"),
            signed(&carol.user_id, "another"),
            signed(&carol.user_id, "token"),
            json!("x"),
        ] {
            for client in [&alice, &bob] {
                let content = json!({"membership": "invite", "third_party_invite": forged});
                let path = in_room(&room, &format!("state/{place}"));
                let answer = client.put(&path, content).await;
                let refused = [400, 403].contains(&answer.status);
                assert!(
                    refused,
                    "version {version}: {forged}: {}",
                    answer.describe()
                );
            }
        }
        assert_eq!(everything(&alice, &room).await, before, "version {version}");
    }
}

/// "If the event type's required power level is greater than the `sender`'s power level, reject."
#[tokio::test]
async fn a05_a04_rule_8_each_type_has_its_level() {
    let server = shared_server().await;
    for version in VERSIONS {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let mut levels = alice
            .state(&room, "m.room.power_levels", "")
            .await
            .expect_ok();
        levels["events"]["org.example.high"] = json!(11);
        levels["events"]["org.example.low"] = json!(10);
        levels["events"]["m.room.redaction"] = json!(11);
        levels["users"][&bob.user_id] = json!(10);
        for (events_default, state_default) in [(11, 11), (10, 11), (11, 10)] {
            levels["events_default"] = json!(events_default);
            levels["state_default"] = json!(state_default);
            alice
                .send_state(&room, "m.room.power_levels", "", levels.clone())
                .await;
            let before = everything(&alice, &room).await;
            let mut allowed = 0;
            for (event_type, needed) in [
                ("org.example.high", [11, 11]),
                ("org.example.low", [10, 10]),
                ("org.example.other", [events_default, state_default]),
            ] {
                let n = json!({"n": events_default * 100 + state_default});
                let [as_message, as_state] = [
                    bob.post(&in_room(&room, &format!("send/{event_type}")), n.clone())
                        .await,
                    bob.put(&in_room(&room, &format!("state/{event_type}")), n)
                        .await,
                ];
                for (answer, needed) in [as_message, as_state].into_iter().zip(needed) {
                    let right = if needed <= 10 { 200 } else { 403 };
                    let shown = (version, needed, answer.describe());
                    assert_eq!(answer.status, right, "{shown:?}");
                    allowed += usize::from(right == 200);
                }
            }
            let after = everything(&alice, &room).await;
            assert_eq!(after.1, before.1 + allowed, "version {version}");
        }
        // The type of a redaction has a level as well, beside that of redacting what others say.
        let levels_now = bob.get(&in_room(&room, "state")).await.expect_ok();
        let message = alice.send_text(&room, "t", "hers").await;
        let path = in_room(&room, &format!("redact/{}/t", encode(&message)));
        bob.put(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        assert_eq!(
            bob.get(&in_room(&room, "state"))
                .await
                .expect_ok()
                .as_array()
                .unwrap()
                .len(),
            levels_now.as_array().unwrap().len()
        );
    }
}

/// "If the event has a `state_key` that starts with an `@` and does not match the `sender`,
/// reject": whether or not it is anybody's ID.
#[tokio::test]
async fn a05_rule_9_a_state_key_with_an_at_is_its_owners() {
    let server = shared_server().await;
    for version in VERSIONS {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let upper = bob.user_id.to_uppercase();
        let longer = format!("{}x", alice.user_id);
        let before = everything(&alice, &room).await;
        for key in ["@", "@nobody", "@ :", &bob.user_id, &upper, &longer] {
            for event_type in ["org.example", "m.room.name", "m.room.power_levels"] {
                let place = format!("{event_type}/{}", encode(key));
                refused_state(&alice, &room, &place, json!({})).await;
            }
        }
        assert_eq!(everything(&alice, &room).await, before, "version {version}");
        for key in [alice.user_id.as_str(), " @", "alice@localhost"] {
            alice.send_state(&room, "org.example", key, json!({})).await;
        }
    }
}

/// Rules 1 and 5.1: a room has one beginning, and a member event is about somebody.
#[tokio::test]
async fn a05_rules_1_and_5_1_there_is_no_second_create_event_and_no_member_nobody() {
    let server = shared_server().await;
    for version in VERSIONS {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let before = everything(&alice, &room).await;
        let create = json!({"creator": alice.user_id, "room_version": version});
        for client in [&alice, &bob] {
            refused_state(client, &room, "m.room.create", create.clone()).await;
            refused_state(client, &room, "m.room.create/x", create.clone()).await;
            let path = in_room(&room, "send/m.room.create");
            let answer = client.post(&path, create.clone()).await;
            answer.expect_error(403, "M_FORBIDDEN");
            let member = json!({"membership": "join"});
            let path = in_room(&room, "send/m.room.member");
            let answer = client.post(&path, member.clone()).await;
            answer.expect_error(400, "M_BAD_JSON");
            for key in ["", "nobody", "@nobody", "@a b:localhost:x:y"] {
                let path = in_room(&room, &format!("state/m.room.member/{}", encode(key)));
                let answer = client.put(&path, member.clone()).await;
                let refused = [400, 403].contains(&answer.status);
                assert!(refused, "{}", answer.describe());
            }
            let own = format!("state/m.room.member/{}", encode(&client.user_id));
            for wrong in [
                json!({}),
                json!({"membership": null}),
                json!({"membership": 1}),
                json!({"membership": "JOIN"}),
                json!({"membership": ""}),
            ] {
                let answer = client.put(&in_room(&room, &own), wrong).await;
                answer.expect_error(400, "M_BAD_JSON");
            }
        }
        assert_eq!(everything(&alice, &room).await, before, "version {version}");
    }
}
