//! Proving again who one is, for one request.

use greenroom_tests::{Answer, Client, PASSWORD, TestServer, encode, shared_server};
use reqwest::Method;
use serde_json::{Value, json};

use super::{challenge_of, is_logged_in, password_login, password_stage};

fn change(new_password: &str, auth: &Value) -> Value {
    json!({"new_password": new_password, "auth": auth})
}

async fn session_for(client: &Client, path: &str, body: Value) -> String {
    let challenge = challenge_of(client.post(path, body).await);
    assert_eq!(
        challenge["flows"],
        json!([{"stages": ["m.login.password"]}])
    );
    challenge["session"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn b52_a_password_is_changed_by_the_dance() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let other = server.login(&alice.user_id).await;
    let kept = server.login(&alice.user_id).await;
    let session = session_for(
        &alice,
        "account/password",
        json!({"new_password": "second"}),
    )
    .await;

    let mut wrong = password_login(&alice.user_id, "guess");
    wrong["session"] = session.as_str().into();
    let again = challenge_of(
        alice
            .post("account/password", change("second", &wrong))
            .await,
    );
    assert_eq!(
        (&again["errcode"], &again["session"]),
        (&json!("M_FORBIDDEN"), &json!(session))
    );

    let right = change("second", &password_stage(&alice, Some(&session)));
    alice.post("account/password", right).await.expect_ok();
    assert!(is_logged_in(&alice).await);
    assert!(!is_logged_in(&other).await && !is_logged_in(&kept).await);
    let anyone = server.anonymous();
    let old = anyone
        .post("login", password_login(&alice.user_id, PASSWORD))
        .await;
    old.expect_error(403, "M_FORBIDDEN");
    let body = anyone
        .post("login", password_login(&alice.user_id, "second"))
        .await
        .expect_ok();

    // And without ending the other sessions.
    let other = anyone.with_session(&body);
    let mut request = change("third", &password_login(&alice.user_id, "second"));
    request["logout_devices"] = false.into();
    alice.post("account/password", request).await.expect_ok();
    assert!(is_logged_in(&other).await);
}

#[tokio::test]
async fn b52_a_completed_session_is_not_good_for_a_second_act() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let body = json!({"new_password": PASSWORD});
    let session = session_for(&alice, "account/password", body).await;
    let request = change(PASSWORD, &password_stage(&alice, Some(&session)));
    alice
        .post("account/password", request.clone())
        .await
        .expect_ok();
    let refused = challenge_of(alice.post("account/password", request).await);
    assert_ne!(refused["session"], session);
    let bare = change(PASSWORD, &json!({"session": session}));
    challenge_of(alice.post("account/password", bare).await);
}

#[tokio::test]
async fn b52_a_session_of_one_user_is_of_no_use_to_another() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let bob = server.register("uia").await;
    let body = json!({"new_password": "stolen"});
    let session = session_for(&alice, "account/password", body).await;
    let request = change("stolen", &password_stage(&bob, Some(&session)));
    let refused = challenge_of(bob.post("account/password", request).await);
    assert_ne!(refused["session"], session);
    server.login(&bob.user_id).await;
}

#[tokio::test]
async fn b52_neither_the_body_nor_the_endpoint_may_change_on_the_way() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let body = json!({"new_password": "first"});
    let session = session_for(&alice, "account/password", body).await;
    let stage = password_stage(&alice, Some(&session));
    challenge_of(
        alice
            .post("account/password", change("other", &stage.clone()))
            .await,
    );
    challenge_of(
        alice
            .post("account/deactivate", json!({"auth": stage.clone()}))
            .await,
    );
    assert!(is_logged_in(&server.login(&alice.user_id).await).await);
    // The same request by another version of the path is the same request.
    alice
        .over("r0")
        .post("account/password", change("first", &stage))
        .await
        .expect_ok();
}

