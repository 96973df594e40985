//! One room in the place of another: what is carried over, who may, and that it happens once.

use futures_util::future::join_all;
use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{in_room, shared_room, text, timeline};

async fn upgrade(client: &Client, room: &str, version: &str) -> String {
    let answer = try_upgrade(client, room, json!({"new_version": version})).await;
    replacement(&answer.expect_ok())
}

async fn try_upgrade(client: &Client, room: &str, body: Value) -> Answer {
    client.post(&in_room(room, "upgrade"), body).await
}

fn replacement(body: &Value) -> String {
    body["replacement_room"].as_str().unwrap().to_owned()
}

async fn content(client: &Client, room: &str, event_type: &str) -> Value {
    client.state(room, event_type, "").await.expect_ok()
}

async fn is_listed(client: &Client, room: &str) -> bool {
    let path = format!("directory/list/room/{}", encode(room));
    client.get(&path).await.expect_ok()["visibility"] == "public"
}

/// What a room is given before it is upgraded, and has to have after.
fn settings() -> Vec<(&'static str, Value)> {
    vec![
        ("m.room.name", json!({"name": "Tea", "extra": [1, null]})),
        ("m.room.topic", json!({"topic": "All about tea"})),
        ("m.room.avatar", json!({"url": "mxc://localhost/tea"})),
        ("m.room.guest_access", json!({"guest_access": "forbidden"})),
        (
            "m.room.history_visibility",
            json!({"history_visibility": "joined"}),
        ),
        ("m.room.join_rules", json!({"join_rule": "public"})),
        (
            "m.room.encryption",
            json!({"algorithm": "m.megolm.v1.aes-sha2"}),
        ),
        (
            "m.room.server_acl",
            json!({"allow": ["*"], "deny": ["evil.example"], "allow_ip_literals": false}),
        ),
    ]
}

#[tokio::test]
async fn b25_an_upgrade_carries_over_what_the_room_is() {
    let server = shared_server().await;
    let pairs = [
        ("1", "12"),
        ("9", "10"),
        ("11", "12"),
        ("12", "12"),
        ("12", "11"),
    ];
    join_all(pairs.map(|(old, new)| carried_over(&server, old, new))).await;
}

/// A room of Alice's and Bob's with everything that a room can have, and its aliases.
async fn furnished(server: &TestServer, version: &str) -> (Client, Client, String, [String; 2]) {
    let (alice, bob, room) = shared_room(server, json!({"room_version": version})).await;
    for (event_type, content) in settings() {
        alice.send_state(&room, event_type, "", content).await;
    }
    let mut levels = content(&alice, &room, "m.room.power_levels").await;
    levels["users"][&bob.user_id] = json!(50);
    levels["events"]["org.example"] = json!(7);
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    let aliases = ["a", "b"].map(|it| format!("#{it}-{}:localhost", alice.localpart()));
    for alias in &aliases {
        let path = format!("directory/room/{}", encode(alias));
        let made = alice.put(&path, json!({"room_id": room})).await;
        made.expect_ok();
    }
    let shown = json!({"alias": aliases[0], "alt_aliases": [aliases[1]]});
    alice
        .send_state(&room, "m.room.canonical_alias", "", shown)
        .await;
    let listed = format!("directory/list/room/{}", encode(&room));
    let published = alice.put(&listed, json!({"visibility": "public"})).await;
    published.expect_ok();
    alice
        .send_state(&room, "org.example.custom", "", json!({"stays": true}))
        .await;
    (alice, bob, room, aliases)
}

