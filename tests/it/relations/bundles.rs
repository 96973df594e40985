//! What is summed up of the relations to an event, wherever the event is shown.

use super::*;

/// All the ways to read one event that has been said in a room just now.
async fn everywhere(client: &Client, room: &str, event_id: &str) -> Vec<(&'static str, Value)> {
    let context = in_room(room, &format!("context/{}", encode(event_id)));
    let context = client.get(&context).await.expect_ok();
    let find = |list: &Value| -> Value {
        let list = list.as_array().unwrap().iter();
        let mut found = list.filter(|event| event["event_id"] == event_id);
        found.next().cloned().unwrap_or_default()
    };
    vec![
        ("event", event(client, room, event_id).await),
        (
            "messages",
            find(&client.messages(room, "dir=b&limit=100").await["chunk"]),
        ),
        ("context", context["event"].clone()),
    ]
}

#[tokio::test]
async fn a_thread_is_summed_up_wherever_its_root_is_shown() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let opening = say(&alice, &room, text("opening")).await;
    assert_eq!(relations(&bob, &room, &opening).await, Value::Null);
    let first = say(&alice, &room, relating("m.thread", &opening)).await;
    assert_eq!(
        relations(&bob, &room, &opening).await["m.thread"]["current_user_participated"],
        false
    );
    let latest = say(&bob, &room, relating("m.thread", &opening)).await;
    let edit = say(&bob, &room, edit(&latest, "edited")).await;
    for reader in [&alice, &bob] {
        for (place, opening) in everywhere(reader, &room, &opening).await {
            let thread = &opening["unsigned"]["m.relations"]["m.thread"];
            assert_eq!(thread["count"], 2, "{place}: {opening}");
            assert_eq!(thread["current_user_participated"], true, "{place}");
            let shown = &thread["latest_event"];
            assert_eq!(shown["event_id"], *latest, "{place}");
            assert_eq!(shown["room_id"], *room, "{place}");
            assert_eq!(shown["sender"], *bob.user_id, "{place}");
            // "Child events of the `latest_event` should themselves be aggregated."
            let inner = &shown["unsigned"]["m.relations"]["m.replace"];
            assert_eq!(inner["event_id"], *edit, "{place}");
        }
    }
    redact(&bob, &room, &latest).await;
    let thread = relations(&alice, &room, &opening).await["m.thread"].clone();
    assert_eq!(
        (&thread["count"], &thread["latest_event"]["event_id"]),
        (&json!(1), &json!(first))
    );
    // "When a parent event is redacted, the child events which pointed to that parent remain."
    redact(&alice, &room, &opening).await;
    assert_eq!(
        relations(&bob, &room, &opening).await["m.thread"]["count"],
        1
    );
    redact(&alice, &room, &first).await;
    assert_eq!(relations(&bob, &room, &opening).await, Value::Null);
}

#[tokio::test]
async fn the_most_recent_valid_edit_is_bundled_whole() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let original = say(&alice, &room, text("one")).await;
    let first = say(&alice, &room, edit(&original, "two")).await;
    let second = say(&alice, &room, edit(&original, "three")).await;
    // Not by the author, of another type, without new content, an edit of an edit.
    say(&bob, &room, edit(&original, "mine")).await;
    post(&alice, &room, "m.sticker", edit(&original, "other")).await;
    say(&alice, &room, relating("m.replace", &original)).await;
    say(&alice, &room, edit(&second, "again")).await;
    for (place, shown) in everywhere(&bob, &room, &original).await {
        // "Servers should not replace the content with that of the replacement event."
        assert_eq!(shown["content"], text("one"), "{place}");
        let replace = &shown["unsigned"]["m.relations"]["m.replace"];
        assert_eq!(replace["event_id"], *second, "{place}");
        assert_eq!(replace["content"], edit(&original, "three"), "{place}");
        assert_eq!(replace["type"], "m.room.message", "{place}");
        assert!(replace["origin_server_ts"].is_u64(), "{place}");
    }
    assert_eq!(
        relations(&bob, &room, &second).await,
        Value::Null,
        "an edit of an edit"
    );
    redact(&alice, &room, &second).await;
    assert_eq!(
        relations(&bob, &room, &original).await["m.replace"]["event_id"],
        *first
    );
    // "If the original event is redacted, any `m.replace` relationship should not be bundled."
    redact(&alice, &room, &original).await;
    assert_eq!(relations(&bob, &room, &original).await, Value::Null);
    // "The subsequent edits are not actually redacted themselves."
    assert_eq!(
        event(&bob, &room, &first).await["content"],
        edit(&original, "two")
    );
}

#[tokio::test]
async fn encrypted_edits_have_no_new_content_in_the_clear_and_state_is_never_edited() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let secret = |target: Option<&str>| {
        let mut content = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"});
        if let Some(target) = target {
            content["m.relates_to"] = json!({"rel_type": "m.replace", "event_id": target});
        }
        content
    };
    let original = post(&alice, &room, "m.room.encrypted", secret(None)).await;
    say(&alice, &room, edit(&original, "in the clear")).await;
    assert_eq!(relations(&bob, &room, &original).await, Value::Null);
    let hidden = post(&alice, &room, "m.room.encrypted", secret(Some(&original))).await;
    let replace = &relations(&bob, &room, &original).await["m.replace"];
    assert_eq!(replace["event_id"], *hidden);

    let topic = json!({"topic": "one"});
    let state = alice.send_state(&room, "m.room.topic", "", topic).await;
    let by_message = edit(&state, "two");
    post(&alice, &room, "m.room.topic", by_message.clone()).await;
    alice
        .send_state(&room, "m.room.topic", "", by_message)
        .await;
    // "State events do not currently receive bundled aggregations."
    say(&alice, &room, relating("m.thread", &state)).await;
    assert_eq!(relations(&bob, &room, &state).await, Value::Null);
    let message = say(&alice, &room, text("one")).await;
    alice
        .send_state(&room, "m.room.message", "", edit(&message, "two"))
        .await;
    assert_eq!(relations(&bob, &room, &message).await, Value::Null);
}

