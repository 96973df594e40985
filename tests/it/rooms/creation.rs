//! Rooms are made as the request and the specification say, or not at all.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{in_room, text, timeline};

const VERSIONS: [&str; 12] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12",
];

async fn state(reader: &Client, room: &str, event_type: &str) -> Value {
    reader.state(room, event_type, "").await.expect_ok()
}

async fn joined_rooms(client: &Client) -> Vec<Value> {
    let body = client.get("joined_rooms").await.expect_ok();
    body["joined_rooms"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_first_events_come_in_the_order_of_the_specification() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let alias = format!("first-{}", alice.localpart());
    let created = alice
        .post(
            "createRoom",
            json!({
                "room_alias_name": alias,
                "name": "Tea",
                "topic": "All about tea",
                "preset": "private_chat",
                "is_direct": true,
                "invite": [bob.user_id],
                "initial_state": [
                    {"type": "org.example.second", "content": {"n": 2}},
                    {"type": "org.example.first", "state_key": "k", "content": {"n": 1}},
                ],
            }),
        )
        .await
        .expect_ok();
    let room = created["room_id"].as_str().unwrap();
    assert_eq!(
        created["room_alias"],
        format!("#{alias}:{}", server.server_name())
    );
    let events = timeline(&alice, room).await;
    let types: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let wanted = [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.canonical_alias",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "org.example.second",
        "org.example.first",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    ];
    assert_eq!(types, wanted);
    let invite = events.last().unwrap();
    assert_eq!(invite["state_key"], bob.user_id);
    assert_eq!(invite["content"]["membership"], "invite");
    assert_eq!(invite["content"]["is_direct"], true);
    assert_eq!(
        state(&alice, room, "m.room.name").await,
        json!({"name": "Tea"})
    );
    let topic = state(&alice, room, "m.room.topic").await;
    assert_eq!(topic["topic"], "All about tea");
    assert_eq!(topic["m.topic"]["m.text"][0]["body"], "All about tea");
    let alias = state(&alice, room, "m.room.canonical_alias").await;
    assert_eq!(alias["alias"], created["room_alias"]);
}

#[tokio::test]
async fn presets_set_the_first_rules() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let table = [
        (
            json!({"preset": "private_chat"}),
            "invite",
            "can_join",
            "private",
        ),
        (
            json!({"preset": "trusted_private_chat"}),
            "invite",
            "can_join",
            "private",
        ),
        (
            json!({"preset": "public_chat"}),
            "public",
            "forbidden",
            "private",
        ),
        (
            json!({"visibility": "public"}),
            "public",
            "forbidden",
            "public",
        ),
        (
            json!({"visibility": "private"}),
            "invite",
            "can_join",
            "private",
        ),
        (json!({}), "invite", "can_join", "private"),
        (
            json!({"visibility": "public", "preset": "private_chat"}),
            "invite",
            "can_join",
            "public",
        ),
        // What the request sets itself goes before the preset, in its own place only.
        (
            json!({"preset": "private_chat", "initial_state": [
                {"type": "m.room.join_rules", "content": {"join_rule": "public"}},
                {"type": "m.room.guest_access", "state_key": "x", "content": {}},
            ]}),
            "public",
            "can_join",
            "private",
        ),
    ];
    for (request, join_rule, guest_access, visibility) in table {
        let room = alice.create_room(request.clone()).await;
        let found = (
            state(&alice, &room, "m.room.join_rules").await["join_rule"].clone(),
            state(&alice, &room, "m.room.guest_access").await["guest_access"].clone(),
            state(&alice, &room, "m.room.history_visibility").await["history_visibility"].clone(),
        );
        let wanted = (json!(join_rule), json!(guest_access), json!("shared"));
        assert_eq!(found, wanted, "{request}");
        let path = format!("directory/list/room/{}", encode(&room));
        let listed = server.anonymous().get(&path).await.expect_ok();
        assert_eq!(listed["visibility"], visibility, "{request}");
    }
}