async fn carried_over(server: &TestServer, old: &str, new: &str) {
    let (alice, bob, room, aliases) = furnished(server, old).await;
    let carol = server.register("carol").await;
    let ban = json!({"user_id": carol.user_id, "reason": "spilled the tea"});
    alice.post(&in_room(&room, "ban"), ban).await.expect_ok();
    let levels = content(&alice, &room, "m.room.power_levels").await;
    let last = timeline(&alice, &room).await.last().unwrap()["event_id"].clone();

    let next = upgrade(&alice, &room, new).await;
    let name = format!("{old} to {new}");
    let create = content(&alice, &next, "m.room.create").await;
    assert_eq!(create["room_version"], new, "{name}");
    let predecessor = json!({"room_id": room, "event_id": last});
    assert_eq!(create["predecessor"], predecessor, "{name}");
    assert!(create.get("type").is_none(), "{name}: {create}");
    for (event_type, right) in settings() {
        let found = content(&alice, &next, event_type).await;
        assert_eq!(found, right, "{name}: {event_type}");
    }
    let found = content(&alice, &next, "m.room.canonical_alias").await;
    let shown = json!({"alias": aliases[0], "alt_aliases": [aliases[1]]});
    assert_eq!(found, shown, "{name}");
    for alias in &aliases {
        let path = format!("directory/room/{}", encode(alias));
        let found = alice.get(&path).await.expect_ok();
        assert_eq!(found["room_id"], next.as_str(), "{name}");
    }
    assert!(is_listed(&alice, &next).await, "{name}");
    assert!(!is_listed(&alice, &room).await, "{name}");
    let banned = alice.state(&next, "m.room.member", &carol.user_id).await;
    let right = json!({"membership": "ban", "reason": "spilled the tea"});
    assert_eq!(banned.expect_ok(), right, "{name}");
    for (event_type, key) in [
        ("org.example.custom", ""),
        ("m.room.tombstone", ""),
        ("m.room.member", bob.user_id.as_str()),
    ] {
        let answer = alice.state(&next, event_type, key).await;
        answer.expect_error(404, "M_NOT_FOUND");
    }
    let found = content(&alice, &next, "m.room.power_levels").await;
    let mut right = levels.clone();
    match (old, new) {
        (_, "12") => drop(
            right["users"]
                .as_object_mut()
                .unwrap()
                .remove(&alice.user_id),
        ),
        // In the old room nobody could be above her.
        ("12", _) => right["users"][&alice.user_id] = json!(150),
        _ => {}
    }
    assert_eq!(found, right, "{name}");

    let tombstone = content(&bob, &room, "m.room.tombstone").await;
    assert_eq!(tombstone["replacement_room"], next.as_str(), "{name}");
    assert!(tombstone["body"].is_string(), "{name}");
    let now = content(&bob, &room, "m.room.power_levels").await;
    let mut right = levels;
    right["events_default"] = json!(50);
    right["invite"] = json!(50);
    assert_eq!(now, right, "{name}");
    bob.join(&aliases[0]).await;
    bob.send_text(&next, "t", "here we are").await;
    let join = format!("join/{}", encode(&next));
    let barred = carol.post(&join, json!({})).await;
    barred.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn b25_who_may_not_send_tombstones_may_not_upgrade() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({"room_version": "10"})).await;
    let stranger = server.register("stranger").await;
    let before = timeline(&alice, &room).await.len();
    let latest = json!({"new_version": "12"});
    for client in [&bob, &stranger] {
        let answer = try_upgrade(client, &room, latest.clone()).await;
        answer.expect_error(403, "M_FORBIDDEN");
    }
    for nowhere in ["!nowhere:localhost", "!nowhere"] {
        let answer = try_upgrade(&alice, nowhere, latest.clone()).await;
        answer.expect_error(403, "M_FORBIDDEN");
    }
    for version in ["13", "", "org.example", "1.0", &"9".repeat(500)] {
        let answer = try_upgrade(&alice, &room, json!({"new_version": version})).await;
        answer.expect_error(400, "M_UNSUPPORTED_ROOM_VERSION");
    }
    for body in [json!({}), json!({"new_version": 12}), json!([])] {
        let answer = try_upgrade(&alice, &room, body).await;
        answer.expect_error(400, "M_BAD_JSON");
    }
    for creators in [json!("@a:b"), json!(["bob"]), json!([1]), json!({})] {
        let body = json!({"new_version": "12", "additional_creators": creators});
        let answer = try_upgrade(&alice, &room, body).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    assert_eq!(timeline(&alice, &room).await.len(), before);
    // The level for tombstones is all it takes.
    let mut levels = content(&alice, &room, "m.room.power_levels").await;
    levels["users"][&bob.user_id] = json!(30);
    levels["events"]["m.room.tombstone"] = json!(30);
    alice
        .send_state(&room, "m.room.power_levels", "", levels.clone())
        .await;
    alice
        .send_state(&room, "m.room.name", "", json!({"name": "Tea"}))
        .await;
    let acl = json!({"allow": ["*"], "deny": ["evil.example"]});
    alice
        .send_state(&room, "m.room.server_acl", "", acl.clone())
        .await;
    let ban = json!({"user_id": stranger.user_id});
    alice.post(&in_room(&room, "ban"), ban).await.expect_ok();
    let next = upgrade(&bob, &room, "11").await;
    // What he needed to make the room he has no longer.
    assert_eq!(content(&bob, &next, "m.room.power_levels").await, levels);
    assert_eq!(content(&bob, &next, "m.room.name").await["name"], "Tea");
    assert_eq!(content(&bob, &next, "m.room.server_acl").await, acl);
    let banned = bob.state(&next, "m.room.member", &stranger.user_id).await;
    assert_eq!(banned.expect_ok()["membership"], "ban");
    // Nor could he quiet the old one.
    alice.send_text(&room, "t", "still talking").await;
    let now = content(&alice, &room, "m.room.power_levels").await;
    assert_eq!(now, levels);
}

