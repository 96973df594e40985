//! What changed in a room while its reader was away, where they may not see it happen.

use greenroom_tests::{Client, shared_server};
use serde_json::{Value, json};

use super::{does, filtered, joined, since, topic};

/// The topic that a client has after an answer: first `state` counts, then the timeline.
fn topic_of(section: &Value) -> Option<&str> {
    let lists = [
        &section["state"],
        &section["state_after"],
        &section["timeline"],
    ];
    let events = lists.into_iter().flat_map(super::events);
    events
        .filter(|event| event["type"] == "m.room.topic")
        .filter_map(|event| event["content"]["topic"].as_str())
        .next_back()
}

async fn room_for_members_only(alice: &Client) -> String {
    let rule = json!([{
        "type": "m.room.history_visibility",
        "content": {"history_visibility": "joined"},
    }]);
    alice
        .create_room(json!({"preset": "public_chat", "topic": "first", "initial_state": rule}))
        .await
}

#[tokio::test]
async fn who_comes_back_has_the_state_that_changed_unseen() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = room_for_members_only(&alice).await;
    bob.join(&room).await;
    let joined_token = bob.now().await;
    does(&bob, &room, "leave").await;
    let left_token = bob.now().await;
    topic(&alice, &room, "second").await;
    bob.join(&room).await;
    for limit in [1, 3, 100] {
        let filter = json!({"room": {"timeline": {"limit": limit}}});
        for token in [String::new(), since(&joined_token), since(&left_token)] {
            for rest in ["", "&use_state_after=true", "&full_state=true"] {
                let query = format!("{token}{rest}");
                let answer = filtered(&bob, &filter, &query).await;
                let section = joined(&answer, &room);
                assert_eq!(
                    topic_of(section),
                    Some("second"),
                    "{limit} {query}: {section:#}"
                );
            }
        }
    }
}
