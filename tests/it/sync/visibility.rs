//! What a newcomer sees of the time before them.

use greenroom_tests::shared_server;
use serde_json::json;

use super::{bodies, does, filtered, joined, says, since};

#[tokio::test]
async fn history_visibility_decides_what_a_late_joiner_is_sent() {
    let server = shared_server().await;
    for (visibility, expected) in [
        ("world_readable", vec!["before", "invited", "joined"]),
        ("shared", vec!["before", "invited", "joined"]),
        ("invited", vec!["invited", "joined"]),
        ("joined", vec!["joined"]),
    ] {
        let alice = server.register("alice").await;
        let bob = server.register("bob").await;
        let rule = json!([{
            "type": "m.room.history_visibility",
            "content": {"history_visibility": visibility},
        }]);
        let room = alice
            .create_room(json!({"preset": "public_chat", "initial_state": rule}))
            .await;
        let token = bob.now().await;
        says(&alice, &room, &["before"]).await;
        alice.invite(&room, &bob).await;
        says(&alice, &room, &["invited"]).await;
        bob.join(&room).await;
        says(&alice, &room, &["joined"]).await;
        let filter = json!({"room": {"timeline": {"limit": 100}}});
        for query in [String::new(), since(&token)] {
            let answer = filtered(&bob, &filter, &query).await;
            let section = joined(&answer, &room);
            let found = bodies(&section["timeline"]);
            assert_eq!(found, expected, "{visibility} {query}");
            // What is not shown of the room's state in the timeline is in its state.
            let mut places = super::places(&section["state"]);
            places.extend(super::places(&section["timeline"]));
            for place in ["m.room.create/", "m.room.power_levels/"] {
                assert!(
                    places.iter().any(|found| found == place),
                    "{visibility} {query}: {section}"
                );
            }
        }
        // Gone and back: the time between is not theirs where it is not shared.
        does(&bob, &room, "leave").await;
        says(&alice, &room, &["between"]).await;
        bob.join(&room).await;
        let answer = filtered(&bob, &filter, "").await;
        let found = bodies(&joined(&answer, &room)["timeline"]);
        let shared = ["shared", "world_readable"].contains(&visibility);
        assert_eq!(found.contains(&"between"), shared, "{visibility}");
        assert!(found.contains(&"joined"), "{visibility}");
    }
}

#[tokio::test]
async fn who_left_is_sent_nothing_of_the_time_after() {
    let server = shared_server().await;
    for visibility in ["world_readable", "shared", "invited", "joined"] {
        let alice = server.register("alice").await;
        let bob = server.register("bob").await;
        let rule = json!([{
            "type": "m.room.history_visibility",
            "content": {"history_visibility": visibility},
        }]);
        let room = alice
            .create_room(json!({"preset": "public_chat", "initial_state": rule}))
            .await;
        bob.join(&room).await;
        let token = bob.now().await;
        says(&alice, &room, &["mine"]).await;
        does(&bob, &room, "leave").await;
        says(&alice, &room, &["theirs"]).await;
        let filter = json!({"room": {"include_leave": true}});
        for query in [String::new(), since(&token)] {
            let answer = filtered(&bob, &filter, &query).await;
            let section = &answer["rooms"]["leave"][&room];
            assert_eq!(
                bodies(&section["timeline"]),
                ["mine"],
                "{visibility} {query}"
            );
        }
    }
}