#[tokio::test]
async fn b25_creators_of_version_12_are_those_whom_the_request_names() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({"room_version": "11"})).await;
    let mut levels = content(&alice, &room, "m.room.power_levels").await;
    levels["users"][&bob.user_id] = json!(100);
    levels["users"]["@other:localhost"] = json!(20);
    levels["events"]["m.room.tombstone"] = json!(50);
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    let named = json!([bob.user_id, alice.user_id, bob.user_id]);
    let body = json!({"new_version": "12", "additional_creators": named});
    let next = replacement(&try_upgrade(&alice, &room, body).await.expect_ok());
    let create = content(&alice, &next, "m.room.create").await;
    assert_eq!(create["additional_creators"], json!([bob.user_id]));
    assert!(create.get("creator").is_none());
    let levels = content(&alice, &next, "m.room.power_levels").await;
    assert_eq!(levels["users"], json!({"@other:localhost": 20}));
    // It "MUST explicitly be higher than `state_default`", which it was not.
    assert_eq!(levels["events"]["m.room.tombstone"], 150);
    alice.invite(&next, &bob).await;
    bob.join(&next).await;
    // Creators are not carried over by themselves.
    let last = upgrade(&bob, &next, "12").await;
    let create = content(&bob, &last, "m.room.create").await;
    assert!(create.get("additional_creators").is_none(), "{create}");
    // Where nobody stands above the levels, nobody is asked who should.
    let other = alice.create_room(json!({"room_version": "12"})).await;
    let body = json!({"new_version": "11", "additional_creators": "nonsense"});
    let next = replacement(&try_upgrade(&alice, &other, body).await.expect_ok());
    let create = content(&alice, &next, "m.room.create").await;
    assert!(create.get("additional_creators").is_none(), "{create}");
    let levels = content(&alice, &next, "m.room.power_levels").await;
    assert_eq!(levels["users"][&alice.user_id], 150);
}

/// The room's tombstones, by the room that they lead to.
async fn tombstones(client: &Client, room: &str) -> Vec<String> {
    let events = timeline(client, room).await;
    let tombstones = events.iter().filter(|it| it["type"] == "m.room.tombstone");
    tombstones.map(|it| replacement(&it["content"])).collect()
}

#[tokio::test]
async fn b25_two_upgrades_at_once_make_one_room() {
    let server = shared_server().await;
    for (old, new) in [("10", "12"), ("12", "12"), ("11", "11")] {
        let (alice, bob, room) = shared_room(&server, json!({"room_version": old})).await;
        let mut levels = content(&alice, &room, "m.room.power_levels").await;
        levels["users"][&bob.user_id] = json!(100);
        levels["events"]["m.room.tombstone"] = json!(100);
        alice
            .send_state(&room, "m.room.power_levels", "", levels)
            .await;
        let both = [&alice, &bob].into_iter().cycle().take(12);
        let made = join_all(both.map(|client| upgrade(client, &room, new))).await;
        assert!(made.iter().all(|it| *it == made[0]), "{made:?}");
        assert_eq!(tombstones(&alice, &room).await, made[..1]);
        // A retry long after gets the same, and another version is another question.
        assert_eq!(upgrade(&alice, &room, new).await, made[0]);
        let answer = try_upgrade(&alice, &room, json!({"new_version": "9"})).await;
        answer.expect_error(403, "M_BAD_STATE");
        assert_eq!(tombstones(&alice, &room).await.len(), 1);
    }
}

#[tokio::test]
async fn b25_a_tombstone_by_hand_does_not_stop_an_upgrade() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({"room_version": "10"})).await;
    let elsewhere = alice.create_room(json!({"room_version": "12"})).await;
    for leads_to in ["!nowhere:localhost", &elsewhere, "nonsense"] {
        let content = json!({"body": "moved", "replacement_room": leads_to});
        alice
            .send_state(&room, "m.room.tombstone", "", content)
            .await;
    }
    let next = upgrade(&alice, &room, "12").await;
    assert_ne!(next, elsewhere);
    assert_eq!(tombstones(&alice, &room).await.last(), Some(&next));
}