#[tokio::test]
async fn every_room_version_makes_a_room_that_works() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    for version in VERSIONS {
        let request = json!({
            "room_version": version,
            "preset": "public_chat",
            "name": "Tea",
            // What the server says itself, a client cannot.
            "creation_content": {
                "m.federate": false, "room_version": "7", "creator": "@x:y", "extra": [1]
            },
        });
        let room = alice.create_room(request).await;
        assert_eq!(room.contains(':'), version != "12", "{room}");
        let create = state(&alice, &room, "m.room.create").await;
        assert_eq!(create["room_version"], version);
        assert_eq!(create["m.federate"], false);
        assert_eq!(create["extra"], json!([1]));
        let creator = match version {
            "11" | "12" => Value::Null,
            _ => json!(alice.user_id),
        };
        assert_eq!(create["creator"], creator, "version {version}");
        bob.join(&room).await;
        let event_id = bob.send_text(&room, "t", "hello").await;
        let has_domain = matches!(version, "1" | "2");
        assert_eq!(event_id.contains(':'), has_domain, "version {version}");
        let path = in_room(&room, &format!("event/{}", encode(&event_id)));
        let event = alice.get(&path).await.expect_ok();
        assert_eq!(event["content"], text("hello"), "version {version}");
        let path = in_room(&room, &format!("redact/{}", encode(&event_id)));
        alice.post(&path, json!({})).await.expect_ok();
    }
    let room = alice.create_room(json!({})).await;
    let create = state(&alice, &room, "m.room.create").await;
    assert_eq!(create["room_version"], "12");
}

#[tokio::test]
async fn an_unknown_room_version_is_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for version in ["0", "13", "99", "org.example", "", "1.0", &"x".repeat(300)] {
        alice
            .post("createRoom", json!({"room_version": version}))
            .await
            .expect_error(400, "M_UNSUPPORTED_ROOM_VERSION");
    }
    alice
        .post("createRoom", json!({"room_version": 1}))
        .await
        .expect_error(400, "M_BAD_JSON");
    assert_eq!(joined_rooms(&alice).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_trusted_have_the_power_of_the_creator() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let request = |version: &str| {
        json!({
            "room_version": version,
            "preset": "trusted_private_chat",
            "invite": [bob.user_id],
        })
    };
    let room = alice.create_room(request("11")).await;
    let levels = state(&alice, &room, "m.room.power_levels").await;
    assert_eq!(levels["users"][&alice.user_id], 100);
    assert_eq!(levels["users"][&bob.user_id], 100);

    let room = alice.create_room(request("12")).await;
    let create = state(&alice, &room, "m.room.create").await;
    assert_eq!(create["additional_creators"], json!([bob.user_id]));
    let levels = state(&alice, &room, "m.room.power_levels").await;
    assert_eq!(levels["users"], json!({}));
    assert_eq!(levels["events"]["m.room.tombstone"], 150);
    bob.join(&room).await;
    bob.send_state(&room, "m.room.tombstone", "", json!({"body": "x"}))
        .await;
}

#[tokio::test]
async fn power_levels_are_overridden_key_by_key() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let request = json!({"power_level_content_override": {"invite": 70, "org.example": 1}});
    let room = alice.create_room(request).await;
    let levels = state(&alice, &room, "m.room.power_levels").await;
    assert_eq!(levels["invite"], 70);
    assert_eq!(levels["org.example"], 1);
    assert_eq!(levels["ban"], 50);
}

