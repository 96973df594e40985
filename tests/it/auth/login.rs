//! Logging in.

use greenroom_tests::{PASSWORD, TestServer, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

use super::{is_logged_in, name, password_login};

#[tokio::test]
async fn somebody_logs_in_by_any_of_their_names() {
    let server = shared_server().await;
    let alice = server.register("login").await;
    let anyone = server.anonymous();
    let local = alice.localpart().to_owned();
    let upper = local.to_uppercase();
    for version in ["r0", "v3"] {
        for user in [alice.user_id.as_str(), &local, &upper] {
            let legacy = json!({"type": "m.login.password", "user": user, "password": PASSWORD});
            for request in [legacy, password_login(user, PASSWORD)] {
                let body = anyone
                    .over(version)
                    .post("login", request)
                    .await
                    .expect_ok();
                assert_eq!(body["user_id"], alice.user_id);
                assert_eq!(body["home_server"], server.server_name());
                assert!(is_logged_in(&anyone.clone().with_session(&body)).await);
            }
        }
    }
    assert!(is_logged_in(&alice).await);
}

#[tokio::test]
async fn b49_an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let server = shared_server().await;
    let alice = server.register("guessed").await;
    let anyone = server.anonymous();
    let address = json!({
        "type": "m.login.password", "medium": "email", "address": "a@b.c", "password": PASSWORD,
    });
    let third_party = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.thirdparty", "medium": "email", "address": "a@b.c"},
        "password": PASSWORD,
    });
    let mut answers = Vec::new();
    for request in [
        password_login(&alice.user_id, "wrong"),
        password_login(&name("nobody"), PASSWORD),
        password_login("@alice:elsewhere.example", PASSWORD),
        password_login("@not a user id", PASSWORD),
        password_login("", PASSWORD),
        address,
        third_party,
    ] {
        answers.push(
            anyone
                .post("login", request)
                .await
                .expect_error(403, "M_FORBIDDEN"),
        );
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn b49_guessing_is_limited_by_account_and_a_success_resets_the_count() {
    let config = "[rate_limits.login]\naccount = { burst = 3, per_second = 0.001 }\n";
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .config(config)
        .start()
        .await;
    let alice = server.register_exactly("alice").await;
    let anyone = server.anonymous();
    let guess = async |password: &str| {
        anyone
            .post("login", password_login(&alice.user_id, password))
            .await
    };
    for _ in 0..2 {
        guess("wrong").await.expect_error(403, "M_FORBIDDEN");
    }
    guess(PASSWORD).await.expect_ok();
    for _ in 0..3 {
        guess("wrong").await.expect_error(403, "M_FORBIDDEN");
    }
    // Now not even the right one helps, by whatever name.
    let limited = guess(PASSWORD).await;
    let seconds: u64 = limited.header("retry-after").parse().unwrap();
    assert!(seconds >= 1);
    let body = limited.expect_error(429, "M_LIMIT_EXCEEDED");
    assert!(body["retry_after_ms"].as_u64().unwrap() <= seconds * 1_000);
    let by_other_name = anyone
        .post("login", password_login("ALICE", PASSWORD))
        .await;
    by_other_name.expect_error(429, "M_LIMIT_EXCEEDED");
    // Who is logged in stays so.
    assert!(is_logged_in(&alice).await);
}

#[tokio::test]
async fn b49_guessing_is_limited_by_address() {
    let config = "[rate_limits.login]\naddress = { burst = 3, per_second = 0.001 }\n";
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .config(config)
        .start()
        .await;
    server.register_exactly("alice").await;
    let anyone = server.anonymous();
    for number in 0..3 {
        let request = password_login(&format!("nobody{number}"), "x");
        anyone
            .post("login", request)
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
    let limited = anyone
        .post("login", password_login("alice", PASSWORD))
        .await;
    limited.expect_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn b50_a_password_of_a_megabyte_is_refused_before_it_is_hashed() {
    let server = shared_server().await;
    let request = password_login("alice", &"x".repeat(1_000_000));
    let anyone = server.anonymous();
    anyone
        .post("login", request)
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn logins_that_make_no_sense_are_told_what_is_wrong() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let by_password = |more: Value| {
        let mut request = json!({"type": "m.login.password", "password": "x"});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };
    for (request, errcode) in [
        (json!({}), "M_BAD_JSON"),
        (json!({"type": 1}), "M_BAD_JSON"),
        (
            json!({"type": "m.login.password", "user": "x"}),
            "M_BAD_JSON",
        ),
        (by_password(json!({})), "M_BAD_JSON"),
        (by_password(json!({"identifier": "alice"})), "M_BAD_JSON"),
        (
            by_password(json!({"identifier": {"type": "m.id.user"}})),
            "M_BAD_JSON",
        ),
        (
            by_password(json!({"identifier": {"type": "m.id.shoe", "size": 43}})),
            "M_UNKNOWN",
        ),
        (json!({"type": "m.login.token", "token": "x"}), "M_UNKNOWN"),
        (json!({"type": "org.example"}), "M_UNKNOWN"),
    ] {
        anyone
            .post("login", request)
            .await
            .expect_error(400, errcode);
    }
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "\u{feff}{}",
        "{\"type\":\"\\ud800\"}",
    ] {
        let answer = anyone.raw(Method::POST, "login", &[], body).await;
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.describe());
    }
}

#[tokio::test]
async fn nobody_is_known_by_a_third_party_identifier() {
    let server = shared_server().await;
    let email = json!({"medium": "email", "address": "alice@example.org"});
    let mut typed = email.clone();
    typed["type"] = "m.id.thirdparty".into();
    let mut old = email.clone();
    old["type"] = "m.login.password".into();
    old["password"] = PASSWORD.into();
    // The second is how the specification's example has it: without a type.
    for request in [
        json!({"type": "m.login.password", "password": PASSWORD, "identifier": typed}),
        json!({"type": "m.login.password", "password": PASSWORD, "identifier": email}),
        old,
    ] {
        server
            .anonymous()
            .post("login", request)
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_device_of_one_s_own_choice_has_one_session() {
    let server = shared_server().await;
    let alice = server.register("devices").await;
    let anyone = server.anonymous();
    let mut request = password_login(&alice.user_id, PASSWORD);
    request["device_id"] = "PHONE".into();
    request["initial_device_display_name"] = "Alice's phone".into();
    let first = anyone
        .clone()
        .with_session(&anyone.post("login", request.clone()).await.expect_ok());
    assert_eq!(first.device_id, "PHONE");
    let whoami = first.get("account/whoami").await.expect_ok();
    assert_eq!(whoami["device_id"], "PHONE");
    assert_eq!(whoami["user_id"], alice.user_id);
    let second = anyone
        .clone()
        .with_session(&anyone.post("login", request.clone()).await.expect_ok());
    assert!(!is_logged_in(&first).await);
    assert!(is_logged_in(&second).await && is_logged_in(&alice).await);
    for bad in ["", "a\u{0}b", &"x".repeat(256)] {
        request["device_id"] = bad.into();
        anyone
            .post("login", request.clone())
            .await
            .expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn the_flows_are_listed() {
    let server = shared_server().await;
    for version in ["r0", "v3"] {
        let flows = server
            .anonymous()
            .over(version)
            .get("login")
            .await
            .expect_ok();
        assert_eq!(flows, json!({"flows": [{"type": "m.login.password"}]}));
    }
}
