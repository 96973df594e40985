//! Invites, knocks, leaving, being removed, and coming back.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{ids, list, places, pos, rooms, slide};

fn with_me() -> Value {
    list(json!({
        "timeline_limit": 5,
        "required_state": [["m.room.member", "$ME"], ["m.room.topic", ""]],
    }))
}

async fn act(client: &Client, room: &str, what: &str, whom: &Client) {
    let path = format!("rooms/{}/{what}", encode(room));
    let body = json!({"user_id": whom.user_id});
    client.post(&path, body).await.expect_ok();
}

async fn leave(client: &Client, room: &str) {
    let path = format!("rooms/{}/leave", encode(room));
    client.post(&path, json!({})).await.expect_ok();
}

fn member(room: &Value) -> &Value {
    let state = room["required_state"].as_array().unwrap();
    let is_member = |event: &&Value| event["type"] == "m.room.member";
    &state.iter().find(is_member).unwrap()["content"]["membership"]
}

#[tokio::test]
async fn an_invite_has_stripped_state_and_a_declined_one_the_leave() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let first = slide(&bob, None, with_me()).await;
    let room = json!({"name": "Tea", "invite": [bob.user_id]});
    let room = alice.create_room(room).await;
    let second = slide(&bob, Some(pos(&first)), with_me()).await;
    let invite = &second["rooms"][&room];
    assert_eq!(invite["membership"], "invite");
    let stripped = places(&invite["invite_state"]);
    let me = format!("m.room.member/{}", bob.user_id);
    assert!(stripped.contains(&me) && stripped.contains(&"m.room.name/".to_owned()));
    for nothing in ["timeline", "required_state", "joined_count", "prev_batch"] {
        assert_eq!(invite[nothing], Value::Null, "{nothing}");
    }
    alice.send_text(&room, "t1", "not for bob").await;
    let third = slide(&bob, Some(pos(&second)), with_me()).await;
    assert!(rooms(&third).is_empty(), "{third}");
    leave(&bob, &room).await;
    let fourth = slide(&bob, Some(pos(&third)), with_me()).await;
    let left = &fourth["rooms"][&room];
    assert_eq!(
        (member(left), &left["membership"]),
        (&json!("leave"), &json!("leave"))
    );
    assert_eq!(left["timeline"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["invite_state"], Value::Null);
    // A withdrawn invite that nobody was told of is nothing.
    act(&alice, &room, "invite", &bob).await;
    act(&alice, &room, "kick", &bob).await;
    let afresh = slide(&bob, None, with_me()).await;
    assert!(rooms(&afresh).is_empty(), "{afresh}");
}

#[tokio::test]
async fn a_knock_has_stripped_state_too() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let rules = json!([{"type": "m.room.join_rules", "state_key": "",
        "content": {"join_rule": "knock"}}]);
    let room = alice.create_room(json!({"initial_state": rules})).await;
    let path = format!("knock/{}", encode(&room));
    bob.post(&path, json!({})).await.expect_ok();
    let answer = slide(&bob, None, with_me()).await;
    let knock = &answer["rooms"][&room];
    assert_eq!(knock["membership"], "knock");
    let stripped = knock["invite_state"].as_array().unwrap();
    let own = stripped.iter().find(|it| it["state_key"] == bob.user_id);
    assert_eq!(own.unwrap()["content"]["membership"], "knock");
}

#[tokio::test]
async fn who_leaves_is_told_up_to_there_and_nothing_later() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    for (how, membership) in [("leave", "leave"), ("kick", "leave"), ("ban", "ban")] {
        let room = alice.create_public_room().await;
        bob.join(&room).await;
        let first = slide(&bob, None, with_me()).await;
        let topic = json!({"topic": "last"});
        let topic = alice.send_state(&room, "m.room.topic", "", topic).await;
        let last = alice.send_text(&room, "t1", "last").await;
        match how {
            "leave" => leave(&bob, &room).await,
            _ => act(&alice, &room, how, &bob).await,
        }
        alice.send_text(&room, "t2", "later").await;
        alice
            .send_state(&room, "m.room.topic", "", json!({"topic": "later"}))
            .await;
        let second = slide(&bob, Some(pos(&first)), with_me()).await;
        let left = &second["rooms"][&room];
        let timeline = ids(&left["timeline"]);
        assert_eq!(timeline[..2], [&*topic, &*last], "{how}: {left}");
        assert_eq!(timeline.len(), 3, "{how}: {left}");
        assert_eq!(left["membership"], membership, "{how}");
        assert_eq!(member(left), membership, "{how}");
        assert!(
            ids(&left["required_state"]).contains(&&*topic),
            "{how}: {left}"
        );
        assert_eq!(left["initial"], Value::Null, "{how}");
        let third = slide(&bob, Some(pos(&second)), with_me()).await;
        assert!(rooms(&third).is_empty(), "{how}: {third}");
        // Who was removed is told by every new connection; who left knows it.
        let afresh = slide(&bob, None, with_me()).await;
        let is_told = afresh["rooms"].get(&room).is_some();
        assert_eq!(is_told, how != "leave", "{how}: {afresh}");
        if is_told {
            let told = &afresh["rooms"][&room];
            assert_eq!(told["initial"], true);
            assert_eq!(ids(&told["timeline"]).last(), timeline.last());
            assert!(!told.to_string().contains("later"), "{told}");
        }
    }
}

#[tokio::test]
async fn who_comes_back_gets_the_room_anew() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    for is_told in [false, true] {
        let first = slide(&bob, None, with_me()).await;
        let mut at = pos(&first).to_owned();
        act(&alice, &room, "ban", &bob).await;
        if is_told {
            let told = slide(&bob, Some(&at), with_me()).await;
            assert_eq!(told["rooms"][&room]["membership"], "ban");
            pos(&told).clone_into(&mut at);
        }
        act(&alice, &room, "unban", &bob).await;
        bob.join(&room).await;
        let event = alice
            .send_text(&room, &is_told.to_string(), "welcome")
            .await;
        let back = slide(&bob, Some(&at), with_me()).await;
        let back = &back["rooms"][&room];
        assert_eq!(
            (&back["initial"], member(back)),
            (&json!(true), &json!("join"))
        );
        assert_eq!(ids(&back["timeline"]).last(), Some(&&*event));
    }
}

#[tokio::test]
async fn a_room_that_is_left_and_forgotten_is_told_of_once() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let first = slide(&alice, None, with_me()).await;
    leave(&alice, &room).await;
    let path = format!("rooms/{}/forget", encode(&room));
    alice.post(&path, json!({})).await.expect_ok();
    let second = slide(&alice, Some(pos(&first)), with_me()).await;
    assert_eq!(second["rooms"][&room]["membership"], "leave");
    let third = slide(&alice, Some(pos(&second)), with_me()).await;
    assert!(rooms(&third).is_empty(), "{third}");
}
