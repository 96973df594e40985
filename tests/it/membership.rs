//! Coming and going: who is let in, who is put out, and what a second time changes.

use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room, text, timeline};

mod door;
mod invites;
mod restricted;

async fn act(client: &Client, room: &str, verb: &str, body: Value) -> Answer {
    client.post(&in_room(room, verb), body).await
}

/// Does something about a user of a room.
async fn act_on(client: &Client, room: &str, verb: &str, target: &Client) -> Answer {
    let body = json!({"user_id": target.user_id, "reason": format!("why {verb}")});
    act(client, room, verb, body).await
}

/// The content of a user's member event, as somebody in the room sees it.
async fn member(reader: &Client, room: &str, user: &Client) -> Value {
    reader
        .state(room, "m.room.member", &user.user_id)
        .await
        .expect_ok()
}

async fn membership(reader: &Client, room: &str, user: &Client) -> String {
    let content = member(reader, room, user).await;
    content["membership"].as_str().unwrap().to_owned()
}

async fn rules(owner: &Client, room: &str, content: Value) {
    owner
        .send_state(room, "m.room.join_rules", "", content)
        .await;
}

async fn people<const N: usize>(server: &TestServer, names: [&str; N]) -> [Client; N] {
    let mut people = Vec::new();
    for name in names {
        people.push(server.register(name).await);
    }
    people.try_into().unwrap()
}

