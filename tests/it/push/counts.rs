//! Unread counts in sync.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{apart, in_thread, mention, pair, read, rule, two_in_a_room, unread};
use crate::sync::{next, since};

#[tokio::test]
async fn the_count_is_in_the_same_sync_as_the_event() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let mut token = alice.now().await;
    for (expected, txn) in [([1, 0], "1"), ([2, 0], "2"), ([3, 1], "3")] {
        let event = match txn {
            "3" => mention(&bob, &room, txn, &alice).await,
            _ => bob.send_text(&room, txn, "x").await,
        };
        let answer = alice.sync(&since(&token)).await;
        let section = &answer["rooms"]["join"][&room];
        assert_eq!(section["timeline"]["events"][0]["event_id"], event);
        assert_eq!(pair(&section["unread_notifications"]), expected);
        token = next(&answer);
    }
    assert_eq!(
        unread(&bob, &room).await,
        [0, 0],
        "not of what one has said oneself"
    );
}

#[tokio::test]
async fn a_waiting_sync_has_the_count_with_the_event() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let query = format!("{}&timeout=30000", since(&alice.now().await));
    let (answer, _) = tokio::join!(alice.sync(&query), bob.send_text(&room, "1", "x"));
    let section = &answer["rooms"]["join"][&room];
    assert_eq!(pair(&section["unread_notifications"]), [1, 0]);
}

#[tokio::test]
async fn a_receipt_clears_what_is_before_it_and_alone_brings_the_new_counts() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let mut events = Vec::new();
    for txn in ["1", "2", "3", "4"] {
        events.push(mention(&bob, &room, txn, &alice).await);
    }
    let no_receipts = json!({"room": {"ephemeral": {"not_types": ["m.receipt"]}}}).to_string();
    let filters = [String::new(), format!("&filter={}", encode(&no_receipts))];
    assert_eq!(unread(&alice, &room).await, [4, 4]);
    for (kind, event, expected) in [("m.read", 0, [3, 3]), ("m.read.private", 2, [1, 1])] {
        let token = alice.now().await;
        read(&alice, &room, kind, &events[event], Value::Null).await;
        for filter in &filters {
            let answer = alice.sync(&format!("{}{filter}", since(&token))).await;
            let section = &answer["rooms"]["join"][&room];
            assert_eq!(
                pair(&section["unread_notifications"]),
                expected,
                "{kind} {filter}"
            );
        }
    }
    // Behind the other one: others are told, and the counts do not go back.
    read(&alice, &room, "m.read", &events[1], Value::Null).await;
    assert_eq!(unread(&alice, &room).await, [1, 1]);
    let fully_read = json!({"m.fully_read": events[3]});
    let path = format!("rooms/{}/read_markers", encode(&room));
    alice.post(&path, fully_read).await.expect_ok();
    assert_eq!(
        unread(&alice, &room).await,
        [1, 1],
        "m.fully_read is no receipt"
    );
    alice
        .post(&path, json!({"m.read": events[3]}))
        .await
        .expect_ok();
    assert_eq!(unread(&alice, &room).await, [0, 0]);
}

#[tokio::test]
async fn the_count_is_updated_as_it_changes_though_a_filter_hides_the_event() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let filter = json!({"room": {"timeline": {"not_types": ["m.room.message"]}}});
    let query = format!(
        "{}&timeout=30000&filter={}",
        since(&alice.now().await),
        encode(&filter.to_string())
    );
    let (answer, _) = tokio::join!(alice.sync(&query), bob.send_text(&room, "1", "x"));
    let section = &answer["rooms"]["join"][&room];
    assert_eq!(pair(&section["unread_notifications"]), [1, 0]);
    assert_eq!(section["timeline"]["events"], json!([]));
}

