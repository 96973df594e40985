//! Members are sent when they are needed, if a client asks for that.

use greenroom_tests::{Client, TestServer, encode, shared_server};
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
async fn who_was_introduced_is_not_introduced_again() {
    let server = shared_server().await;
    let Crowd {
        alice,
        bob,
        carol,
        room,
    } = crowd(&server).await;
    says(&alice, &room, &["1"]).await;
    for (n, rest) in ["", "&use_state_after=true"].into_iter().enumerate() {
        let introduced = async |token: &str| -> (Vec<String>, String) {
            let query = format!("{}{rest}", since(token));
            let answer = filtered(&alice, &lazy(10), &query).await;
            let section = joined(&answer, &room);
            let list = match rest {
                "" => &section["state"],
                _ => &section["state_after"],
            };
            let users = members(list).into_iter().map(str::to_owned).collect();
            (users, next(&answer))
        };
        let start = next(&filtered(&alice, &lazy(1), rest).await);
        // Another filter: nothing is known of what it has brought.
        let (_, first) = introduced(&start).await;
        says(&carol, &room, &[&format!("{n} first")]).await;
        let (users, second) = introduced(&first).await;
        assert_eq!(users, [carol.user_id.as_str()]);
        says(&carol, &room, &[&format!("{n} second")]).await;
        let (users, third) = introduced(&second).await;
        assert!(users.is_empty(), "{users:?}");
        // The answer was lost: who comes back from before is told again, and then knows.
        for _ in 0..2 {
            let (users, again) = introduced(&first).await;
            assert_eq!(users, [carol.user_id.as_str()]);
            says(&carol, &room, &[&format!("{n} again {again}")]).await;
            let (users, _) = introduced(&again).await;
            assert!(users.is_empty(), "{users:?}");
        }
        // An answer with nothing in it does not make a client forget.
        let (_, quiet) = introduced(&third).await;
        let elsewhere = alice.create_public_room().await;
        says(&alice, &elsewhere, &["1"]).await;
        let (_, quiet) = introduced(&quiet).await;
        says(&carol, &room, &[&format!("{n} third")]).await;
        says(&bob, &room, &[&format!("{n} his")]).await;
        let (users, quiet) = introduced(&quiet).await;
        assert_eq!(users, [bob.user_id.as_str()]);
        // A change is told by itself.
        let path = format!("profile/{}/displayname", encode(&carol.user_id));
        let name = json!({"displayname": format!("Carol {n}")});
        carol.put(&path, name).await.expect_ok();
        let renamed = |section: &Value| {
            let lists = ["state", "state_after", "timeline"];
            let mut all = lists.iter().flat_map(|list| events(&section[list]));
            all.any(|event| event["content"]["displayname"] == format!("Carol {n}"))
        };
        alice.sync_until_since(&quiet, &room, renamed).await;
        // Who wants to hear it each time does.
        let mut redundant = lazy(10);
        redundant["room"]["state"]["include_redundant_members"] = json!(true);
        let mut token = quiet;
        for round in 0..2 {
            says(&bob, &room, &[&format!("{n} {round}")]).await;
            let query = format!("{}{rest}", since(&token));
            let answer = filtered(&alice, &redundant, &query).await;
            let state = joined(&answer, &room);
            assert!(state.to_string().contains(r#""state_key":""#), "{state}");
            token = next(&answer);
        }
    }
}

#[tokio::test]
async fn who_comes_back_to_a_room_is_introduced_to_its_members_anew() {
    let server = shared_server().await;
    let Crowd {
        alice,
        bob,
        carol,
        room,
    } = crowd(&server).await;
    says(&bob, &room, &["1"]).await;
    let token = next(&filtered(&carol, &lazy(1), "").await);
    super::does(&carol, &room, "leave").await;
    let token = next(&filtered(&carol, &lazy(1), &since(&token)).await);
    carol.join(&room).await;
    says(&alice, &room, &["2"]).await;
    let answer = filtered(&carol, &lazy(1), &since(&token)).await;
    let section = joined(&answer, &room);
    assert!(
        !members(&section["state"]).contains(&&*bob.user_id),
        "{section}"
    );
    says(&bob, &room, &["3"]).await;
    let answer = filtered(&carol, &lazy(1), &since(&next(&answer))).await;
    let section = joined(&answer, &room);
    assert_eq!(members(&section["state"]), sorted([&bob]), "{section}");
}

#[tokio::test]
async fn the_full_state_of_members_has_what_changed_in_a_gap() {
    let server = shared_server().await;
    let Crowd {
        alice,
        bob,
        carol,
        room,
    } = crowd(&server).await;
    let token = next(&filtered(&alice, &lazy(1), "").await);
    super::does(&carol, &room, "leave").await;
    says(&bob, &room, &["1", "2"]).await;
    for rest in ["", "&use_state_after=true"] {
        let query = format!("{}&full_state=true{rest}", since(&token));
        let answer = filtered(&alice, &lazy(1), &query).await;
        let section = joined(&answer, &room);
        assert_eq!(section["timeline"]["limited"], true, "{section}");
        let list = match rest {
            "" => &section["state"],
            _ => &section["state_after"],
        };
        assert_eq!(members(list), sorted([&alice, &bob, &carol]), "{section}");
    }
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
    assert_eq!(members(list), [carol.user_id.as_str()], "{answer}");
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
