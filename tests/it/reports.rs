//! What users report, and how an operator reads it.

use std::process::Output;

use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::{in_room, shared_room};

async fn report_event(reporter: &Client, room: &str, event: &str, body: Value) -> Answer {
    let path = in_room(room, &format!("report/{}", encode(event)));
    reporter.post(&path, body).await
}

async fn report_room(reporter: &Client, room: &str, body: Value) -> Answer {
    reporter.post(&in_room(room, "report"), body).await
}

async fn report_user(reporter: &Client, user_id: &str, body: Value) -> Answer {
    let path = format!("users/{}/report", encode(user_id));
    reporter.post(&path, body).await
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn an_operator_reads_and_closes_reports_whether_the_server_runs_or_not() {
    let server = TestServer::start().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let event = bob.send_text(&room, "t1", "buy my pills").await;
    let body = json!({"reason": "spam\u{1b}[2J\n", "score": -100});
    assert_eq!(
        report_event(&alice, &room, &event, body).await.expect_ok(),
        json!({})
    );
    report_room(&alice, &room, json!({"reason": ""}))
        .await
        .expect_ok();
    report_user(&alice, &bob.user_id, json!({"reason": "rude"}))
        .await
        .expect_ok();
    // What goes to the log says where to look, and nothing of what was written.
    let log = server.log().join("\n");
    for told in ["an event was reported", "a room was reported", &event] {
        assert!(log.contains(told), "{told} in {log}");
    }
    for untold in ["spam", "pills", "rude"] {
        assert!(!log.contains(untold), "{untold}");
    }

    let list = done(&server.run(&["report", "list"], ""));
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with("1  20"), "{list}");
    assert!(lines[0].ends_with("spam\\u{1b}[2J\\n"), "{list}");
    assert!(lines[2].contains(&format!("the user {}", bob.user_id)));
    let shown = done(&server.run(&["report", "show", "1"], ""));
    for part in [&alice.user_id, &bob.user_id, &room, &event, "buy my pills"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    // What is redacted is gone from here too.
    alice
        .put(
            &in_room(&room, &format!("redact/{}/r1", encode(&event))),
            json!({}),
        )
        .await
        .expect_ok();
    let shown = done(&server.run(&["report", "show", "1"], ""));
    assert!(shown.contains("redacted") && !shown.contains("pills"));

    done(&server.run(&["report", "close", "1"], ""));
    let list = done(&server.run(&["report", "list"], ""));
    assert_eq!(list.lines().count(), 2, "{list}");
    server.stop().await;
    done(&server.run(&["report", "close", "2"], ""));
    let again = done(&server.run(&["report", "close", "2"], ""));
    assert!(again.contains("already"), "{again}");
    let list = done(&server.run(&["report", "list", "--all"], ""));
    assert_eq!(list.matches("closed").count(), 2, "{list}");
    for verb in ["show", "close"] {
        let refused = server.run(&["report", verb, "99"], "");
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
}

#[tokio::test]
async fn an_event_is_reported_only_by_who_is_joined_and_may_see_it() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(
        &server,
        json!({"preset": "public_chat", "initial_state": [{
            "type": "m.room.history_visibility",
            "content": {"history_visibility": "joined"},
        }]}),
    )
    .await;
    let event = alice.send_text(&room, "t1", "hello").await;
    let carol = server.register("carol").await;
    let other = carol.create_room(json!({})).await;
    let body = || json!({"reason": "no"});
    let mut refusals = Vec::new();
    let mut refused = |answer: Answer| refusals.push(answer.expect_error(404, "M_NOT_FOUND"));
    refused(report_event(&carol, &room, &event, body()).await);
    // Joined since, but not when it was sent; and by way of another room.
    carol.join(&room).await;
    refused(report_event(&carol, &room, &event, body()).await);
    refused(report_event(&carol, &other, &event, body()).await);
    refused(report_event(&carol, &room, "$nowhere", body()).await);
    refused(report_event(&carol, "!nowhere", &event, body()).await);
    report_event(&bob, &room, &event, body()).await.expect_ok();
    bob.over("r0")
        .post(
            &in_room(&room, &format!("report/{}", encode(&event))),
            json!({}),
        )
        .await
        .expect_ok();
    // "Currently": who has left sees it and may not report it.
    bob.post(&in_room(&room, "leave"), json!({}))
        .await
        .expect_ok();
    refused(report_event(&bob, &room, &event, body()).await);
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]));
}

