//! At the door: what one is told of a room there, and what is said at each way in and out.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{act, member, membership, people, rules};
use crate::rooms::in_room;

async fn knock(client: &Client, room: &str) {
    let path = format!("knock/{}", encode(room));
    client.post(&path, json!({})).await.expect_ok();
}

async fn with_left_rooms(client: &Client) -> Value {
    let filter = json!({"room": {"include_leave": true}}).to_string();
    client.sync(&format!("filter={}", encode(&filter))).await
}

/// "Stripped state should contain some or all of the following", and events that "can only have the
/// `sender`, `type`, `state_key` and `content` properties"; "the `m.room.create` event is required".
#[tokio::test]
async fn stripped_state_has_what_identifies_the_room() {
    let server = shared_server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    for version in ["7", "12"] {
        let alias = format!("door{version}{}", alice.localpart());
        let url = json!({"url": "mxc://localhost/door"});
        let encryption = json!({"algorithm": "m.megolm.v1.aes-sha2"});
        let request = json!({"room_version": version, "name": "Door", "topic": "In or out",
        "room_alias_name": alias, "initial_state": [
            {"type": "m.room.avatar", "content": url},
            {"type": "m.room.encryption", "content": encryption},
            {"type": "m.room.join_rules", "content": {"join_rule": "knock"}},
            {"type": "org.example.inside", "content": {"not": "for those outside"}},
        ]});
        let room = alice.create_room(request).await;
        alice.invite(&room, &bob).await;
        knock(&carol, &room).await;
        for (client, section, state) in [
            (&bob, "invite", "invite_state"),
            (&carol, "knock", "knock_state"),
        ] {
            let answer = client.sync("").await;
            let told = answer["rooms"][section][&room][state]["events"].clone();
            let told = told.as_array().unwrap();
            let mut types = Vec::new();
            for event in told {
                let event_type = event["type"].as_str().unwrap();
                let mut keys: Vec<&String> = event.as_object().unwrap().keys().collect();
                keys.sort();
                assert_eq!(keys, ["content", "sender", "state_key", "type"], "{event}");
                if event_type == "m.room.member" {
                    continue;
                }
                let whole = alice.state(&room, event_type, "").await.expect_ok();
                assert_eq!(event["content"], whole, "{event}");
                types.push(event_type);
            }
            types.sort_unstable();
            let right = [
                "m.room.avatar",
                "m.room.canonical_alias",
                "m.room.create",
                "m.room.encryption",
                "m.room.join_rules",
                "m.room.name",
                "m.room.topic",
            ];
            assert_eq!(types, right, "{section}, version {version}");
            let own = told.iter().find(|it| it["state_key"] == *client.user_id);
            assert_eq!(own.unwrap()["content"]["membership"], section);
        }
    }
}

/// "The reason to be included as the `reason` on the subsequent membership event."
#[tokio::test]
async fn the_reason_of_each_act_is_in_its_event() {
    let server = shared_server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let room = alice.create_room(json!({})).await;
    rules(&alice, &room, json!({"join_rule": "knock"})).await;
    let encoded = encode(&room);
    let [knocking, joining] = ["knock", "join"].map(|verb| format!("{verb}/{encoded}"));
    let below = |verb: &str| in_room(&room, verb);
    for (n, (by_alice, path, standing)) in [
        (false, knocking.clone(), "knock"),
        (false, below("leave"), "leave"),
        (false, knocking, "knock"),
        (true, below("invite"), "invite"),
        (false, below("join"), "join"),
        (true, below("kick"), "leave"),
        (true, below("invite"), "invite"),
        (false, joining, "join"),
        (false, below("leave"), "leave"),
        (true, below("ban"), "ban"),
        (true, below("unban"), "leave"),
        (true, below("invite"), "invite"),
        (true, below("kick"), "leave"),
    ]
    .into_iter()
    .enumerate()
    {
        let reason = format!("reason {n}");
        let (actor, body) = match by_alice {
            true => (&alice, json!({"user_id": bob.user_id, "reason": reason})),
            false => (&bob, json!({ "reason": reason })),
        };
        actor.post(&path, body).await.expect_ok();
        let content = member(&alice, &room, &bob).await;
        assert_eq!(content["membership"], standing, "{path}");
        assert_eq!(content["reason"], reason, "{path}");
    }
    // A reason is of one act, not of the next.
    alice.invite(&room, &bob).await;
    assert!(member(&alice, &room, &bob).await.get("reason").is_none());
}

