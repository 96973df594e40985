//! The endpoints of push rules.

use futures_util::future::join_all;
use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::rule;

/// The IDs of the user's own rules of a kind, the most important first.
async fn own(client: &Client, kind: &str) -> Vec<String> {
    let rules = client.get("pushrules/global/").await.expect_ok();
    let rules = rules[kind].as_array().unwrap().clone();
    let own = rules.iter().filter(|rule| rule["default"] == false);
    own.map(|rule| rule["rule_id"].as_str().unwrap().to_owned())
        .collect()
}

fn actions(sound: &str) -> Value {
    json!({"actions": ["notify", {"set_tweak": "sound", "value": sound}]})
}

#[tokio::test]
async fn rules_of_every_kind_are_made_read_changed_and_deleted() {
    let server = shared_server().await;
    let alice = server.register("a").await;
    let conditions =
        json!([{"kind": "room_member_count", "is": "<=10"}, {"kind": "org.example.new", "x": 1}]);
    for (kind, id, extra) in [
        ("override", "a b", json!({"conditions": conditions})),
        ("underride", "ü", json!({"conditions": []})),
        ("content", "cake", json!({"pattern": "cake*lie"})),
        ("room", "!room:localhost", json!({})),
        ("sender", "@spam:localhost", json!({})),
    ] {
        let path = rule(&format!("{kind}/{}", encode(id)));
        alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
        let mut body = actions("bing");
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        assert_eq!(alice.put(&path, body.clone()).await.expect_ok(), json!({}));
        let mut expected = body.clone();
        expected["rule_id"] = json!(id);
        expected["enabled"] = json!(true);
        expected["default"] = json!(false);
        assert_eq!(alice.get(&path).await.expect_ok(), expected, "{kind}");
        let enabled = format!("{path}/enabled");
        alice
            .put(&enabled, json!({"enabled": false}))
            .await
            .expect_ok();
        let acts = format!("{path}/actions");
        alice.put(&acts, json!({"actions": []})).await.expect_ok();
        assert_eq!(alice.get(&acts).await.expect_ok(), json!({"actions": []}));
        expected["enabled"] = json!(false);
        expected["actions"] = json!([]);
        assert_eq!(alice.get(&path).await.expect_ok(), expected, "{kind}");
        assert_eq!(own(&alice, kind).await, [id]);
        alice.delete(&path).await.expect_ok();
        alice.delete(&path).await.expect_error(404, "M_NOT_FOUND");
        alice
            .put(&enabled, json!({"enabled": true}))
            .await
            .expect_error(404, "M_NOT_FOUND");
        alice
            .put(&acts, json!({"actions": []}))
            .await
            .expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_rule_stands_where_before_and_after_say() {
    let server = shared_server().await;
    let alice = server.register("a").await;
    let put = |id: &str| {
        let path = rule(&format!("content/{id}"));
        let alice = &alice;
        async move {
            alice
                .put(&path, json!({"actions": [], "pattern": "x"}))
                .await
        }
    };
    for id in ["c", "b", "a"] {
        put(id).await.expect_ok();
    }
    put("x?before=b").await.expect_ok();
    put("y?after=c").await.expect_ok();
    assert_eq!(own(&alice, "content").await, ["a", "x", "b", "c", "y"]);
    put("a?after=y").await.expect_ok();
    assert_eq!(own(&alice, "content").await, ["x", "b", "c", "y", "a"]);
    put("a?after=x&before=c").await.expect_ok();
    assert_eq!(own(&alice, "content").await, ["x", "b", "a", "c", "y"]);
    let refused = put("z?before=none").await.expect_error(400, "M_UNKNOWN");
    assert!(
        refused["error"].as_str().unwrap().contains("none"),
        "{refused}"
    );
    put("z?after=.m.rule.master")
        .await
        .expect_error(400, "M_UNKNOWN");
    assert_eq!(own(&alice, "content").await.len(), 5);
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused() {
    let server = shared_server().await;
    let alice = server.register("a").await;
    let fine = json!({"actions": [], "pattern": "x"});
    for id in [".mine", ".m.rule.master", "a%2Fb", "a%5Cb"] {
        let path = rule(&format!("content/{id}"));
        alice
            .put(&path, fine.clone())
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    let large = "x".repeat(300_000);
    for (path, body) in [
        ("content/a", json!({"pattern": "x"})),
        ("content/a", json!({"actions": []})),
        ("content/a", json!({"actions": 7, "pattern": "x"})),
        (
            "override/a",
            json!({"actions": [], "conditions": [{"kind": "room_member_count", "is": "many"}]}),
        ),
        ("override/a", json!({"actions": [], "conditions": [{}]})),
        ("room/no-room", json!({"actions": []})),
        ("sender/nobody", json!({"actions": []})),
        ("nonsense/a", json!({"actions": []})),
        (
            "content/a",
            json!({"actions": [], "pattern": "?*x".repeat(20_000)}),
        ),
        (
            "override/a",
            json!({"actions": [], "conditions": vec![json!({"kind": "org.example"}); 33]}),
        ),
        (
            "override/a",
            json!({"actions": vec!["notify"; 33], "conditions": []}),
        ),
    ] {
        let answer = alice.put(&rule(path), body).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.describe());
    }
    let too_large = json!({"actions": [], "conditions": [
        {"kind": "event_property_is", "key": "type", "value": large},
    ]});
    alice
        .put(&rule("override/a"), too_large)
        .await
        .expect_error(413, "M_TOO_LARGE");
    for path in ["override/.m.rule.master", "underride/.m.rule.message"] {
        alice
            .delete(&rule(path))
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
    assert!(own(&alice, "content").await.is_empty());
    assert!(own(&alice, "override").await.is_empty());
}

#[tokio::test]
async fn a_change_comes_in_sync_and_survives_a_restart() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let master = rule("override/.m.rule.master");
    let token = alice.now().await;
    alice
        .put(&format!("{master}/enabled"), json!({"enabled": true}))
        .await
        .expect_ok();
    alice
        .put(&format!("{master}/actions"), json!({"actions": ["notify"]}))
        .await
        .expect_ok();
    alice
        .put(&rule("content/x"), json!({"actions": [], "pattern": "x"}))
        .await
        .expect_ok();
    let answer = alice.sync(&crate::sync::since(&token)).await;
    let events = answer["account_data"]["events"].as_array().unwrap();
    let told: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "m.push_rules")
        .collect();
    let rules = alice.get("pushrules/").await.expect_ok();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["content"], rules);
    let stored = format!("user/{}/account_data/m.push_rules", encode(&alice.user_id));
    assert_eq!(alice.get(&stored).await.expect_ok(), rules);
    alice.put(&stored, json!({})).await.expect_status(405);
    server.restart().await;
    assert_eq!(alice.get("pushrules/").await.expect_ok(), rules);
    let read = alice.get(&master).await.expect_ok();
    assert_eq!(read["enabled"], true);
    assert_eq!(read["actions"], json!(["notify"]));
    assert_eq!(read["default"], true);
}

#[tokio::test]
async fn changes_at_once_lose_nothing() {
    let server = shared_server().await;
    let alice = server.register("a").await;
    let changes = (0..20).map(|n| {
        let path = rule(&format!("content/rule{n}"));
        let alice = &alice;
        async move {
            alice
                .put(&path, json!({"actions": [], "pattern": "x"}))
                .await
                .expect_ok()
        }
    });
    join_all(changes).await;
    assert_eq!(own(&alice, "content").await.len(), 20);
}

#[tokio::test]
async fn historical_actions_are_ignored() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("a").await, server.register("b").await);
    let room = super::two_in_a_room(&alice, &bob).await;
    let path = rule(&format!("room/{}", encode(&room)));
    for (actions, expected) in [
        (json!(["dont_notify"]), [0, 0]),
        (json!(["coalesce"]), [0, 0]),
        (json!(["coalesce", "notify"]), [1, 0]),
    ] {
        alice
            .put(&path, json!({"actions": actions}))
            .await
            .expect_ok();
        bob.send_text(&room, &actions.to_string(), "x").await;
        assert_eq!(super::unread(&alice, &room).await, expected, "{actions}");
    }
}

#[tokio::test]
async fn rules_that_search_are_bounded_for_each_user() {
    let server = shared_server().await;
    let alice = server.register("a").await;
    let put = async |id: usize| {
        let body = json!({"actions": [], "pattern": "x"});
        alice.put(&rule(&format!("content/{id}")), body).await
    };
    for id in 0..256 {
        put(id).await.expect_ok();
    }
    put(256).await.expect_error(413, "M_TOO_LARGE");
    put(7).await.expect_ok();
    assert_eq!(own(&alice, "content").await.len(), 256);
}