#[tokio::test]
async fn b52_guessed_sessions_and_odd_attempts_prove_nothing() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let body = json!({"new_password": "new"});
    let session = session_for(&alice, "account/password", body).await;
    for auth in [
        json!({}),
        json!({"session": session}),
        json!({"session": session, "type": "m.login.dummy"}),
        json!({"session": session, "type": null, "password": PASSWORD}),
        json!({"session": session, "password": PASSWORD, "user": alice.user_id}),
        json!({"type": "m.login.dummy"}),
        json!({"type": "m.login.registration_token", "token": "x"}),
        password_stage(&alice, Some("guessed")),
    ] {
        challenge_of(alice.post("account/password", change("new", &auth)).await);
    }
    for auth in [json!([]), json!("x"), json!(1), json!(true)] {
        let answer = alice.post("account/password", change("new", &auth)).await;
        answer.expect_error(400, "M_BAD_JSON");
    }
    server.login(&alice.user_id).await;
}

#[tokio::test]
async fn a70_the_right_password_of_somebody_else_is_the_wrong_one() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let bob = server.register("uia").await;
    for auth in [
        password_stage(&bob, None),
        json!({"type": "m.login.password", "user": bob.user_id, "password": PASSWORD}),
        json!({"type": "m.login.password", "password": PASSWORD}),
        json!({"type": "m.login.password"}),
        json!({"type": "m.login.password", "identifier": {}, "password": PASSWORD}),
        json!({"type": "m.login.password", "identifier": {"type": "m.id.user"}, "password": ""}),
    ] {
        let refused = challenge_of(alice.post("account/password", change("new", &auth)).await);
        assert_eq!(refused["errcode"], "M_FORBIDDEN");
    }
    server.login(&alice.user_id).await;
    server.login(&bob.user_id).await;
}

#[tokio::test]
async fn the_password_stage_by_a_third_party_identifier_nobody_has_is_403() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let email = json!({"medium": "email", "address": "alice@example.org"});
    for (identifier, session) in [
        (
            json!({"type": "m.id.thirdparty", "medium": "email", "address": "a@b.c"}),
            false,
        ),
        (
            json!({"type": "m.id.phone", "country": "GB", "phone": "1234"}),
            false,
        ),
        (email.clone(), true),
    ] {
        let mut auth = json!({
            "type": "m.login.password", "password": PASSWORD, "identifier": identifier,
        });
        if session {
            let body = json!({"new_password": "new"});
            auth["session"] = session_for(&alice, "account/password", body).await.into();
        }
        alice
            .post("account/password", change("new", &auth))
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
    let mut auth = email;
    auth["type"] = "m.login.password".into();
    auth["password"] = PASSWORD.into();
    alice
        .post("account/password", change("new", &auth))
        .await
        .expect_error(403, "M_FORBIDDEN");
    server.login(&alice.user_id).await;
}

/// The page of a stage, after a form was sent to it.
async fn submit(server: &TestServer, stage: &str, session: &str, form: &str) -> Answer {
    let page = format!("auth/{stage}/fallback/web");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("session={session}&{form}");
    let anyone = server.anonymous();
    anyone.raw(Method::POST, &page, &headers, body).await
}

