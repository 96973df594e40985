//! What the server says of itself, and what is true of every endpoint.

use greenroom_tests::shared_server;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn the_versions_are_those_that_are_served() {
    let server = shared_server().await;
    let body = server
        .anonymous()
        .get("/_matrix/client/versions")
        .await
        .expect_ok();
    let versions: Vec<&str> = body["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    for version in ["r0.0.1", "r0.6.1", "v1.1", "v1.3", "v1.4", "v1.10"] {
        assert!(versions.contains(&version), "{versions:?}");
    }
}

#[tokio::test]
async fn the_capabilities_are_those_that_are_there() {
    let server = shared_server().await;
    let alice = server.register("capable").await;
    for version in ["r0", "v3"] {
        let body = alice.over(version).get("capabilities").await.expect_ok();
        let capabilities = &body["capabilities"];
        assert_eq!(capabilities["m.room_versions"]["default"], "12");
        for number in 1..=12 {
            let stable = &capabilities["m.room_versions"]["available"][number.to_string()];
            assert_eq!(stable, "stable", "{number}");
        }
        assert_eq!(capabilities["m.change_password"]["enabled"], true);
        assert_eq!(capabilities["m.3pid_changes"]["enabled"], false);
    }
    server
        .anonymous()
        .get("capabilities")
        .await
        .expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn b64_what_is_not_there_is_unrecognized() {
    let server = shared_server().await;
    let alice = server.register("lost").await;
    for path in [
        "nothing",
        "devices",
        "account/3pid",
        "account/whoami/more",
        "/_matrix/nothing",
    ] {
        alice.get(path).await.expect_error(404, "M_UNRECOGNIZED");
    }
    for (method, path) in [
        (Method::PUT, "login"),
        (Method::DELETE, "account/whoami"),
        (Method::GET, "logout"),
        (Method::PATCH, "register"),
    ] {
        alice
            .raw(method, path, &[], "")
            .await
            .expect_error(405, "M_UNRECOGNIZED");
    }
    alice.get("account/whoami/").await.expect_ok();
}

#[tokio::test]
async fn b65_a_browser_may_ask_anywhere() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    for path in [
        "login",
        "account/password",
        "sync",
        "rooms/x/send/y/z",
        "nothing",
    ] {
        let answer = anyone.raw(Method::OPTIONS, path, &[], "").await;
        assert!(matches!(answer.status, 200 | 204), "{}", answer.describe());
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(
            answer
                .header("access-control-allow-methods")
                .contains("DELETE")
        );
        assert!(
            answer
                .header("access-control-allow-headers")
                .contains("Authorization")
        );
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    let answer = anyone.post("login", json!({})).await;
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("DELETE")
    );
}

#[tokio::test]
async fn b08_a_body_over_the_limit_is_413() {
    let server = shared_server().await;
    let body = format!("{{\"type\":\"{}\"}}", "x".repeat(10_000_000));
    let answer = server
        .anonymous()
        .raw(Method::POST, "login", &[], body)
        .await;
    answer.expect_error(413, "M_TOO_LARGE");
    server.anonymous().get("login").await.expect_ok();
}