#[tokio::test]
async fn threads_are_counted_apart_where_the_filter_asks() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let thread = bob.send_text(&room, "1", "root").await;
    let other_root = bob.send_text(&room, "2", "another").await;
    let first = in_thread(&bob, &room, "3", &thread).await;
    in_thread(&bob, &room, "4", &thread).await;
    in_thread(&bob, &room, "5", &other_root).await;
    assert_eq!(unread(&alice, &room).await, [5, 0], "the whole room");
    let count = |n: u64| json!({"notification_count": n, "highlight_count": 0});
    let threads = json!({&thread: count(2), &other_root: count(1)});
    assert_eq!(apart(&alice, &room).await, ([2, 0], threads));
    // A thread's receipt is for the thread.
    read(&alice, &room, "m.read", &first, json!(thread)).await;
    let threads = json!({&thread: count(1), &other_root: count(1)});
    assert_eq!(apart(&alice, &room).await, ([2, 0], threads.clone()));
    // One of the main timeline leaves threads alone.
    read(&alice, &room, "m.read", &other_root, json!("main")).await;
    assert_eq!(apart(&alice, &room).await, ([0, 0], threads));
    // One for the room is for all of it up to there.
    read(&alice, &room, "m.read", &first, Value::Null).await;
    let last = in_thread(&bob, &room, "6", &thread).await;
    let threads = json!({&thread: count(2), &other_root: count(1)});
    assert_eq!(apart(&alice, &room).await, ([0, 0], threads));
    read(&alice, &room, "m.read.private", &last, Value::Null).await;
    assert_eq!(apart(&alice, &room).await, ([0, 0], Value::Null));
}

#[tokio::test]
async fn what_relates_to_an_event_of_a_thread_is_in_the_thread() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let thread = bob.send_text(&room, "1", "root").await;
    let mut last = in_thread(&bob, &room, "2", &thread).await;
    for txn in ["3", "4", "5"] {
        let content = json!({
            "body": "x", "msgtype": "m.text",
            "m.relates_to": {"rel_type": "m.reference", "event_id": last},
        });
        last = bob.send(&room, "m.room.message", txn, content).await;
    }
    // Three hops are followed: the fourth message is too far from the thread.
    let threads = json!({&thread: {"notification_count": 3, "highlight_count": 0}});
    assert_eq!(apart(&alice, &room).await, ([2, 0], threads));
}

#[tokio::test]
async fn sending_an_event_reads_what_is_before_it() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let thread = bob.send_text(&room, "1", "root").await;
    in_thread(&bob, &room, "2", &thread).await;
    in_thread(&alice, &room, "3", &thread).await;
    assert_eq!(
        apart(&alice, &room).await,
        ([1, 0], Value::Null),
        "of the thread"
    );
    in_thread(&bob, &room, "4", &thread).await;
    let name = format!("profile/{}/displayname", encode(&alice.user_id));
    alice
        .put(&name, json!({"displayname": "A"}))
        .await
        .expect_ok();
    alice
        .sync_until(&room, |section| {
            section.to_string().contains(r#""displayname":"A""#)
        })
        .await;
    assert_eq!(
        unread(&alice, &room).await,
        [2, 0],
        "a new name is nothing that was sent"
    );
    alice.send_text(&room, "5", "here I am").await;
    assert_eq!(unread(&alice, &room).await, [0, 0]);
    bob.send_text(&room, "6", "hello").await;
    assert_eq!(unread(&alice, &room).await, [1, 0]);
}