/// "Rooms which have been forgotten will never appear in the response to the `/sync` API, until the
/// user re-joins, is re-invited, or knocks."
#[tokio::test]
async fn a_forgotten_room_appears_to_who_knocks_or_joins() {
    let server = shared_server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let room = alice.create_room(json!({})).await;
    let shown = async |section: &str| {
        let answer = with_left_rooms(&bob).await;
        let rooms = answer["rooms"].as_object().into_iter().flatten();
        let with_it = rooms.filter(|(_, rooms)| rooms.get(&room).is_some());
        let found: Vec<&String> = with_it.map(|(section, _)| section).collect();
        let right: Vec<&str> = Some(section)
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect();
        assert_eq!(found, right, "{answer}");
    };
    for verb in ["knock", "join"] {
        rules(&alice, &room, json!({"join_rule": "public"})).await;
        bob.join(&room).await;
        shown("join").await;
        act(&bob, &room, "leave", json!({})).await.expect_ok();
        shown("leave").await;
        act(&bob, &room, "forget", json!({})).await.expect_ok();
        shown("").await;
        if verb == "knock" {
            rules(&alice, &room, json!({"join_rule": "knock"})).await;
            knock(&bob, &room).await;
            // Who takes a knock back has left.
            shown("knock").await;
            act(&bob, &room, "leave", json!({})).await.expect_ok();
            shown("leave").await;
        } else {
            bob.join(&room).await;
            shown("join").await;
        }
    }
}

/// "If you interact with the room using knocking, the `knock` rule takes effect whereas trying to
/// join the room without an invite applies the `restricted` join rule."
#[tokio::test]
async fn b23_a_room_of_both_rules_is_knocked_at_and_joined() {
    let server = shared_server().await;
    for version in ["10", "12"] {
        let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
        let door = alice.create_public_room().await;
        let room = alice.create_room(json!({"room_version": version})).await;
        let allow = json!([{"type": "m.room_membership", "room_id": door}]);
        let both = json!({"join_rule": "knock_restricted", "allow": allow});
        rules(&alice, &room, both).await;
        knock(&bob, &room).await;
        let refused = act(&bob, &room, "join", json!({})).await;
        refused.expect_error(403, "M_FORBIDDEN");
        assert_eq!(membership(&alice, &room, &bob).await, "knock");
        // Who knocks and comes to meet the condition need not wait for an answer.
        bob.join(&door).await;
        bob.join(&room).await;
        let voucher = &member(&alice, &room, &bob).await["join_authorised_via_users_server"];
        assert_eq!(*voucher, alice.user_id);
        // Invited to the other room is not in it, and nor is who has left.
        alice.invite(&door, &carol).await;
        let refused = act(&carol, &room, "join", json!({})).await;
        refused.expect_error(403, "M_FORBIDDEN");
        carol.join(&door).await;
        act(&carol, &door, "leave", json!({})).await.expect_ok();
        let refused = act(&carol, &room, "join", json!({})).await;
        refused.expect_error(403, "M_FORBIDDEN");
        // Who is banned meets no condition.
        carol.join(&door).await;
        let ban = json!({"user_id": carol.user_id});
        act(&alice, &room, "ban", ban).await.expect_ok();
        for verb in ["join", "knock"] {
            let path = format!("{verb}/{}", encode(&room));
            let refused = carol.post(&path, json!({})).await;
            refused.expect_error(403, "M_FORBIDDEN");
        }
    }
}