#[tokio::test]
async fn every_stage_that_is_asked_for_has_a_page_that_completes_it() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let request = json!({"new_password": "the new one"});
    let session = session_for(&alice, "account/password", request.clone()).await;
    let anyone = server.anonymous();
    let shown = anyone
        .get(&format!(
            "auth/m.login.password/fallback/web?session={session}"
        ))
        .await;
    assert_eq!(shown.status, 200, "{}", shown.describe());
    assert!(shown.header("content-type").starts_with("text/html"));
    // Whoever types a password there has to know what for.
    for told in [&*alice.user_id, "change the password", "type=\"password\""] {
        assert!(shown.text().contains(told), "{told}: {}", shown.text());
    }
    let password = async |password: &str| {
        let form = format!("password={password}");
        submit(&server, "m.login.password", &session, &form).await
    };
    assert_eq!(password("wrong").await.status, 401);
    let with_session = json!({"new_password": "the new one", "auth": {"session": session}});
    challenge_of(alice.post("account/password", with_session.clone()).await);
    let done = password(PASSWORD).await;
    assert_eq!(done.status, 200, "{}", done.describe());
    assert!(done.text().contains("onAuthDone"), "{}", done.text());
    alice
        .post("account/password", with_session)
        .await
        .expect_ok();
    let login = password_login(&alice.user_id, "the new one");
    anyone.post("login", login).await.expect_ok();
    assert_eq!(password(PASSWORD).await.status, 404, "the session is over");

    let challenge = challenge_of(anyone.post("register", json!({})).await);
    let session = challenge["session"].as_str().unwrap();
    for other in ["m.login.password", "m.login.registration_token"] {
        let answer = submit(&server, other, session, "password=x&token=x").await;
        assert_eq!(answer.status, 404, "{other} is not asked for");
    }
    let done = submit(&server, "m.login.dummy", session, "").await;
    assert_eq!(done.status, 200, "{}", done.describe());
    assert!(done.text().contains("onAuthDone"), "{}", done.text());
    let request = json!({"auth": {"session": session}});
    anyone.post("register", request).await.expect_ok();
}

#[tokio::test]
async fn b50_the_password_stage_looks_at_no_megabyte() {
    let server = shared_server().await;
    let alice = server.register("uia").await;
    let auth = password_login(&alice.user_id, &"x".repeat(1_000_000));
    let answer = alice.post("account/password", change("new", &auth)).await;
    answer.expect_error(400, "M_INVALID_PARAM");
    let long = change(&"x".repeat(1_000), &password_stage(&alice, None));
    alice
        .post("account/password", long)
        .await
        .expect_error(400, "M_INVALID_PARAM");
    server.login(&alice.user_id).await;
}

#[tokio::test]
async fn b49_the_password_stage_is_limited_like_a_login() {
    let config = "[rate_limits.login]\naccount = { burst = 3, per_second = 0.001 }\n";
    let server = TestServer::builder()
        .flag("--rate-limits", "on")
        .config(config)
        .start()
        .await;
    let alice = server.register_exactly("alice").await;
    for _ in 0..3 {
        let auth = password_login("alice", "guess");
        challenge_of(alice.post("account/password", change("new", &auth)).await);
    }
    let answer = alice
        .post(
            "account/password",
            change("new", &password_stage(&alice, None)),
        )
        .await;
    answer.expect_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_deactivated_account_is_out_of_its_rooms_and_never_comes_back() {
    let server = shared_server().await;
    let alice = server.register("leaving").await;
    let bob = server.register("staying").await;
    let room = bob.create_public_room().await;
    alice.join(&room).await;
    let other = server.login(&alice.user_id).await;

    challenge_of(
        alice
            .post("account/deactivate", json!({"erase": true}))
            .await,
    );
    let request = json!({"erase": true, "auth": password_stage(&alice, None)});
    let body = alice.post("account/deactivate", request).await.expect_ok();
    assert_eq!(body, json!({"id_server_unbind_result": "success"}));

    assert!(!is_logged_in(&alice).await && !is_logged_in(&other).await);
    let login = server
        .anonymous()
        .post("login", password_login(&alice.user_id, PASSWORD))
        .await;
    login.expect_error(403, "M_FORBIDDEN");
    let again = json!({"username": alice.localpart(), "auth": {"type": "m.login.dummy"}});
    server
        .anonymous()
        .post("register", again)
        .await
        .expect_error(400, "M_USER_IN_USE");
    let members = bob
        .get(&format!("rooms/{}/joined_members", encode(&room)))
        .await
        .expect_ok();
    let members: Vec<&String> = members["joined"].as_object().unwrap().keys().collect();
    assert_eq!(members, [&bob.user_id]);
}

#[tokio::test]
async fn without_a_token_nobody_s_account_is_changed() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    for path in ["account/password", "account/deactivate"] {
        let answer = anyone.post(path, json!({"new_password": "x"})).await;
        answer.expect_error(401, "M_MISSING_TOKEN");
    }
}