#[tokio::test]
async fn redacted_events_edits_reactions_and_what_was_before_the_join_do_not_count() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = bob.create_public_room().await;
    bob.send_text(&room, "0", "before").await;
    alice.join(&room).await;
    let first = mention(&bob, &room, "1", &alice).await;
    let second = mention(&bob, &room, "2", &alice).await;
    let edit = json!({
        "msgtype": "m.text", "body": "* x", "m.new_content": {"msgtype": "m.text", "body": "x"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": first}, "m.mentions": {},
    });
    bob.send(&room, "m.room.message", "3", edit).await;
    let reaction = json!({"m.relates_to": {
        "rel_type": "m.annotation", "event_id": first, "key": "👍",
    }});
    bob.send(&room, "m.reaction", "4", reaction).await;
    let token = alice.now().await;
    assert_eq!(unread(&alice, &room).await, [2, 2]);
    let redact = |event: &str, txn: &str| {
        let path = format!("rooms/{}/redact/{}/{txn}", encode(&room), encode(event));
        let bob = &bob;
        async move { bob.put(&path, json!({})).await.expect_ok() }
    };
    redact(&second, "5").await;
    let answer = alice.sync(&since(&token)).await;
    let section = &answer["rooms"]["join"][&room];
    assert_eq!(pair(&section["unread_notifications"]), [1, 1]);
    // Sent and redacted while nobody looked.
    let third = mention(&bob, &room, "6", &alice).await;
    redact(&third, "7").await;
    redact(&first, "8").await;
    assert_eq!(unread(&alice, &room).await, [0, 0]);
    // Away and back: what was unread then, and what was said meanwhile, does not count.
    mention(&bob, &room, "9", &alice).await;
    assert_eq!(unread(&alice, &room).await, [1, 1]);
    let leave = format!("rooms/{}/leave", encode(&room));
    alice.post(&leave, json!({})).await.expect_ok();
    mention(&bob, &room, "10", &alice).await;
    alice.join(&room).await;
    assert_eq!(unread(&alice, &room).await, [0, 0]);
    mention(&bob, &room, "11", &alice).await;
    assert_eq!(unread(&alice, &room).await, [1, 1]);
}

#[tokio::test]
async fn ignored_senders_do_not_count() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let list = format!(
        "user/{}/account_data/m.ignored_user_list",
        encode(&alice.user_id)
    );
    let ignored = json!({"ignored_users": {&bob.user_id: {}}});
    alice.put(&list, ignored).await.expect_ok();
    mention(&bob, &room, "1", &alice).await;
    assert_eq!(unread(&alice, &room).await, [0, 0]);
}

#[tokio::test]
async fn counts_survive_a_restart_and_a_crash() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = two_in_a_room(&alice, &bob).await;
    let thread = bob.send_text(&room, "1", "root").await;
    in_thread(&bob, &room, "2", &thread).await;
    mention(&bob, &room, "3", &alice).await;
    assert_eq!(unread(&alice, &room).await, [3, 1]);
    server.restart().await;
    let threads = json!({&thread: {"notification_count": 1, "highlight_count": 0}});
    assert_eq!(apart(&alice, &room).await, ([2, 1], threads.clone()));
    read(&alice, &room, "m.read", &thread, json!("main")).await;
    bob.send_text(&room, "4", "x").await;
    server.kill9().await;
    server.restart().await;
    assert_eq!(apart(&alice, &room).await, ([2, 1], threads));
}

#[tokio::test]
async fn rules_judge_what_comes_after_they_were_set() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = two_in_a_room(&alice, &bob).await;
    bob.send_text(&room, "1", "loud").await;
    // Nobody has asked for counts since, and still the message is the old rules'.
    let path = rule(&format!("room/{}", encode(&room)));
    alice.put(&path, json!({"actions": []})).await.expect_ok();
    bob.send_text(&room, "2", "quiet").await;
    server.restart().await;
    assert_eq!(unread(&alice, &room).await, [1, 0]);
    alice.delete(&path).await.expect_ok();
    bob.send_text(&room, "3", "loud again").await;
    assert_eq!(unread(&alice, &room).await, [2, 0]);
    server.kill9().await;
    server.restart().await;
    assert_eq!(unread(&alice, &room).await, [2, 0]);
}

#[tokio::test]
async fn a_room_mention_counts_by_the_power_levels_of_the_room() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let everybody = json!({"msgtype": "m.text", "body": "all", "m.mentions": {"room": true}});
    bob.send(&room, "m.room.message", "1", everybody.clone())
        .await;
    assert_eq!(unread(&alice, &room).await, [1, 0]);
    let mut levels = alice
        .state(&room, "m.room.power_levels", "")
        .await
        .expect_ok();
    levels["users"][&bob.user_id] = json!(50);
    alice
        .send_state(&room, "m.room.power_levels", "", levels)
        .await;
    bob.send(&room, "m.room.message", "2", everybody).await;
    assert_eq!(
        unread(&alice, &room).await,
        [1, 1],
        "what they sent themselves reads the rest"
    );
}

