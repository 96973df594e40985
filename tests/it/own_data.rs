//! What clients keep on the server without its doing anything with it, and what passes through:
//! unread marks, recently used emoji, direct chats, stickers, packs of images.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::shared_room;

fn data_path(user: &Client, room: Option<&str>, data_type: &str) -> String {
    let room = room.map_or_else(String::new, |room| format!("/rooms/{}", encode(room)));
    format!(
        "user/{}{room}/account_data/{data_type}",
        encode(&user.user_id)
    )
}

fn since(token: &str) -> String {
    format!("since={}", encode(token))
}

/// The content of account data in a section of a sync; null if it is not there.
fn data_in<'a>(section: &'a Value, data_type: &str) -> &'a Value {
    let events = section["account_data"]["events"].as_array();
    let mut events = events.into_iter().flatten();
    events
        .find(|event| event["type"] == data_type)
        .map_or(&Value::Null, |event| &event["content"])
}

/// "Just like other account data events, the event will be pushed down the event stream when
/// updated." And it stands beside the read marker, which it does not move.
#[tokio::test]
async fn a_room_is_marked_unread_on_all_devices_irrespective_of_receipts() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let phone = server.login(bob.localpart()).await;
    let read = alice.send_text(&room, "1", "read").await;
    let markers = json!({"m.fully_read": read, "m.read": read});
    let path = format!("rooms/{}/read_markers", encode(&room));
    bob.post(&path, markers).await.expect_ok();
    let mark = data_path(&bob, Some(&room), "m.marked_unread");
    bob.get(&mark).await.expect_error(404, "M_NOT_FOUND");
    let mut token = phone.now().await;
    for unread in [true, false] {
        let content = json!({ "unread": unread });
        bob.put(&mark, content.clone()).await.expect_ok();
        let answer = phone.sync(&since(&token)).await;
        let section = &answer["rooms"]["join"][&room];
        assert_eq!(data_in(section, "m.marked_unread"), &content, "{answer}");
        assert_eq!(data_in(section, "m.fully_read"), &Value::Null, "{answer}");
        assert!(section["ephemeral"].is_null(), "{answer}");
        token = answer["next_batch"].as_str().unwrap().to_owned();
        assert_eq!(phone.get(&mark).await.expect_ok(), content);
    }
    let fully_read = data_path(&bob, Some(&room), "m.fully_read");
    let found = bob.get(&fully_read).await.expect_ok();
    assert_eq!(found, json!({ "event_id": read }));
}

/// "The server MUST prevent clients from setting `m.fully_read` directly", and "MUST send the
/// updated account data event through to the client via the event stream, provided any applicable
/// filters are also satisfied".
#[tokio::test]
async fn the_read_marker_is_set_by_its_endpoint_alone_and_passes_the_filters() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let first = alice.send_text(&room, "1", "one").await;
    let second = alice.send_text(&room, "2", "two").await;
    for scope in [None, Some(room.as_str())] {
        for data_type in ["m.fully_read", "m.push_rules"] {
            let path = data_path(&bob, scope, data_type);
            let answer = bob.put(&path, json!({ "event_id": first })).await;
            answer.expect_error(405, "M_BAD_JSON");
        }
    }
    let token = bob.now().await;
    let path = format!("rooms/{}/read_markers", encode(&room));
    // Backwards too: where the marker stands is for its owner to say.
    for event_id in [&second, &first] {
        let markers = json!({ "m.fully_read": event_id });
        bob.post(&path, markers).await.expect_ok();
    }
    for (filter, expected) in [
        (json!({}), json!({ "event_id": first })),
        (
            json!({"room": {"account_data": {"not_types": ["m.fully_read"]}}}),
            Value::Null,
        ),
    ] {
        let filter = encode(&filter.to_string());
        let query = format!("filter={filter}&{}", since(&token));
        let answer = bob.sync(&query).await;
        let section = &answer["rooms"]["join"][&room];
        assert_eq!(data_in(section, "m.fully_read"), &expected, "{answer}");
    }
}

#[tokio::test]
async fn recent_emoji_and_direct_chats_are_kept_as_they_were_written() {
    let server = shared_server().await;
    let bob = server.register("keeper").await;
    let token = bob.now().await;
    // "Clients MUST tolerate and preserve array elements [...] regardless of whether they
    // understand or support the contained `emoji` value": so does the server.
    let kept = [
        (
            "m.recent_emoji",
            json!({"recent_emoji": [
                {"emoji": "🤔", "total": 19},
                {"emoji": ":unknown:", "total": -1, "org.example.more": [null]},
                "no object",
            ]}),
        ),
        (
            "m.direct",
            json!({"@alice:localhost": ["!a:localhost", "!b:localhost"], "no user": 7}),
        ),
        (
            "m.image_pack.rooms",
            json!({"rooms": {"!a:localhost": {"": {}, "pack": {}}}}),
        ),
    ];
    for (data_type, content) in &kept {
        let path = data_path(&bob, None, data_type);
        bob.put(&path, content.clone()).await.expect_ok();
    }
    let answer = bob.sync(&since(&token)).await;
    for (data_type, content) in &kept {
        assert_eq!(data_in(&answer, data_type), content, "{answer}");
        let path = data_path(&bob, None, data_type);
        assert_eq!(&bob.get(&path).await.expect_ok(), content);
    }
}

/// "When the `is_direct` flag is given to `/createRoom`, the home server must set the `is_direct`
/// flag in the invite member event for any users invited in the `/createRoom` call."
#[tokio::test]
async fn an_invite_to_a_direct_chat_says_so() {
    let server = shared_server().await;
    let alice = server.register("direct_alice").await;
    let bob = server.register("direct_bob").await;
    for (is_direct, expected) in [(true, json!(true)), (false, Value::Null)] {
        let request = json!({"is_direct": is_direct, "invite": [bob.user_id]});
        let room = alice.create_room(request).await;
        let answer = bob.sync("").await;
        let invite = &answer["rooms"]["invite"][&room]["invite_state"]["events"];
        let member = invite
            .as_array()
            .unwrap()
            .iter()
            .find(|event| event["state_key"] == bob.user_id.as_str())
            .unwrap();
        let found = member["content"].get("is_direct").unwrap_or(&Value::Null);
        assert_eq!(found, &expected, "{answer}");
    }
}

#[tokio::test]
async fn stickers_and_image_packs_pass_whatever_they_are_called() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let token = bob.now().await;
    let sticker = json!({
        "body": "Landing",
        "info": {"mimetype": "image/png", "w": 140, "h": 200, "size": 73_602},
        "url": "mxc://localhost/sticker",
    });
    alice.send(&room, "m.sticker", "1", sticker.clone()).await;
    // "Homeservers MAY enforce this grammar": a pack with a slip in it is still of use.
    let pack = json!({
        "pack": {"display_name": "Cats"},
        "images": {
            "cat_wave": {"url": "mxc://localhost/cat"},
            "not a shortcode!": {"url": "mxc://localhost/dog"},
        },
    });
    for state_key in ["", "cats"] {
        alice
            .send_state(&room, "m.room.image_pack", state_key, pack.clone())
            .await;
    }
    let answer = bob.sync(&since(&token)).await;
    let timeline = answer["rooms"]["join"][&room]["timeline"]["events"].clone();
    let contents: Vec<&Value> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["content"])
        .collect();
    assert_eq!(contents, [&sticker, &pack, &pack], "{answer}");
    let state = bob.state(&room, "m.room.image_pack", "cats").await;
    assert_eq!(state.expect_ok(), pack);
}
