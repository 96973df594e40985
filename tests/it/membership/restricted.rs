//! Rooms that let in the members of another room.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::json;

use super::{act, member, membership, people, rules};
use crate::rooms::in_room;

/// A room that lets in who is in another room.
async fn restricted(server: &TestServer, version: &str, rule: &str) -> (Client, String, String) {
    let alice = server.register("alice").await;
    let door = alice.create_public_room().await;
    let room = alice.create_room(json!({"room_version": version})).await;
    let allow = json!([
        {"type": "org.example.unknown"},
        "improper",
        {"type": "m.room_membership", "room_id": 1},
        {"type": "m.room_membership", "room_id": door},
    ]);
    rules(&alice, &room, json!({"join_rule": rule, "allow": allow})).await;
    (alice, door, room)
}

#[tokio::test]
async fn b23_a_restricted_room_lets_in_the_members_of_another() {
    let server = shared_server().await;
    for (version, rule) in [
        ("8", "restricted"),
        ("10", "knock_restricted"),
        ("12", "restricted"),
    ] {
        let (alice, door, room) = restricted(&server, version, rule).await;
        let [bob, carol] = people(&server, ["bob", "carol"]).await;
        act(&bob, &room, "join", json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        bob.join(&door).await;
        act(&bob, &room, "join", json!({})).await.expect_ok();
        let content = member(&alice, &room, &bob).await;
        let voucher = "join_authorised_via_users_server";
        assert_eq!(content[voucher], alice.user_id);
        // It is asked only at the door.
        act(&bob, &door, "leave", json!({})).await.expect_ok();
        bob.send_text(&room, "t", "still in").await;
        // Who is invited needs no other room.
        alice.invite(&room, &carol).await;
        carol.join(&room).await;
        let content = member(&alice, &room, &carol).await;
        assert_eq!(content.get(voucher), None);
    }
}

/// "Improper or no `allow` conditions on a `restricted` join rule imply the room is effectively
/// invite-only".
#[tokio::test]
async fn b23_improper_conditions_let_nobody_in_without_an_invite() {
    let server = shared_server().await;
    let (alice, door, room) = restricted(&server, "12", "restricted").await;
    let [bob] = people(&server, ["bob"]).await;
    bob.join(&door).await;
    for allow in [json!(null), json!("invalid"), json!(["invalid"]), json!([])] {
        let content = json!({"join_rule": "restricted", "allow": allow});
        rules(&alice, &room, content).await;
        act(&bob, &room, "join", json!({}))
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
}

#[tokio::test]
async fn b23_nobody_vouches_for_themselves() {
    let server = shared_server().await;
    for version in ["8", "11", "12"] {
        let (alice, door, room) = restricted(&server, version, "restricted").await;
        let [eve, bob] = people(&server, ["eve", "bob"]).await;
        let path = |client: &Client| {
            in_room(
                &room,
                &format!("state/m.room.member/{}", encode(&client.user_id)),
            )
        };
        let forged = json!({
            "membership": "join",
            "join_authorised_via_users_server": alice.user_id,
        });
        let answer = eve.put(&path(&eve), forged.clone()).await;
        answer.expect_error(403, "M_FORBIDDEN");
        // Who may join may do it by state too; the server says who vouches.
        bob.join(&door).await;
        let mut content = forged;
        content["join_authorised_via_users_server"] = json!(bob.user_id);
        content["displayname"] = json!("Bob");
        bob.put(&path(&bob), content.clone()).await.expect_ok();
        let found = member(&alice, &room, &bob).await;
        assert_eq!(found["join_authorised_via_users_server"], alice.user_id);
        assert_eq!(found["displayname"], "Bob");
        // Ignored for who is in already.
        content["displayname"] = json!("Robert");
        bob.put(&path(&bob), content).await.expect_ok();
        let found = member(&alice, &room, &bob).await;
        assert_eq!(found["displayname"], "Robert");
        assert_eq!(membership(&alice, &room, &bob).await, "join");
    }
}

#[tokio::test]
async fn b23_a_restricted_room_without_anyone_who_may_invite_stays_shut() {
    let server = shared_server().await;
    let (alice, door, room) = restricted(&server, "11", "restricted").await;
    let [bob] = people(&server, ["bob"]).await;
    bob.join(&door).await;
    let mut levels = alice
        .state(&room, "m.room.power_levels", "")
        .await
        .expect_ok();
    levels["invite"] = json!(100);
    levels["users"][&alice.user_id] = json!(99);
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    act(&bob, &room, "join", json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
}
