//! Lists of servers that may take part in a room.

use greenroom_tests::shared_server;
use serde_json::json;

use super::in_room;

/// "Failing to provide an `allow` rule of some kind will prevent all servers from participating in
/// the room, including the sender. This renders the room unusable."
#[tokio::test]
async fn b75_an_access_list_does_not_shut_out_its_own_server() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let path = in_room(&room, "state/m.room.server_acl");
    let refused = [
        json!({}),
        json!({"allow": []}),
        json!({"deny": ["evil.example"]}),
        json!({"allow": ["*"], "deny": ["localhost"]}),
        json!({"allow": ["*"], "deny": ["LOCAL*"]}),
        json!({"allow": ["*.localhost", "localhos"]}),
        json!({"allow": ["localhost"], "deny": ["?ocalhost"], "allow_ip_literals": "x"}),
    ];
    for content in refused {
        let answer = alice.put(&path, content.clone()).await;
        answer.expect_error(400, "M_INVALID_PARAM");
        let state = json!([{"type": "m.room.server_acl", "content": content}]);
        let answer = alice
            .post("createRoom", json!({"initial_state": state}))
            .await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    let none = alice.state(&room, "m.room.server_acl", "").await;
    none.expect_error(404, "M_NOT_FOUND");
    for content in [
        json!({"allow": ["*"]}),
        json!({"allow": ["LocalHost"], "deny": ["evil.example", "*.localhost"]}),
        json!({"allow": ["*"], "deny": ["evil.example"], "allow_ip_literals": false}),
        json!({"allow": ["*"], "allow_ip_literals": "yes", "org.example": 1}),
    ] {
        alice
            .send_state(&room, "m.room.server_acl", "", content.clone())
            .await;
        let found = alice.state(&room, "m.room.server_acl", "").await;
        assert_eq!(found.expect_ok(), content);
    }
    for content in [json!({"allow": "*"}), json!({"allow": ["*"], "deny": [1]})] {
        let answer = alice.put(&path, content).await;
        answer.expect_error(400, "M_BAD_JSON");
    }
    // Elsewhere than in its place it is state like any other.
    alice
        .send_state(&room, "m.room.server_acl", "x", json!({}))
        .await;
}
