//! The shape of an answer, and the tokens between answers.

use greenroom_tests::{TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{events, ids, in_place, joined, next, since};

#[tokio::test]
async fn an_initial_sync_has_every_room_with_its_state_and_its_last_events() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice
        .create_room(json!({"preset": "public_chat", "name": "Stage", "topic": "Tonight"}))
        .await;
    let all = alice.sync("").await;
    let section = joined(&all, &room);
    assert_eq!(section["timeline"]["limited"], false, "{section}");
    assert!(section["timeline"]["prev_batch"].is_string(), "{section}");
    let timeline = &section["timeline"];
    assert_eq!(
        events(timeline)[0]["type"],
        "m.room.create",
        "everything fits: {section}"
    );
    assert!(in_place(timeline, "m.room.name", "").is_some());
    assert_eq!(
        section["state"]["events"],
        json!([]),
        "it is in the timeline"
    );
    assert_eq!(section["summary"]["m.joined_member_count"], 1, "{section}");
    assert_eq!(section["summary"]["m.invited_member_count"], 0, "{section}");
    assert!(section["unread_notifications"].is_object(), "{section}");
    for event in events(timeline) {
        assert!(event["room_id"].is_null(), "it is known by the section");
        for field in ["event_id", "sender", "type", "origin_server_ts", "content"] {
            assert!(!event[field].is_null(), "{field} in {event}");
        }
        assert!(event["membership"].is_null(), "only the old API: {event}");
        assert!(event["unsigned"]["age"].is_i64(), "{event}");
    }
    let own = events(&all["presence"])
        .iter()
        .find(|event| event["sender"] == alice.user_id.as_str())
        .expect("one's own presence");
    assert_eq!(own["content"]["presence"], "online", "{own}");
    let rules = events(&all["account_data"])
        .iter()
        .find(|event| event["type"] == "m.push_rules");
    assert!(rules.is_some(), "{all}");
    let others = ["invite", "leave", "knock"];
    assert!(
        others.iter().all(|which| all["rooms"][which].is_null()),
        "{all}"
    );
}

#[tokio::test]
async fn state_and_timeline_together_are_the_room() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    for n in 0..15 {
        alice
            .send_text(&room, &format!("t{n}"), &format!("{n}"))
            .await;
    }
    let all = alice.sync("").await;
    let section = joined(&all, &room);
    assert_eq!(section["timeline"]["limited"], true);
    assert_eq!(events(&section["timeline"]).len(), 10, "{section}");
    let truth = alice
        .get(&format!("rooms/{}/state", encode(&room)))
        .await
        .expect_ok();
    let mut expected: Vec<&str> = truth
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    let mut found = ids(&section["state"]);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn with_nothing_new_nothing_is_said() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    bob.now().await;
    let token = alice.now().await;
    let nothing = alice.sync(&since(&token)).await;
    assert_eq!(
        nothing.as_object().unwrap().len(),
        1,
        "only the token: {nothing}"
    );
    let again = alice.sync(&since(&next(&nothing))).await;
    assert_eq!(again.as_object().unwrap().len(), 1, "{again}");
    // And with patience: one does not return at once for ever.
    let waited = alice
        .sync(&format!("{}&timeout=200", since(&next(&again))))
        .await;
    assert_eq!(waited.as_object().unwrap().len(), 1, "{waited}");
}

#[tokio::test]
async fn a_token_is_good_more_than_once() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    let sent = alice.send_text(&room, "t", "one").await;
    for _ in 0..2 {
        let answer = alice.sync(&since(&token)).await;
        assert_eq!(ids(&joined(&answer, &room)["timeline"]), [sent.as_str()]);
    }
}