#[tokio::test]
async fn whom_one_ignores_one_can_report() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let event = bob.send_text(&room, "t1", "hello").await;
    let ignored = json!({"ignored_users": {(bob.user_id.as_str()): {}}});
    let path = format!(
        "user/{}/account_data/m.ignored_user_list",
        encode(&alice.user_id)
    );
    alice.put(&path, ignored).await.expect_ok();
    report_event(&alice, &room, &event, json!({}))
        .await
        .expect_ok();
}

#[tokio::test]
async fn room_reports_are_not_restricted_to_members() {
    let server = TestServer::start().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let room = alice.create_room(json!({})).await;
    let body = || json!({"reason": "no"});
    report_room(&bob, &room, body()).await.expect_ok();
    // Nobody learns by a report whether there is such a room.
    report_room(&bob, "!nowhere", body()).await.expect_ok();
    let list = done(&server.run(&["report", "list"], ""));
    assert_eq!(list.lines().count(), 1, "{list}");
}

#[tokio::test]
async fn user_reports_are_not_restricted_to_who_shares_a_room() {
    let server = TestServer::start().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let body = || json!({"reason": "no"});
    report_user(&bob, &alice.user_id, body()).await.expect_ok();
    // Nobody learns by a report whether there is such a user.
    for nobody in ["@nobody:localhost", "@nobody:elsewhere.example"] {
        report_user(&bob, nobody, body()).await.expect_ok();
    }
    let list = done(&server.run(&["report", "list"], ""));
    assert_eq!(list.lines().count(), 1, "{list}");
}

#[tokio::test]
async fn b42_a_report_has_a_reason_of_bounded_length() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let event = bob.send_text(&room, "t1", "hello").await;
    let (user, longest) = (&bob.user_id, "é".repeat(2_048));
    let ask = |body: Value| {
        let (alice, room, event) = (&alice, &room, &event);
        async move {
            [
                report_event(alice, room, event, body.clone()).await,
                report_room(alice, room, body.clone()).await,
                report_user(alice, user, body).await,
            ]
        }
    };
    for answer in ask(json!({"reason": longest})).await {
        answer.expect_ok();
    }
    for answer in ask(json!({"reason": format!("{longest}x")})).await {
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    for bad in [json!(5), json!(["x"]), json!({})] {
        for answer in ask(json!({"reason": bad})).await {
            answer.expect_error(400, "M_BAD_JSON");
        }
    }
    // For an event it may be left out, for the others it may be blank.
    let [event, room, user] = ask(json!({})).await;
    event.expect_ok();
    room.expect_error(400, "M_BAD_JSON");
    user.expect_error(400, "M_BAD_JSON");
    report_user(&alice, "nobody", json!({"reason": ""}))
        .await
        .expect_error(400, "M_INVALID_PARAM");
    let anonymous = server.anonymous();
    report_user(&anonymous, &alice.user_id, json!({"reason": ""}))
        .await
        .expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn who_reports_too_much_is_slowed_down() {
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .env("GREENROOM_RATE_LIMITS_REPORTS_ACCOUNT_BURST", "2")
        .env("GREENROOM_RATE_LIMITS_REPORTS_ACCOUNT_PER_SECOND", "0.001")
        .start()
        .await;
    let alice = server.register("alice").await;
    for _ in 0..2 {
        report_room(&alice, "!nowhere", json!({"reason": ""}))
            .await
            .expect_ok();
    }
    report_user(&alice, "@a:localhost", json!({"reason": ""}))
        .await
        .expect_error(429, "M_LIMIT_EXCEEDED");
}