#[tokio::test]
async fn references_are_listed_and_annotations_are_not_summed_up() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let target = say(&alice, &room, text("target")).await;
    react(&bob, &room, &target, "👍").await.expect_ok();
    assert_eq!(relations(&bob, &room, &target).await, Value::Null);
    let one = say(&alice, &room, relating("m.reference", &target)).await;
    let two = post(
        &bob,
        &room,
        "org.example.vote",
        relating("m.reference", &target),
    )
    .await;
    for (place, shown) in everywhere(&bob, &room, &target).await {
        let right = json!({"chunk": [{"event_id": one}, {"event_id": two}]});
        let found = &shown["unsigned"]["m.relations"];
        assert_eq!(found["m.reference"], right, "{place}");
        assert_eq!(found.as_object().unwrap().len(), 1, "{place}");
    }
}

#[tokio::test]
async fn ignored_users_are_left_out_of_everything_that_is_summed_up() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let opening = say(&alice, &room, text("opening")).await;
    let by_carol = say(&carol, &room, relating("m.thread", &opening)).await;
    let edit_by_carol = say(&carol, &room, edit(&by_carol, "edited")).await;
    let by_bob = say(&bob, &room, relating("m.thread", &opening)).await;
    let reference = say(&carol, &room, relating("m.reference", &opening)).await;
    say(&bob, &room, relating("m.reference", &opening)).await;
    let own_edit = say(&alice, &room, edit(&opening, "edited")).await;
    ignore(&alice, &[&bob]).await;
    let found = relations(&alice, &room, &opening).await;
    assert_eq!(found["m.thread"]["count"], 1);
    assert_eq!(found["m.thread"]["latest_event"]["event_id"], *by_carol);
    let latest = &found["m.thread"]["latest_event"]["unsigned"]["m.relations"];
    assert_eq!(latest["m.replace"]["event_id"], *edit_by_carol);
    assert_eq!(
        found["m.reference"],
        json!({"chunk": [{"event_id": reference}]})
    );
    assert_eq!(found["m.replace"]["event_id"], *own_edit);
    ignore(&alice, &[&bob, &carol]).await;
    let found = relations(&alice, &room, &opening).await;
    assert_eq!(found["m.thread"], Value::Null);
    assert_eq!(found["m.reference"], Value::Null);
    // To others nothing has changed, and nothing stays.
    assert_eq!(
        relations(&carol, &room, &opening).await["m.thread"]["count"],
        2
    );
    ignore(&alice, &[]).await;
    let found = relations(&alice, &room, &opening).await;
    assert_eq!(found["m.thread"]["latest_event"]["event_id"], *by_bob);
}

#[tokio::test]
async fn what_one_may_not_see_is_left_out_of_everything_that_is_summed_up() {
    let server = shared_server().await;
    for visibility in ["joined", "shared"] {
        let state = json!({"history_visibility": visibility});
        let state = json!({"type": "m.room.history_visibility", "content": state});
        let (alice, bob, room) = shared_room(&server, json!({"initial_state": [state]})).await;
        let opening = say(&alice, &room, text("opening")).await;
        let first = say(&alice, &room, relating("m.thread", &opening)).await;
        let edit_seen = say(&alice, &room, edit(&opening, "seen")).await;
        say(&alice, &room, relating("m.reference", &opening)).await;
        bob.post(&in_room(&room, "leave"), json!({}))
            .await
            .expect_ok();
        say(&alice, &room, relating("m.thread", &opening)).await;
        say(&alice, &room, edit(&opening, "unseen")).await;
        say(&alice, &room, relating("m.reference", &opening)).await;
        let of_bob = relations(&bob, &room, &opening).await;
        assert_eq!(of_bob["m.thread"]["count"], 1, "{visibility}");
        assert_eq!(of_bob["m.thread"]["latest_event"]["event_id"], *first);
        assert_eq!(of_bob["m.replace"]["event_id"], *edit_seen);
        let references = &of_bob["m.reference"]["chunk"];
        assert_eq!(references.as_array().unwrap().len(), 1);
        let text = of_bob.to_string();
        assert!(!text.contains("unseen"), "{visibility}: {text}");
        // Back again, they have missed it for good only where history is for who was there.
        alice.invite(&room, &bob).await;
        bob.join(&room).await;
        let latest = say(&alice, &room, relating("m.thread", &opening)).await;
        let of_bob = relations(&bob, &room, &opening).await;
        let count = if visibility == "joined" { 2 } else { 3 };
        assert_eq!(of_bob["m.thread"]["count"], count, "{visibility}");
        assert_eq!(of_bob["m.thread"]["latest_event"]["event_id"], *latest);
        assert_eq!(
            of_bob.to_string().contains("unseen"),
            visibility == "shared"
        );
    }
}

#[tokio::test]
async fn events_of_other_rooms_are_never_bundled() {
    let server = shared_server().await;
    let (alice, _, room) = shared_room(&server, json!({})).await;
    let other = alice.create_room(json!({})).await;
    let opening = say(&alice, &room, text("opening")).await;
    for content in [
        relating("m.thread", &opening),
        relating("m.reference", &opening),
        edit(&opening, "x"),
    ] {
        say(&alice, &other, content).await;
    }
    assert_eq!(relations(&alice, &room, &opening).await, Value::Null);
}