#[tokio::test]
async fn an_upgraded_space_keeps_its_rooms_and_a_room_its_type() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for room_type in ["m.space", "org.example.data"] {
        let creation = json!({"type": room_type, "m.federate": false, "org.example": 1});
        let request = json!({"room_version": "10", "creation_content": creation});
        let room = alice.create_room(request).await;
        let child = json!({"via": ["localhost"], "order": "a"});
        for (key, content) in [
            ("!one:localhost", child.clone()),
            ("!gone:localhost", json!({})),
        ] {
            alice.send_state(&room, "m.space.child", key, content).await;
        }
        let next = upgrade(&alice, &room, "12").await;
        let create = content(&alice, &next, "m.room.create").await;
        assert_eq!(create["type"], room_type);
        assert_eq!(create["m.federate"], false);
        assert!(create.get("org.example").is_none());
        let found = alice.state(&next, "m.space.child", "!one:localhost").await;
        if room_type == "m.space" {
            assert_eq!(found.expect_ok(), child);
        } else {
            found.expect_error(404, "M_NOT_FOUND");
        }
        let gone = alice.state(&next, "m.space.child", "!gone:localhost").await;
        gone.expect_error(404, "M_NOT_FOUND");
    }
}

/// Older versions know fewer rules of joining: nobody gets in who did not before.
#[tokio::test]
async fn an_older_version_gets_the_nearest_join_rule() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for (rule, version, right) in [
        ("knock", "7", "knock"),
        ("knock", "6", "invite"),
        ("restricted", "8", "restricted"),
        ("restricted", "7", "invite"),
        ("knock_restricted", "10", "knock_restricted"),
        ("knock_restricted", "9", "restricted"),
        ("knock_restricted", "7", "knock"),
        ("knock_restricted", "6", "invite"),
        ("public", "1", "public"),
    ] {
        let rules = json!({"join_rule": rule, "allow": []});
        let request = json!({"room_version": "10", "initial_state": [
            {"type": "m.room.join_rules", "content": rules},
        ]});
        let room = alice.create_room(request).await;
        let next = upgrade(&alice, &room, version).await;
        let found = content(&alice, &next, "m.room.join_rules").await;
        assert_eq!(found["join_rule"], right, "{rule} in version {version}");
    }
}

/// "If any of the properties [...] are present and not an integer, reject": old rooms wrote them as
/// strings.
#[tokio::test]
async fn levels_in_strings_become_integers() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({"room_version": "6"})).await;
    let levels = json!({
        "users": {alice.user_id.as_str(): "100", bob.user_id.as_str(): " +20 "},
        "users_default": "60", "events": {"org.example": "7"}, "ban": "051",
    });
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    let next = upgrade(&alice, &room, "10").await;
    let found = content(&alice, &next, "m.room.power_levels").await;
    let right = json!({
        "users": {alice.user_id.as_str(): 100, bob.user_id.as_str(): 20},
        "users_default": 60, "events": {"org.example": 7}, "ban": 51,
    });
    assert_eq!(found, right);
    // "The greater of `50` and `users_default + 1`."
    let now = content(&alice, &room, "m.room.power_levels").await;
    assert_eq!([&now["events_default"], &now["invite"]], [61, 61]);
    let send = in_room(&room, "send/m.room.message/t");
    let refused = bob.put(&send, text("too late")).await;
    refused.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn what_was_redacted_is_not_carried_over() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({"room_version": "10"})).await;
    for event_type in ["m.room.name", "m.room.topic", "m.room.encryption"] {
        let content = json!({"name": "secret", "topic": "secret", "algorithm": "secret"});
        let sent = alice.send_state(&room, event_type, "", content).await;
        let path = in_room(&room, &format!("redact/{}", encode(&sent)));
        alice.post(&path, json!({})).await.expect_ok();
    }
    let next = upgrade(&alice, &room, "12").await;
    let state = alice.get(&in_room(&next, "state")).await.expect_ok();
    assert!(!state.to_string().contains("secret"), "{state}");
    for event_type in ["m.room.name", "m.room.topic", "m.room.encryption"] {
        let answer = alice.state(&next, event_type, "").await;
        answer.expect_error(404, "M_NOT_FOUND");
    }
}

