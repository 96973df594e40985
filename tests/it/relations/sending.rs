//! What may be sent for what it relates to, and what is harmless.

use futures_util::future::join_all;
use greenroom_tests::TestServer;

use super::*;

#[tokio::test]
async fn a_second_annotation_in_the_same_words_is_refused() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let target = say(&alice, &room, text("target")).await;
    let first = react(&bob, &room, &target, "👍").await.expect_ok();
    let again = react(&bob, &room, &target, "👍").await;
    again.expect_error(400, "M_DUPLICATE_ANNOTATION");
    // Another key, somebody else, another event, another type are other annotations.
    react(&bob, &room, &target, "👍\0").await.expect_ok();
    react(&alice, &room, &target, "👍").await.expect_ok();
    let other = say(&alice, &room, text("other")).await;
    react(&bob, &room, &other, "👍").await.expect_ok();
    let relates_to = json!({"rel_type": "m.annotation", "event_id": target, "key": "👍"});
    let content = json!({"m.relates_to": relates_to});
    post(&bob, &room, "org.example.mark", content.clone()).await;
    // "(Unless the first event has been redacted.)"
    redact(&bob, &room, first["event_id"].as_str().unwrap()).await;
    react(&bob, &room, &target, "👍").await.expect_ok();
    // Who is not in the room learns nothing of what is in it.
    let carol = server.register("carol").await;
    react(&carol, &room, &target, "👍")
        .await
        .expect_error(403, "M_FORBIDDEN");
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    react(&bob, &room, &target, "👍")
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn of_identical_reactions_at_once_one_is_sent() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let target = say(&alice, &room, text("target")).await;
    for key in ["a", "b", "c"] {
        let all = join_all((0..24).map(|_| react(&bob, &room, &target, key))).await;
        let sent = all.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(sent, 1, "{key}");
        for refused in all.into_iter().filter(|answer| answer.status != 200) {
            refused.expect_error(400, "M_DUPLICATE_ANNOTATION");
        }
        // What is sent meanwhile is not lost.
        say(&alice, &room, text("after")).await;
    }
}

#[tokio::test]
async fn b56_a_repeated_reaction_is_the_same_one() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let target = say(&alice, &room, text("target")).await;
    let relates_to = json!({"rel_type": "m.annotation", "event_id": target, "key": "x"});
    let content = json!({"m.relates_to": relates_to});
    let first = bob.send(&room, "m.reaction", "t", content.clone()).await;
    assert_eq!(
        bob.send(&room, "m.reaction", "t", content.clone()).await,
        first
    );
    server.restart().await;
    assert_eq!(
        bob.send(&room, "m.reaction", "t", content.clone()).await,
        first
    );
    let path = in_room(&room, "send/m.reaction/other");
    let again = bob.put(&path, content).await;
    again.expect_error(400, "M_DUPLICATE_ANNOTATION");
}

#[tokio::test]
async fn a_thread_cannot_begin_at_an_event_that_relates_to_another() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let opening = say(&alice, &room, text("opening")).await;
    let reply = say(&bob, &room, relating("m.thread", &opening)).await;
    let edit = say(&alice, &room, edit(&opening, "edited")).await;
    let reference = say(&alice, &room, relating("org.example.any", &opening)).await;
    for child in [&reply, &edit, &reference] {
        let path = in_room(&room, "send/m.room.message/t");
        let refused = bob.put(&path, relating("m.thread", child)).await;
        refused.expect_error(400, "M_UNKNOWN");
    }
    // "Any event without a `rel_type` can become a thread opening", also a reply.
    let mut content = text("reply");
    content["m.relates_to"] = json!({"m.in_reply_to": {"event_id": opening}});
    let reply = say(&bob, &room, content).await;
    say(&alice, &room, relating("m.thread", &reply)).await;
    assert_eq!(relations(&bob, &room, &reply).await["m.thread"]["count"], 1);
    assert_eq!(
        relations(&bob, &room, &opening).await["m.thread"]["count"],
        1
    );
}

#[tokio::test]
async fn b07_b08_odd_relations_are_events_like_any_other() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let opening = say(&alice, &room, text("opening")).await;
    let huge = "x".repeat(20_000);
    for relates_to in [
        json!(null),
        json!(1),
        json!("m.thread"),
        json!([]),
        json!({}),
        json!({"rel_type": "m.thread"}),
        json!({"event_id": opening}),
        json!({"rel_type": ["m.thread"], "event_id": opening}),
        json!({"rel_type": "m.thread", "event_id": {"$": opening}}),
        json!({"rel_type": "", "event_id": opening}),
        json!({"rel_type": huge, "event_id": opening}),
        json!({"rel_type": "m.thread", "event_id": format!("${huge}")}),
        json!({"rel_type": "m.thread", "event_id": "no ID"}),
        json!({"rel_type": "m.thread", "event_id": "$unknown\u{0}\u{10ffff}"}),
        json!({"rel_type": "m.th\u{0}read\u{10ffff}", "event_id": opening}),
        json!({"rel_type": "m.annotation", "event_id": opening, "key": 5}),
        json!({"rel_type": "m.annotation", "event_id": opening, "key": "\u{0}"}),
        json!({"rel_type": "m.annotation", "event_id": opening, "key": huge}),
        json!({"rel_type": "m.replace", "event_id": opening}),
    ] {
        let content = json!({"msgtype": "m.x", "body": "odd", "m.relates_to": relates_to, "m.new_content": "x"});
        let sent = say(&bob, &room, content.clone()).await;
        let shown = event(&alice, &room, &sent).await;
        assert_eq!(shown["content"], content);
        assert_eq!(
            relations(&alice, &room, &opening).await,
            Value::Null,
            "{relates_to}"
        );
        redact(&bob, &room, &sent).await;
    }
}