#[tokio::test]
async fn b40_a_token_that_is_not_ones_own_is_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let own = alice.now().await;
    let page = joined(&alice.sync("").await, &room)["timeline"]["prev_batch"]
        .as_str()
        .unwrap()
        .to_owned();
    let elsewhere = TestServer::start().await;
    let namesake = elsewhere.register_exactly(alice.localpart()).await;
    assert_eq!(namesake.user_id, alice.user_id);
    let mut bent = own.clone();
    let last = if bent.pop() == Some('A') { 'B' } else { 'A' };
    bent.push(last);
    for bad in [
        "junk".to_owned(),
        "-1".to_owned(),
        "9223372036854775808".to_owned(),
        "s72594_4483_1934".to_owned(),
        "s1".to_owned(),
        "s1_".to_owned(),
        "\u{0}".to_owned(),
        "é".repeat(40),
        "x".repeat(5_000),
        bob.now().await,
        page,
        bent,
        namesake.now().await,
    ] {
        for timeout in [0, 30_000] {
            let query = format!("sync?timeout={timeout}&{}", since(&bad));
            alice.get(&query).await.expect_error(400, "M_INVALID_PARAM");
        }
        let path = format!("events?from={}", encode(&bad));
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    alice.sync(&since(&own)).await;
}

#[tokio::test]
async fn b40_a_token_of_the_future_is_refused() {
    // The same server with an older copy of its data: it has not come so far yet.
    let server = TestServer::start().await;
    if server.is_on_postgres() {
        return;
    }
    let alice = server.register_exactly("alice").await;
    let room = alice.create_public_room().await;
    server.stop().await;
    let older = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(server.data_dir()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), older.path().join(file.file_name())).unwrap();
        }
    }
    server.restart().await;
    for n in 0..5 {
        alice.send_text(&room, &format!("t{n}"), "later").await;
    }
    let future = alice.now().await;
    let past = TestServer::builder().data_dir(older.path()).start().await;
    let back = past.login("alice").await;
    let (in_room, token) = (format!("rooms/{}", encode(&room)), encode(&future));
    for path in [
        format!("sync?timeout=30000&{}", since(&future)),
        format!("events?timeout=30000&from={token}"),
        format!("{in_room}/messages?dir=b&from={token}"),
        format!("{in_room}/messages?dir=f&to={token}"),
        format!("{in_room}/members?at={token}"),
    ] {
        back.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    back.sync("").await;
}

#[tokio::test]
async fn b41_absurd_timeouts_and_limits_are_clamped_or_refused() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let negative = alice.get("sync?timeout=-1").await;
    assert!(
        [200, 400].contains(&negative.status),
        "{}",
        negative.describe()
    );
    // It is clamped, and woken like any other.
    let token = alice.now().await;
    let path = format!("sync?{}&timeout=9999999999999999999", since(&token));
    let (answer, _) = tokio::join!(alice.get(&path), alice.send_text(&room, "wake", "up"));
    assert!([200, 400].contains(&answer.status), "{}", answer.describe());
    let bad = alice.get("sync?timeout=x").await;
    assert!([200, 400].contains(&bad.status), "{}", bad.describe());
    for full_state in ["maybe", "1"] {
        let answer = alice.get(&format!("sync?full_state={full_state}")).await;
        assert!(answer.status < 500, "{}", answer.describe());
    }
    alice
        .get("sync?set_presence=dancing")
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_old_api_has_all_sections_from_the_first_sync_on() {
    let server = shared_server().await;
    let alice = server.register("alice").await.over("r0");
    let all = alice.sync("").await;
    for which in ["join", "invite", "leave"] {
        assert_eq!(all["rooms"][which], json!({}), "{all}");
    }
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    alice.send_text(&room, "t", "x").await;
    let answer = alice.sync(&since(&token)).await;
    let section = joined(&answer, &room);
    for list in ["state", "ephemeral", "account_data"] {
        assert_eq!(section[list]["events"], json!([]), "{list}: {section}");
    }
    assert!(answer["presence"]["events"].is_array(), "{answer}");
    assert_ne!(section["timeline"], Value::Null);
}