/// "When a user joins the new room, the server should automatically transfer/replicate some of the
/// user's personalized settings such as notifications, tags, etc."
#[tokio::test]
async fn who_follows_takes_their_labels_along() {
    let server = shared_server().await;
    let open = json!({"preset": "public_chat", "room_version": "10"});
    let (alice, bob, room) = shared_room(&server, open).await;
    let data = |client: &Client, rest: &str| format!("user/{}/{rest}", encode(&client.user_id));
    for client in [&alice, &bob] {
        let tags = data(client, &format!("rooms/{}/tags/m.favourite", encode(&room)));
        let tagged = client.put(&tags, json!({"order": 0.25})).await;
        tagged.expect_ok();
        let direct =
            json!({"@friend:localhost": ["!other:localhost", room], "@else:localhost": []});
        let path = data(client, "account_data/m.direct");
        client.put(&path, direct).await.expect_ok();
    }
    let rule = |room: &str| format!("pushrules/global/room/{}", encode(room));
    let quiet = json!({"actions": []});
    bob.put(&rule(&room), quiet).await.expect_ok();
    let next = upgrade(&alice, &room, "12").await;
    let labels = async |client: &Client, room: &str| {
        let tags = data(client, &format!("rooms/{}/tags", encode(room)));
        let tags = client.get(&tags).await.expect_ok();
        let direct = data(client, "account_data/m.direct");
        (tags, client.get(&direct).await.expect_ok())
    };
    let right = (
        json!({"tags": {"m.favourite": {"order": 0.25}}}),
        json!({"@friend:localhost": ["!other:localhost", room, next], "@else:localhost": []}),
    );
    assert_eq!(labels(&alice, &next).await, right);
    assert_eq!(labels(&bob, &next).await.0, json!({"tags": {}}));
    bob.join(&next).await;
    assert_eq!(labels(&bob, &next).await, right);
    let carried = bob.get(&rule(&next)).await.expect_ok();
    assert_eq!(carried["actions"], json!([]));
    let none = alice.get(&rule(&next)).await;
    none.expect_error(404, "M_NOT_FOUND");
    // What they have set there since is theirs.
    let path = data(&bob, &format!("rooms/{}/tags/m.favourite", encode(&next)));
    bob.delete(&path).await.expect_ok();
    bob.post(&in_room(&next, "leave"), json!({}))
        .await
        .expect_ok();
    bob.join(&next).await;
    assert_eq!(labels(&bob, &next).await.0, json!({"tags": {}}));
    // Anybody can say that their room comes after another one.
    let request = json!({"preset": "public_chat",
        "creation_content": {"predecessor": {"room_id": room}}});
    let claimed = alice.create_room(request).await;
    bob.join(&claimed).await;
    let (tags, direct) = labels(&bob, &claimed).await;
    assert_eq!(tags, json!({"tags": {}}));
    assert_eq!(direct, right.1);
}

#[tokio::test]
async fn an_upgrade_reaches_syncs_and_survives_a_restart() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({"room_version": "10"})).await;
    let [since_alice, since_bob] = [alice.now().await, bob.now().await];
    let next = upgrade(&alice, &room, "12").await;
    let news = bob.sync(&format!("since={}", encode(&since_bob))).await;
    let old = &news["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(old[0]["type"], "m.room.tombstone", "{news}");
    assert_eq!(old[1]["type"], "m.room.power_levels", "{news}");
    assert!(news["rooms"]["join"][&next].is_null(), "{news}");
    let news = alice.sync(&format!("since={}", encode(&since_alice))).await;
    assert!(news["rooms"]["join"][&next].is_object(), "{news}");
    server.restart().await;
    assert_eq!(upgrade(&alice, &room, "12").await, next);
    alice.send_text(&next, "t", "here").await;
}

#[tokio::test]
async fn an_upgrade_drops_what_state_related_to() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({"room_version": "10"})).await;
    let sent = alice.send_text(&room, "t", "words").await;
    let relation = json!({"rel_type": "m.reference", "event_id": sent});
    let topic = json!({"topic": "all of it", "m.relates_to": relation});
    alice.send_state(&room, "m.room.topic", "", topic).await;
    let next = upgrade(&alice, &room, "12").await;
    let topic = content(&alice, &next, "m.room.topic").await;
    assert_eq!(topic, json!({"topic": "all of it"}));
}
