//! Lists: order, windows, filters, counts.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{list, pos, rooms, slide};

fn sorted(mut rooms: Vec<&str>) -> Vec<&str> {
    rooms.sort_unstable();
    rooms
}

async fn set_data(client: &Client, room: Option<&str>, data_type: &str, content: Value) {
    let room = room.map(|room| format!("rooms/{}/", encode(room)));
    let path = format!(
        "user/{}/{}account_data/{data_type}",
        encode(&client.user_id),
        room.unwrap_or_default()
    );
    client.put(&path, content).await.expect_ok();
}

#[tokio::test]
async fn a_window_has_the_rooms_where_something_happened_last() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(alice.create_public_room().await);
    }
    let window =
        |first: u64, last: u64| list(json!({"timeline_limit": 1, "ranges": [[first, last]]}));
    let first = slide(&alice, None, window(0, 1)).await;
    assert_eq!(first["lists"]["all"]["count"], 4);
    assert_eq!(sorted(rooms(&first)), sorted(vec![&made[2], &made[3]]));
    let wider = slide(&alice, Some(pos(&first)), window(0, 2)).await;
    assert_eq!(rooms(&wider), [&made[1]], "only what is new in it");
    alice.send_text(&made[0], "t", "up").await;
    let moved = slide(&alice, Some(pos(&wider)), window(0, 0)).await;
    assert_eq!(rooms(&moved), [&made[0]]);
    assert_eq!(moved["rooms"][&made[0]]["initial"], true);
    assert_eq!(moved["rooms"][&made[0]]["num_live"], 1);
    // What happens outside the window is told when the room is in it again.
    let event = alice.send_text(&made[1], "t", "out").await;
    alice.send_text(&made[0], "t2", "up again").await;
    let out = slide(&alice, Some(pos(&moved)), window(0, 0)).await;
    assert_eq!(rooms(&out), [&made[0]]);
    let back = slide(&alice, Some(pos(&out)), window(0, 3)).await;
    assert_eq!(super::ids(&back["rooms"][&made[1]]["timeline"]), [&event]);
    assert_eq!(back["rooms"][&made[1]]["initial"], Value::Null);
    let several = list(json!({"timeline_limit": 1, "ranges": [[3, 3], [0, 0]]}));
    let several = slide(&alice, None, several).await;
    assert_eq!(sorted(rooms(&several)), sorted(vec![&made[0], &made[2]]));
    let everything = slide(&alice, None, list(json!({"timeline_limit": 0}))).await;
    assert_eq!(rooms(&everything).len(), 4, "no ranges are no limit");
}

#[tokio::test]
async fn filters_say_which_rooms_are_in_a_list() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let plain = alice.create_room(json!({"name": "plain"})).await;
    let secret = json!([{"type": "m.room.encryption", "state_key": "", "content":
        {"algorithm": "m.megolm.v1.aes-sha2"}}]);
    let secret = alice.create_room(json!({"initial_state": secret})).await;
    let space = json!({"creation_content": {"type": "m.space"}});
    let space = alice.create_room(space).await;
    let child = json!({"via": ["localhost"]});
    alice
        .send_state(&space, "m.space.child", &plain, child)
        .await;
    alice
        .send_state(&space, "m.space.child", &secret, json!({}))
        .await;
    let invited = bob.create_room(json!({"invite": [alice.user_id]})).await;
    let direct = json!({bob.user_id.clone(): [secret]});
    set_data(&alice, None, "m.direct", direct).await;
    let tags = json!({"tags": {"m.favourite": {}}});
    set_data(&alice, Some(&plain), "m.tag", tags).await;
    let (plain, secret, space, invited) = (&*plain, &*secret, &*space, &*invited);
    for (filters, expected) in [
        (json!({}), vec![plain, secret, space, invited]),
        (json!({"is_invite": true}), vec![invited]),
        (json!({"is_invited": false}), vec![plain, secret, space]),
        (json!({"is_dm": true}), vec![secret]),
        (json!({"is_dm": false}), vec![plain, space, invited]),
        (json!({"is_encrypted": true}), vec![secret]),
        (json!({"is_encrypted": false}), vec![plain, space, invited]),
        (json!({"room_types": ["m.space"]}), vec![space]),
        (json!({"room_types": [null]}), vec![plain, secret, invited]),
        (json!({"room_types": []}), vec![]),
        (
            json!({"not_room_types": ["m.space"]}),
            vec![plain, secret, invited],
        ),
        (
            json!({"room_types": ["m.space", null], "not_room_types": [null]}),
            vec![space],
        ),
        (json!({"spaces": [space]}), vec![plain]),
        (json!({"spaces": ["!none:localhost"]}), vec![]),
        (json!({"tags": ["m.favourite", "u.x"]}), vec![plain]),
        (
            json!({"not_tags": ["m.favourite"]}),
            vec![secret, space, invited],
        ),
        (
            json!({"tags": ["m.favourite"], "not_tags": ["m.favourite"]}),
            vec![],
        ),
        (json!({"is_dm": true, "is_encrypted": false}), vec![]),
    ] {
        let body = list(json!({"timeline_limit": 1, "filters": filters}));
        let answer = slide(&alice, None, body).await;
        assert_eq!(
            sorted(rooms(&answer)),
            sorted(expected.clone()),
            "{filters}"
        );
        assert_eq!(answer["lists"]["all"]["count"], expected.len(), "{filters}");
    }
}

#[tokio::test]
async fn a_list_follows_what_its_filters_go_by() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let body = || {
        json!({"lists": {
            "secret": {"timeline_limit": 1, "filters": {"is_encrypted": true}},
            "tagged": {"timeline_limit": 1, "filters": {"tags": ["u.x"]}},
            "direct": {"timeline_limit": 1, "filters": {"is_dm": true}},
        }})
    };
    let counts = |answer: &Value| {
        ["secret", "tagged", "direct"].map(|list| answer["lists"][list]["count"].as_u64().unwrap())
    };
    let first = slide(&alice, None, body()).await;
    assert_eq!((counts(&first), rooms(&first).len()), ([0, 0, 0], 0));
    let algorithm = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    alice
        .send_state(&room, "m.room.encryption", "", algorithm)
        .await;
    let second = slide(&alice, Some(pos(&first)), body()).await;
    assert_eq!(counts(&second), [1, 0, 0]);
    assert_eq!(second["rooms"][&room]["initial"], true);
    set_data(&alice, Some(&room), "m.tag", json!({"tags": {"u.x": {}}})).await;
    let third = slide(&alice, Some(pos(&second)), body()).await;
    assert_eq!(counts(&third), [1, 1, 0]);
    let direct = json!({"@x:localhost": [room]});
    set_data(&alice, None, "m.direct", direct).await;
    let fourth = slide(&alice, Some(pos(&third)), body()).await;
    assert_eq!(counts(&fourth), [1, 1, 1]);
    assert_eq!(fourth["rooms"][&room]["is_dm"], true, "{fourth}");
    set_data(&alice, None, "m.direct", json!({})).await;
    let fifth = slide(&alice, Some(pos(&fourth)), body()).await;
    assert_eq!(fifth["rooms"][&room]["is_dm"], false, "{fifth}");
}
