//! Requests that make no sense, or ask for too much: refused, or clamped, and never a failure.

use greenroom_tests::shared_server;
use serde_json::{Map, Value, json};

use super::{PATH, ask, list, slide};

#[tokio::test]
async fn b02_what_is_wrong_is_refused_and_what_is_large_is_clamped() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    alice.create_public_room().await;
    let rule = json!({"timeline_limit": 1});
    let subscriptions: Map<String, Value> = (0..10_000)
        .map(|n| (format!("!{n}:localhost"), rule.clone()))
        .collect();
    for (body, code) in [
        (json!([]), "M_BAD_JSON"),
        (json!({"lists": 1}), "M_BAD_JSON"),
        (list(json!({})), "M_BAD_JSON"),
        (list(json!({"timeline_limit": -1})), "M_BAD_JSON"),
        (list(json!({"timeline_limit": 1e300})), "M_BAD_JSON"),
        (
            list(json!({"timeline_limit": 1, "ranges": [[2]]})),
            "M_BAD_JSON",
        ),
        (
            list(json!({"timeline_limit": 1, "ranges": [[2, 1]]})),
            "M_INVALID_PARAM",
        ),
        (
            list(json!({"timeline_limit": 1, "ranges": vec![[0, 1]; 1_000]})),
            "M_INVALID_PARAM",
        ),
        (json!({"room_subscriptions": {"x": rule}}), "M_BAD_JSON"),
        (
            json!({"room_subscriptions": subscriptions}),
            "M_INVALID_PARAM",
        ),
        (json!({"conn_id": "x".repeat(300)}), "M_INVALID_PARAM"),
        (
            json!({"extensions": {"e2ee": {"enabled": 1}}}),
            "M_BAD_JSON",
        ),
    ] {
        let shown: String = body.to_string().chars().take(100).collect();
        let answer = ask(&alice, None, 0, body).await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.describe());
        assert_eq!(answer.body["errcode"], code, "{shown}");
    }
    let ranges = list(json!({"timeline_limit": 1, "ranges": vec![[0, 1]; 1_000_000]}));
    let answer = ask(&alice, None, 0, ranges).await;
    assert!([400, 413].contains(&answer.status), "{}", answer.describe());
    let large = list(json!({
        "timeline_limit": 1_u64 << 53,
        "ranges": [[0, 1_u64 << 53], [0, 5], [3, u64::MAX]],
    }));
    let answer = slide(&alice, None, large).await;
    assert_eq!(answer["lists"]["all"]["count"], 1);
    let answer = alice
        .post(&format!("{PATH}?set_presence=asleep"), json!({}))
        .await;
    answer.expect_error(400, "M_INVALID_PARAM");
    let answer = alice.get(PATH).await;
    assert_eq!(answer.status, 405);
    let anonymous = server.anonymous().post(PATH, json!({})).await;
    anonymous.expect_error(401, "M_MISSING_TOKEN");
}