/// Nothing is half made: no room, no alias, no place in the directory.
#[tokio::test]
async fn what_cannot_be_made_leaves_nothing_behind() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let name = format!("half-{}", alice.localpart());
    let nobody = format!("@nobody-{}", &alice.user_id[1..]);
    let table = [
        (
            json!({"room_version": "11", "name": "x",
                "power_level_content_override": {"users": {&alice.user_id: 0}}}),
            400,
            "M_INVALID_ROOM_STATE",
        ),
        (
            json!({"power_level_content_override": {"users": {&alice.user_id: 100}}}),
            400,
            "M_INVALID_ROOM_STATE",
        ),
        (
            json!({"initial_state": [{"type": "m.room.create", "content": {}}]}),
            400,
            "M_INVALID_ROOM_STATE",
        ),
        (
            json!({"initial_state": [{"type": "m.room.canonical_alias",
                "content": {"alias": "#elsewhere:localhost"}}]}),
            400,
            "M_BAD_ALIAS",
        ),
        (
            json!({"initial_state": [{"type": "x", "content": {"n": 1.5}}]}),
            400,
            "M_BAD_JSON",
        ),
        (
            json!({"initial_state": [{"type": "x", "content": {"n": "y".repeat(70_000)}}]}),
            413,
            "M_TOO_LARGE",
        ),
        (json!({"name": "y".repeat(70_000)}), 413, "M_TOO_LARGE"),
        (json!({"invite": [nobody]}), 400, "M_INVALID_PARAM"),
        (
            json!({"invite": ["@a:elsewhere.example"]}),
            400,
            "M_INVALID_PARAM",
        ),
        (
            json!({"invite_3pid": [{"medium": "email", "address": "a@example.org",
                "id_server": "id.example.org", "id_access_token": "x"}]}),
            403,
            "M_SERVER_NOT_TRUSTED",
        ),
    ];
    for (mut request, status, errcode) in table {
        request["room_alias_name"] = json!(name);
        request["visibility"] = json!("public");
        alice
            .post("createRoom", request)
            .await
            .expect_error(status, errcode);
        let alias = format!("#{name}:{}", server.server_name());
        let path = format!("directory/room/{}", encode(&alias));
        alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(joined_rooms(&alice).await, Vec::<Value>::new());
    }
    alice.create_room(json!({"room_alias_name": name})).await;
    alice
        .post("createRoom", json!({"room_alias_name": name}))
        .await
        .expect_error(400, "M_ROOM_IN_USE");
    assert_eq!(joined_rooms(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_request_of_another_shape_is_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for request in [
        json!({"preset": "party"}),
        json!({"visibility": "secret"}),
        json!({"visibility": 1}),
        json!({"name": {}}),
        json!({"topic": []}),
        json!({"invite": "@a:b"}),
        json!({"invite": ["a"]}),
        json!({"is_direct": "yes"}),
        json!({"initial_state": {}}),
        json!({"initial_state": [{"type": "x"}]}),
        json!({"initial_state": [{"content": {}}]}),
        json!({"initial_state": [{"type": "x", "content": []}]}),
        json!({"creation_content": []}),
        json!({"creation_content": {"n": 9_007_199_254_740_992_u64}}),
        json!({"power_level_content_override": "x"}),
        json!({"power_level_content_override": {"ban": "x"}}),
        json!({"power_level_content_override": {"ban": 1.5}}),
    ] {
        let answer = alice.post("createRoom", request.clone()).await;
        assert_eq!(answer.status, 400, "{request}: {}", answer.describe());
        answer.expect_error(400, "M_BAD_JSON");
    }
    for name in ["", "a:b", "#a:b", "a\0b", &"x".repeat(300)] {
        let request = json!({"room_alias_name": name});
        alice
            .post("createRoom", request)
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    assert_eq!(joined_rooms(&alice).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_old_api_makes_one_room_per_transaction_id() {
    let server = shared_server().await;
    let alice = server.register("alice").await.over("r0");
    let request = json!({"name": "Tea"});
    let (one, other) = futures_util::join!(
        alice.put("createRoom/t1", request.clone()),
        alice.put("createRoom/t1", request.clone()),
    );
    let (one, other) = (one.expect_ok(), other.expect_ok());
    assert_eq!(one["room_id"], other["room_id"]);
    let again = alice
        .put("createRoom/t1", request.clone())
        .await
        .expect_ok();
    assert_eq!(again["room_id"], one["room_id"]);
    let another = alice.put("createRoom/t2", request).await.expect_ok();
    assert_ne!(another["room_id"], one["room_id"]);
    assert_eq!(joined_rooms(&alice).await.len(), 2);
}

/// The ID of a room is a hash: what makes one room another must be in what is hashed.
#[tokio::test]
async fn rooms_made_at_once_are_as_many_as_were_asked_for() {
    let server = shared_server().await;
    for version in ["11", "12"] {
        let alice = server.register("alice").await;
        let made = (0..30).map(|_| alice.create_room(json!({"room_version": version})));
        let mut rooms = futures_util::future::join_all(made).await;
        rooms.sort();
        rooms.dedup();
        assert_eq!(rooms.len(), 30, "version {version}");
        assert_eq!(joined_rooms(&alice).await.len(), 30, "version {version}");
    }
}