/// How many events were judged by somebody's rules since the server started.
async fn judgments(metrics: &Client) -> u64 {
    let text = metrics.get("/metrics").await.text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("greenroom_push_judgments "));
    line.map_or(0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn a_message_costs_nothing_for_those_who_are_away() {
    let builder = TestServer::builder().flag("--metrics-listen", "127.0.0.1:0");
    let server = builder.start().await;
    let metrics = server
        .log()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|line| match line["fields"]["message"].as_str() {
            Some("metrics are served at /metrics") => {
                Some(format!("http://{}", line["fields"]["address"].as_str()?))
            }
            _ => None,
        })
        .expect("the log says where the metrics are");
    let metrics = Client::at(&metrics);
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let mut away = Vec::new();
    for n in 0..10 {
        let member = server.register(&format!("member{n}")).await;
        member.join(&room).await;
        away.push(member);
    }
    for n in 0..20 {
        alice.send_text(&room, &n.to_string(), "x").await;
    }
    alice.sync("").await;
    let at_rest = judgments(&metrics).await;
    assert!(
        at_rest <= 10,
        "the joins, which the sender has seen: {at_rest}"
    );
    let mut token = away[9].now().await;
    assert_eq!(judgments(&metrics).await, at_rest + 20);
    for n in 20..40 {
        alice.send_text(&room, &n.to_string(), "x").await;
        let answer = away[9].sync(&since(&token)).await;
        let section = &answer["rooms"]["join"][&room];
        assert_eq!(pair(&section["unread_notifications"]), [n + 1, 0]);
        token = next(&answer);
    }
    assert_eq!(judgments(&metrics).await, at_rest + 40, "each event once");
}

#[tokio::test]
async fn a_room_mention_counts_by_the_power_that_its_sender_had_when_they_sent_it() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let carol = server.register("carol").await;
    let room = two_in_a_room(&carol, &bob).await;
    alice.join(&room).await;
    let everybody = json!({"msgtype": "m.text", "body": "all", "m.mentions": {"room": true}});
    let level = async |level: u64| {
        let levels = carol.state(&room, "m.room.power_levels", "").await;
        let mut levels = levels.expect_ok();
        levels["users"][&bob.user_id] = json!(level);
        carol
            .send_state(&room, "m.room.power_levels", "", levels)
            .await;
    };
    // All of it while nobody looks.
    bob.send(&room, "m.room.message", "1", everybody.clone())
        .await;
    level(50).await;
    bob.send(&room, "m.room.message", "2", everybody.clone())
        .await;
    level(0).await;
    bob.send(&room, "m.room.message", "3", everybody.clone())
        .await;
    server.restart().await;
    assert_eq!(unread(&alice, &room).await, [3, 1]);
    for (power, txn, expected) in [(50, "4", [4, 2]), (0, "5", [5, 2])] {
        level(power).await;
        bob.send(&room, "m.room.message", txn, everybody.clone())
            .await;
        assert_eq!(unread(&alice, &room).await, expected, "{txn}");
    }
}

#[tokio::test]
async fn a_display_name_counts_as_it_was_when_it_was_said() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = two_in_a_room(&alice, &bob).await;
    let actions = json!(["notify", {"set_tweak": "highlight"}]);
    let conditions = json!([{"kind": "contains_display_name"}]);
    let named = json!({"actions": actions, "conditions": conditions});
    alice.put(&rule("override/named"), named).await.expect_ok();
    let name = async |name: &str| {
        let content = json!({"membership": "join", "displayname": name});
        alice
            .send_state(&room, "m.room.member", &alice.user_id, content)
            .await;
    };
    name("Oldie").await;
    bob.send_text(&room, "1", "hey Oldie").await;
    bob.send_text(&room, "2", "hey Newbie").await;
    name("Newbie").await;
    bob.send_text(&room, "3", "hey Oldie").await;
    bob.send_text(&room, "4", "hey Newbie").await;
    bob.send_text(&room, "5", "Newbie, hey").await;
    assert_eq!(unread(&alice, &room).await, [5, 3]);
}
