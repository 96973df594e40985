//! Sessions: where the token goes, how it is refreshed, how it ends.

use greenroom_tests::{Client, TestServer, encode, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

use super::{is_logged_in, name};

async fn refreshable(server: &TestServer) -> (Client, String) {
    let request = json!({
        "username": name("refresh"),
        "password": "wordpass",
        "auth": {"type": "m.login.dummy"},
        "refresh_token": true,
    });
    let body = server
        .anonymous()
        .post("register", request)
        .await
        .expect_ok();
    assert!(body["expires_in_ms"].as_u64().unwrap() > 0, "{body}");
    let refresh_token = body["refresh_token"].as_str().unwrap().to_owned();
    (server.anonymous().with_session(&body), refresh_token)
}

/// The same device with another access token.
fn with_token(client: &Client, token: Option<String>) -> Client {
    let mut client = client.clone();
    client.token = token;
    client
}

async fn refresh(client: &Client, refresh_token: &str) -> (Client, String) {
    let anyone = with_token(client, None);
    let body = anyone
        .post("refresh", json!({"refresh_token": refresh_token}))
        .await
        .expect_ok();
    assert!(body["expires_in_ms"].as_u64().unwrap() > 0, "{body}");
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    (
        with_token(client, Some(text("access_token"))),
        text("refresh_token"),
    )
}

async fn expect_dead(client: &Client, refresh_token: &str) {
    let anyone = with_token(client, None);
    let answer = anyone
        .post("refresh", json!({"refresh_token": refresh_token}))
        .await;
    answer.expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn the_token_goes_into_the_header_or_into_the_query_and_not_into_both() {
    let server = shared_server().await;
    let alice = server.register("tokens").await;
    for version in ["r0", "v3"] {
        let alice = alice.over(version);
        alice.get("account/whoami").await.expect_ok();
        let answer = alice.with_token_in_query().get("account/whoami").await;
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        answer.expect_ok();
        let both = format!(
            "account/whoami?access_token={}",
            encode(alice.token.as_ref().unwrap())
        );
        alice.get(&both).await.expect_error(401, "M_MISSING_TOKEN");
        let anyone = server.anonymous().over(version);
        anyone
            .get("account/whoami")
            .await
            .expect_error(401, "M_MISSING_TOKEN");
        for (name, value) in [("authorization", "Basic YTpi"), ("authorization", "Bearer")] {
            let answer = anyone
                .raw(Method::GET, "account/whoami", &[(name, value)], "")
                .await;
            answer.expect_error(401, "M_MISSING_TOKEN");
        }
        for bad in ["", "x", "gr_", "gr_x%00", "%ff", "syt_abc"] {
            let path = format!("account/whoami?access_token={bad}");
            let body = anyone.get(&path).await.expect_error(401, "M_UNKNOWN_TOKEN");
            assert_eq!(body["soft_logout"], false);
        }
    }
}

#[tokio::test]
async fn a_token_that_was_logged_out_is_dead_at_once_and_the_others_are_not() {
    let server = shared_server().await;
    let phone = server.register("logout").await;
    let laptop = server.login(&phone.user_id).await;
    assert!(is_logged_in(&phone).await && is_logged_in(&laptop).await);
    phone.over("r0").post("logout", json!({})).await.expect_ok();
    assert!(!is_logged_in(&phone).await);
    assert!(is_logged_in(&laptop).await);
    let tablet = server.login(&phone.user_id).await;
    // With no body at all, as some clients do.
    tablet
        .raw(Method::POST, "logout/all", &[], "")
        .await
        .expect_ok();
    assert!(!is_logged_in(&laptop).await && !is_logged_in(&tablet).await);
    tablet
        .post("logout", json!({}))
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn sessions_survive_a_restart_and_logouts_do_too() {
    let server = TestServer::start().await;
    let phone = server.register_exactly("alice").await;
    let laptop = server.login("alice").await;
    phone.post("logout", json!({})).await.expect_ok();
    server.restart().await;
    assert!(!is_logged_in(&phone).await);
    assert!(is_logged_in(&laptop).await);
}

#[tokio::test]
async fn b54_a_refresh_replaces_both_tokens() {
    let server = shared_server().await;
    let (first, old) = refreshable(&server).await;
    assert!(is_logged_in(&first).await);
    let (second, new) = refresh(&first, &old).await;
    assert!(is_logged_in(&second).await);
    assert!(!is_logged_in(&first).await);
    let whoami = second.get("account/whoami").await.expect_ok();
    assert_eq!(whoami["device_id"], first.device_id);
    let (third, _) = refresh(&second, &new).await;
    assert!(is_logged_in(&third).await);
}

#[tokio::test]
async fn b54_a_client_that_lost_the_answer_can_refresh_again() {
    let server = shared_server().await;
    let (first, old) = refreshable(&server).await;
    let (lost, _) = refresh(&first, &old).await;
    let (second, _) = refresh(&first, &old).await;
    assert!(is_logged_in(&second).await);
    assert!(!is_logged_in(&lost).await);
}

#[tokio::test]
async fn b54_a_refresh_token_used_again_after_its_pair_was_used_ends_the_session() {
    let server = shared_server().await;
    let (first, old) = refreshable(&server).await;
    let (second, new) = refresh(&first, &old).await;
    assert!(is_logged_in(&second).await);
    expect_dead(&first, &old).await;
    // Somebody holds a copy, and nobody can say who is who.
    assert!(!is_logged_in(&second).await);
    expect_dead(&first, &new).await;
}

#[tokio::test]
async fn what_is_no_refresh_token_refreshes_nothing() {
    let server = shared_server().await;
    let (first, old) = refreshable(&server).await;
    let anyone = server.anonymous();
    for bad in [json!("x"), json!(""), json!(first.token)] {
        let answer = anyone.post("refresh", json!({"refresh_token": bad})).await;
        let body: Value = answer.expect_error(401, "M_UNKNOWN_TOKEN");
        assert_eq!(body["soft_logout"], true);
    }
    anyone
        .post("refresh", json!({}))
        .await
        .expect_error(400, "M_BAD_JSON");
    // A refresh token opens no door by itself.
    let client = with_token(&first, Some(old));
    client
        .get("account/whoami")
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn who_does_not_ask_for_a_refresh_token_gets_a_token_that_lasts() {
    let server = shared_server().await;
    let request = json!({"username": name("lasting"), "auth": {"type": "m.login.dummy"}});
    let body = server
        .anonymous()
        .post("register", request)
        .await
        .expect_ok();
    assert!(
        body.get("refresh_token").is_none() && body.get("expires_in_ms").is_none(),
        "{body}"
    );
}
