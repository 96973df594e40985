//! Members are sent when they are needed, if a client asks for that.

use greenroom_tests::{Client, TestServer, shared_server};
use serde_json::{Value, json};

use super::{events, filtered, joined, next, says, since};

struct Crowd {
    alice: Client,
    bob: Client,
    carol: Client,
    room: String,
}

async fn crowd(server: &TestServer) -> Crowd {
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice
        .create_room(json!({"preset": "public_chat", "name": "Named"}))
        .await;
    bob.join(&room).await;
    carol.join(&room).await;
    Crowd {
        alice,
        bob,
        carol,
        room,
    }
}

fn lazy(limit: u64) -> Value {
    json!({"room": {"state": {"lazy_load_members": true}, "timeline": {"limit": limit}}})
}

/// Whose member events a list has.
fn members(list: &Value) -> Vec<&str> {
    let of_members = events(list)
        .iter()
        .filter(|event| event["type"] == "m.room.member");
    let mut members: Vec<&str> = of_members
        .map(|event| event["state_key"].as_str().unwrap())
        .collect();
    members.sort_unstable();
    members
}

fn sorted<const N: usize>(users: [&Client; N]) -> Vec<&str> {
    let mut ids: Vec<&str> = users.iter().map(|user| user.user_id.as_str()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn only_who_speaks_and_oneself_come_with_an_initial_sync() {
    let server = shared_server().await;
    let Crowd {
        alice, bob, room, ..
    } = crowd(&server).await;
    says(&bob, &room, &["1", "2"]).await;
    for rest in ["", "use_state_after=true"] {
        let answer = filtered(&alice, &lazy(2), rest).await;
        let section = joined(&answer, &room);
        let list = match rest {
            "" => &section["state"],
            _ => &section["state_after"],
        };
        assert_eq!(members(list), sorted([&alice, &bob]), "{section}");
        assert!(
            super::in_place(list, "m.room.power_levels", "").is_some(),
            "all the rest is there: {section}"
        );
        assert!(section["summary"]["m.heroes"].is_null(), "it has a name");
        assert_eq!(section["summary"]["m.joined_member_count"], 3);
    }
}

#[tokio::test]
async fn heroes_come_with_a_room_that_has_no_name() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    alice.invite(&room, &carol).await;
    says(&alice, &room, &["1"]).await;
    let answer = filtered(&alice, &lazy(1), "").await;
    let section = joined(&answer, &room);
    assert_eq!(
        section["summary"],
        json!({
            "m.heroes": [bob.user_id, carol.user_id],
            "m.joined_member_count": 2,
            "m.invited_member_count": 1,
        })
    );
    assert_eq!(
        members(&section["state"]),
        sorted([&alice, &bob, &carol]),
        "{section}"
    );
    // When it gets one, and when it loses it again.
    let token = next(&answer);
    let name = |name: &'static str| {
        let (alice, room) = (&alice, &room);
        async move {
            alice
                .send_state(room, "m.room.name", "", json!({"name": name}))
                .await;
        }
    };
    name("Named").await;
    let answer = filtered(&alice, &lazy(10), &since(&token)).await;
    let token = next(&answer);
    name("").await;
    let answer = filtered(&alice, &lazy(10), &since(&token)).await;
    let section = joined(&answer, &room);
    assert_eq!(
        section["summary"]["m.heroes"],
        json!([bob.user_id, carol.user_id]),
        "{section}"
    );
}

#[tokio::test]
async fn a_speaker_is_introduced_with_what_they_say() {
    let server = shared_server().await;
    let Crowd {
        alice, carol, room, ..
    } = crowd(&server).await;
    says(&alice, &room, &["1"]).await;
    let token = next(&filtered(&alice, &lazy(1), "").await);
    says(&carol, &room, &["hello"]).await;
    let answer = filtered(&alice, &lazy(10), &since(&token)).await;
    let section = joined(&answer, &room);
    assert_eq!(members(&section["state"]), sorted([&carol]), "{section}");
}

#[tokio::test]
async fn members_that_changed_in_a_gap_are_not_lost() {
    let server = shared_server().await;
    let Crowd {
        alice,
        bob,
        carol,
        room,
    } = crowd(&server).await;
    let token = next(&filtered(&alice, &lazy(10), "").await);
    super::does(&carol, &room, "leave").await;
    says(&bob, &room, &["1", "2"]).await;
    for rest in ["", "&use_state_after=true"] {
        let query = format!("{}{rest}", since(&token));
        let answer = filtered(&alice, &lazy(1), &query).await;
        let section = joined(&answer, &room);
        assert_eq!(section["timeline"]["limited"], true);
        let list = match rest {
            "" => &section["state"],
            _ => &section["state_after"],
        };
        assert_eq!(members(list), sorted([&bob, &carol]), "{section}");
    }
    // Without a gap, `state_after` is all that such a client reads.
    let query = format!("{}&use_state_after=true", since(&token));
    let answer = filtered(&alice, &lazy(10), &query).await;
    let list = &joined(&answer, &room)["state_after"];
    assert_eq!(members(list), sorted([&bob, &carol]), "{answer}");
}

#[tokio::test]
async fn who_joins_gets_their_own_member_event() {
    let server = shared_server().await;
    let Crowd { bob, room, .. } = crowd(&server).await;
    let dave = server.register("dave").await;
    let token = next(&filtered(&dave, &lazy(1), "").await);
    dave.join(&room).await;
    says(&bob, &room, &["1"]).await;
    let answer = filtered(&dave, &lazy(1), &since(&token)).await;
    let section = joined(&answer, &room);
    assert_eq!(
        members(&section["state"]),
        sorted([&bob, &dave]),
        "{section}"
    );
}