#[tokio::test]
async fn an_invite_is_accepted_once_and_by_the_invited_alone() {
    let server = shared_server().await;
    let [alice, bob, eve] = people(&server, ["alice", "bob", "eve"]).await;
    let room = alice.create_room(json!({"name": "Tea"})).await;
    for outsider in [&bob, &eve] {
        let refused = act(outsider, &room, "join", json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        assert_eq!(refused["error"], "You are not invited to this room.");
    }
    let invite = json!({"user_id": bob.user_id, "reason": "come in"});
    act(&alice, &room, "invite", invite.clone())
        .await
        .expect_ok();
    let content = member(&alice, &room, &bob).await;
    assert_eq!(content["membership"], "invite");
    assert_eq!(content["reason"], "come in");
    assert_eq!(content["displayname"], bob.localpart());
    // Already invited: the same again.
    act(&alice, &room, "invite", invite).await.expect_ok();
    act(&eve, &room, "join", json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let joined = act(&bob, &room, "join", json!({"reason": "thanks"}))
        .await
        .expect_ok();
    assert_eq!(joined, json!({"room_id": room}));
    let content = member(&alice, &room, &bob).await;
    assert_eq!(content["membership"], "join");
    assert_eq!(content["reason"], "thanks");
    // Who is in is not invited.
    act_on(&alice, &room, "invite", &bob)
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn joining_twice_changes_nothing() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let before = timeline(&alice, &room).await.len();
    for client in [&bob, &bob.over("r0"), &alice] {
        let path = format!("join/{}", encode(&room));
        let joined = client
            .post(&path, json!({"reason": "again"}))
            .await
            .expect_ok();
        assert_eq!(joined, json!({"room_id": room}));
        act(client, &room, "join", json!({})).await.expect_ok();
    }
    assert_eq!(timeline(&alice, &room).await.len(), before);
}

#[tokio::test]
async fn a_room_is_joined_by_its_alias_with_an_empty_body() {
    let server = shared_server().await;
    let [alice, bob, carol, dave] = people(&server, ["alice", "bob", "carol", "dave"]).await;
    let name = format!("tea-é-{}", alice.localpart());
    let created = alice
        .post(
            "createRoom",
            json!({"preset": "public_chat", "room_alias_name": name}),
        )
        .await
        .expect_ok();
    let room = created["room_id"].as_str().unwrap();
    let alias = format!("join/{}", encode(created["room_alias"].as_str().unwrap()));
    let id = format!("join/{}", encode(room));
    let by_id = in_room(room, "join");
    for (client, path) in [(bob, alias), (carol, id), (dave, by_id)] {
        let joined = client.raw(Method::POST, &path, &[], "").await.expect_ok();
        assert_eq!(joined["room_id"], room);
        client.send_text(room, "t", "hello").await;
    }
}

/// The alias opens no door that the join rule keeps shut.
#[tokio::test]
async fn an_alias_does_not_let_anyone_in() {
    let server = shared_server().await;
    let [alice, eve] = people(&server, ["alice", "eve"]).await;
    let name = format!("private-{}", alice.localpart());
    let created = alice
        .post(
            "createRoom",
            json!({"preset": "private_chat", "room_alias_name": name}),
        )
        .await
        .expect_ok();
    let path = format!("join/{}", encode(created["room_alias"].as_str().unwrap()));
    eve.post(&path, json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    for unknown in [
        "#nowhere:localhost",
        "#nowhere:elsewhere.example",
        "!nowhere",
        "!no:where.example",
    ] {
        let path = format!("join/{}", encode(unknown));
        eve.post(&path, json!({}))
            .await
            .expect_error(404, "M_NOT_FOUND");
    }
    for wrong in ["nowhere", "@eve:localhost", "#nowhere"] {
        let path = format!("join/{}", encode(wrong));
        eve.post(&path, json!({}))
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    let signed = json!({"third_party_signed": {"sender": "@a:b", "mxid": "@c:d",
        "token": "x", "signatures": {}}});
    let path = format!("join/{}", encode(created["room_id"].as_str().unwrap()));
    eve.post(&path, signed)
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn whom_nobody_could_be_is_not_invited() {
    let server = shared_server().await;
    let [alice] = people(&server, ["alice"]).await;
    let room = alice.create_room(json!({})).await;
    let before = timeline(&alice, &room).await.len();
    let nobody = format!("@nobody-{}", &alice.user_id[1..]);
    for (body, status, errcode) in [
        (json!({"user_id": nobody}), 404, "M_NOT_FOUND"),
        (
            json!({"user_id": "@bob:elsewhere.example"}),
            404,
            "M_NOT_FOUND",
        ),
        (json!({"user_id": "bob"}), 400, "M_BAD_JSON"),
        (json!({"user_id": 1}), 400, "M_BAD_JSON"),
        (json!({}), 400, "M_BAD_JSON"),
        (
            json!({"medium": "email", "address": "a@example.org",
                "id_server": "id.example.org", "id_access_token": "x"}),
            403,
            "M_SERVER_NOT_TRUSTED",
        ),
    ] {
        act(&alice, &room, "invite", body)
            .await
            .expect_error(status, errcode);
    }
    let path = in_room(&room, &format!("state/m.room.member/{}", encode(&nobody)));
    let invite = json!({"membership": "invite"});
    alice
        .put(&path, invite)
        .await
        .expect_error(404, "M_NOT_FOUND");
    assert_eq!(timeline(&alice, &room).await.len(), before);
}

#[tokio::test]
async fn leaving_rejecting_and_forgetting() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let [carol] = people(&server, ["carol"]).await;
    act(&bob, &room, "forget", json!({}))
        .await
        .expect_error(400, "M_UNKNOWN");
    act(&bob, &room, "leave", json!({"reason": "tired"}))
        .await
        .expect_ok();
    let content = member(&alice, &room, &bob).await;
    assert_eq!(content["membership"], "leave");
    assert_eq!(content["reason"], "tired");
    let path = in_room(&room, "send/m.room.message/t1");
    bob.put(&path, text("gone"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    // Once more, and without a body.
    let path = in_room(&room, "leave");
    bob.raw(Method::POST, &path, &[], "").await.expect_ok();
    act(&bob, &room, "join", json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    // What he saw he may still see, until he forgets it.
    assert!(!timeline(&bob, &room).await.is_empty());
    act(&bob, &room, "forget", json!({})).await.expect_ok();
    act(&bob, &room, "forget", json!({})).await.expect_ok();
    let path = in_room(&room, "messages?dir=b");
    bob.get(&path).await.expect_error(403, "M_FORBIDDEN");

    alice.invite(&room, &carol).await;
    act(&carol, &room, "forget", json!({}))
        .await
        .expect_error(400, "M_UNKNOWN");
    act(&carol, &room, "leave", json!({})).await.expect_ok();
    assert_eq!(membership(&alice, &room, &carol).await, "leave");
    act(&carol, &room, "forget", json!({})).await.expect_ok();

    let [eve] = people(&server, ["eve"]).await;
    for room in [room.as_str(), "!nowhere"] {
        act(&eve, room, "leave", json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        act(&eve, room, "forget", json!({}))
            .await
            .expect_error(400, "M_UNKNOWN");
    }
}

#[tokio::test]
async fn b21_kicks_and_bans_need_the_level_and_reach_only_those_below() {
    let server = shared_server().await;
    for version in ["10", "12"] {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": version})).await;
        let [carol, dave] = people(&server, ["carol", "dave"]).await;
        for client in [&carol, &dave] {
            alice.invite(&room, client).await;
            client.join(&room).await;
        }
        let mut levels = alice
            .state(&room, "m.room.power_levels", "")
            .await
            .expect_ok();
        levels["users"][&bob.user_id] = json!(50);
        levels["users"][&carol.user_id] = json!(50);
        alice
            .send_state(&room, "m.room.power_levels", "", levels)
            .await;
        for verb in ["kick", "ban"] {
            for target in [&alice, &carol] {
                act_on(&bob, &room, verb, target)
                    .await
                    .expect_error(403, "M_FORBIDDEN");
            }
            act_on(&dave, &room, verb, &bob)
                .await
                .expect_error(403, "M_FORBIDDEN");
        }
        act_on(&bob, &room, "kick", &dave).await.expect_ok();
        let content = member(&alice, &room, &dave).await;
        assert_eq!(
            content,
            json!({"membership": "leave", "reason": "why kick"})
        );
        act_on(&bob, &room, "kick", &dave)
            .await
            .expect_error(403, "M_FORBIDDEN");
        act_on(&bob, &room, "unban", &dave)
            .await
            .expect_error(403, "M_BAD_STATE");
        act_on(&bob, &room, "ban", &dave).await.expect_ok();
        let content = member(&alice, &room, &dave).await;
        assert_eq!(content, json!({"membership": "ban", "reason": "why ban"}));
        for (verb, why) in [
            ("join", "You are banned from this room."),
            ("leave", "Cannot leave if not joined, invited or knocked."),
        ] {
            let answer = act(&dave, &room, verb, json!({})).await;
            let refused = answer.expect_error(403, "M_FORBIDDEN");
            assert_eq!(refused["error"], why);
        }
        act_on(&bob, &room, "invite", &dave)
            .await
            .expect_error(403, "M_FORBIDDEN");
        act_on(&dave, &room, "unban", &dave)
            .await
            .expect_error(403, "M_FORBIDDEN");
        let [eve] = people(&server, ["eve"]).await;
        alice.invite(&room, &eve).await;
        eve.join(&room).await;
        act_on(&eve, &room, "unban", &dave)
            .await
            .expect_error(403, "M_FORBIDDEN");
        assert_eq!(membership(&alice, &room, &dave).await, "ban");
        act_on(&bob, &room, "unban", &dave).await.expect_ok();
        assert_eq!(membership(&alice, &room, &dave).await, "leave");
        alice.invite(&room, &dave).await;
        dave.join(&room).await;
        // An invite can be taken back by a kick, a stranger banned ahead.
        let [frank, grace] = people(&server, ["frank", "grace"]).await;
        alice.invite(&room, &frank).await;
        act_on(&bob, &room, "kick", &frank).await.expect_ok();
        act(&frank, &room, "join", json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        act_on(&bob, &room, "ban", &grace).await.expect_ok();
        act_on(&alice, &room, "invite", &grace)
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn who_is_not_in_the_room_moderates_nobody() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let [eve, carol] = people(&server, ["eve", "carol"]).await;
    for room in [room.as_str(), "!nowhere"] {
        for verb in ["invite", "kick", "ban", "unban"] {
            for target in [&bob, &carol] {
                act_on(&eve, room, verb, target)
                    .await
                    .expect_error(403, "M_FORBIDDEN");
            }
        }
    }
    act(&bob, &room, "leave", json!({})).await.expect_ok();
    act_on(&bob, &room, "invite", &carol)
        .await
        .expect_error(403, "M_FORBIDDEN");
    for verb in ["kick", "ban", "unban"] {
        for body in [json!({}), json!({"user_id": "x"}), json!({"user_id": null})] {
            act(&alice, &room, verb, body)
                .await
                .expect_error(400, "M_BAD_JSON");
        }
        let body = json!({"user_id": bob.user_id, "reason": 1});
        act(&alice, &room, verb, body)
            .await
            .expect_error(400, "M_BAD_JSON");
    }
}

#[tokio::test]
async fn knocking_asks_to_be_let_in() {
    let server = shared_server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    for (version, rule) in [("7", "knock"), ("10", "knock_restricted"), ("12", "knock")] {
        let room = alice.create_room(json!({"room_version": version})).await;
        let path = format!("knock/{}", encode(&room));
        bob.post(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        rules(&alice, &room, json!({"join_rule": rule, "allow": []})).await;
        let knocked = bob
            .post(&path, json!({"reason": "please"}))
            .await
            .expect_ok();
        assert_eq!(knocked, json!({"room_id": room}));
        let content = member(&alice, &room, &bob).await;
        assert_eq!(content["membership"], "knock");
        assert_eq!(content["reason"], "please");
        act(&bob, &room, "join", json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        bob.raw(Method::POST, &path, &[], "").await.expect_ok();
        // Taken back, asked again, let in.
        act(&bob, &room, "leave", json!({})).await.expect_ok();
        assert_eq!(membership(&alice, &room, &bob).await, "leave");
        bob.over("r0").post(&path, json!({})).await.expect_ok();
        alice.invite(&room, &bob).await;
        bob.post(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        bob.join(&room).await;
        bob.post(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        // Turned away.
        carol.post(&path, json!({})).await.expect_ok();
        act_on(&alice, &room, "kick", &carol).await.expect_ok();
        assert_eq!(membership(&alice, &room, &carol).await, "leave");
        act_on(&alice, &room, "ban", &carol).await.expect_ok();
        carol
            .post(&path, json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
    for unknown in ["!nowhere", "#nowhere:localhost"] {
        let path = format!("knock/{}", encode(unknown));
        bob.post(&path, json!({}))
            .await
            .expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn memberships_are_state_like_any_other() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let [carol] = people(&server, ["carol"]).await;
    let path = |client: &Client| {
        in_room(
            &room,
            &format!("state/m.room.member/{}", encode(&client.user_id)),
        )
    };
    let set = |membership: &str| json!({"membership": membership});
    bob.put(&path(&alice), set("leave"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    bob.put(&path(&carol), set("join"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    // Who is local is shown with their name, unless the client says another one, or none.
    alice.put(&path(&carol), set("invite")).await.expect_ok();
    let content = member(&alice, &room, &carol).await;
    assert_eq!(content["displayname"], carol.localpart());
    for name in [json!("Caz"), json!(null)] {
        let content = json!({"membership": "join", "displayname": name});
        carol.put(&path(&carol), content.clone()).await.expect_ok();
        assert_eq!(member(&alice, &room, &carol).await, content);
    }
    carol.put(&path(&carol), set("join")).await.expect_ok();
    let content = member(&alice, &room, &carol).await;
    assert_eq!(content["displayname"], carol.localpart());
    alice.put(&path(&carol), set("ban")).await.expect_ok();
    assert_eq!(member(&alice, &room, &carol).await, set("ban"));
    carol
        .put(&path(&carol), set("leave"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    alice.put(&path(&carol), set("leave")).await.expect_ok();
    bob.put(&path(&bob), set("leave")).await.expect_ok();
    let joined = alice
        .get(&in_room(&room, "joined_members"))
        .await
        .expect_ok();
    let joined: Vec<&String> = joined["joined"].as_object().unwrap().keys().collect();
    assert_eq!(joined, [&alice.user_id]);
}

#[tokio::test]
async fn the_old_api_puts_memberships_under_a_transaction_id() {
    let server = shared_server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let room = alice.create_room(json!({})).await;
    let (alice, bob) = (alice.over("r0"), bob.over("r0"));
    let on_bob = json!({"user_id": bob.user_id});
    let put = |client: &Client, path: String, body: &Value| {
        let (client, body) = (client.clone(), body.clone());
        async move { client.put(&path, body).await.expect_ok() }
    };
    for _ in 0..2 {
        put(&alice, in_room(&room, "invite/t1"), &on_bob).await;
    }
    for _ in 0..2 {
        put(&bob, in_room(&room, "join/t1"), &json!({})).await;
        put(&bob, format!("join/{}/t1", encode(&room)), &json!({})).await;
    }
    put(&alice, in_room(&room, "kick/t1"), &on_bob).await;
    for _ in 0..2 {
        put(&alice, in_room(&room, "ban/t1"), &on_bob).await;
    }
    put(&alice, in_room(&room, "unban/t1"), &on_bob).await;
    for _ in 0..2 {
        put(&alice, in_room(&room, "leave/t1"), &json!({})).await;
        put(&alice, in_room(&room, "forget/t1"), &json!({})).await;
    }
}

#[tokio::test]
async fn a_race_of_joins_makes_one_membership() {
    let server = shared_server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let room = alice.create_public_room().await;
    let before = timeline(&alice, &room).await.len();
    futures_util::future::join_all((0..10).map(|_| bob.join(&room))).await;
    assert_eq!(timeline(&alice, &room).await.len(), before + 1);
}

#[tokio::test]
async fn members_are_listed_by_membership_and_by_time() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let [invited, banned, gone] = people(&server, ["invited", "banned", "gone"]).await;
    alice.invite(&room, &gone).await;
    gone.join(&room).await;
    let page = alice.messages(&room, "dir=b&limit=1").await;
    let then = page["start"].as_str().unwrap().to_owned();
    act(&gone, &room, "leave", json!({})).await.expect_ok();
    alice.invite(&room, &invited).await;
    act_on(&alice, &room, "ban", &banned).await.expect_ok();
    let list = |query: String| {
        let (alice, path) = (alice.clone(), in_room(&room, &format!("members?{query}")));
        async move {
            let body = alice.get(&path).await.expect_ok();
            let chunk = body["chunk"].as_array().unwrap().clone();
            let mut names: Vec<String> = chunk
                .iter()
                .map(|event| {
                    assert_eq!(event["type"], "m.room.member");
                    let user = event["state_key"].as_str().unwrap();
                    user[1..].split('-').next().unwrap().to_owned()
                })
                .collect();
            names.sort();
            names.join(" ")
        }
    };
    assert_eq!(list(String::new()).await, "alice banned bob gone invited");
    assert_eq!(list("membership=join".to_owned()).await, "alice bob");
    assert_eq!(list("membership=invite".to_owned()).await, "invited");
    assert_eq!(
        list("not_membership=leave".to_owned()).await,
        "alice banned bob invited"
    );
    let either = "membership=leave&not_membership=join";
    assert_eq!(list(either.to_owned()).await, "banned gone invited");
    assert_eq!(
        list(format!("at={}", encode(&then))).await,
        "alice bob gone"
    );
    for bad in ["membership=x", "not_membership=", "at=x"] {
        let path = in_room(&room, &format!("members?{bad}"));
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    let joined = bob.get(&in_room(&room, "joined_members")).await.expect_ok();
    let profile = &joined["joined"][&alice.user_id];
    assert_eq!(profile["display_name"], alice.localpart());
    assert_eq!(joined["joined"].as_object().unwrap().len(), 2);
    let [eve] = people(&server, ["eve"]).await;
    for client in [&eve, &invited, &banned] {
        for path in ["members", "joined_members"] {
            let answer = client.get(&in_room(&room, path)).await;
            answer.expect_error(403, "M_FORBIDDEN");
        }
    }
    // Who has left sees the members of then.
    let body = gone.get(&in_room(&room, "members")).await.expect_ok();
    assert_eq!(body["chunk"].as_array().unwrap().len(), 3);
    gone.get(&in_room(&room, "joined_members"))
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn joined_rooms_are_those_one_is_in() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let other = alice.create_room(json!({"invite": [bob.user_id]})).await;
    let list = |client: Client| async move {
        let body = client.get("joined_rooms").await.expect_ok();
        let mut rooms: Vec<String> = body["joined_rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room.as_str().unwrap().to_owned())
            .collect();
        rooms.sort();
        rooms
    };
    let mut both = vec![room.clone(), other.clone()];
    both.sort();
    assert_eq!(list(alice.clone()).await, both);
    assert_eq!(list(bob.clone()).await, [room.as_str()]);
    act(&bob, &room, "leave", json!({})).await.expect_ok();
    bob.join(&other).await;
    assert_eq!(list(bob.over("r0")).await, [other.as_str()]);
}
