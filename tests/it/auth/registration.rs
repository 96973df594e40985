//! Making accounts.

use futures_util::future::join_all;
use greenroom_tests::{TestServer, encode, shared_server};
use serde_json::{Value, json};

use super::{challenge_of, is_logged_in, name, password_login, registration_token};

fn wish(username: &str) -> Value {
    json!({
        "username": username,
        "password": "wordpass",
        "auth": {"type": "m.login.dummy"},
    })
}

#[tokio::test]
async fn an_account_is_made_in_one_shot_on_the_old_api_and_on_the_new_one() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    for version in ["r0", "v3"] {
        let username = name("oneshot");
        let body = anyone
            .over(version)
            .post("register", wish(&username))
            .await
            .expect_ok();
        assert_eq!(
            body["user_id"],
            format!("@{username}:{}", server.server_name())
        );
        assert_eq!(body["home_server"], server.server_name());
        assert!(is_logged_in(&anyone.clone().with_session(&body)).await);
    }
}

#[tokio::test]
async fn an_account_is_made_by_the_dance() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let username = name("dance");
    // A client asks for the flows before the form is filled in.
    let first = challenge_of(anyone.post("register", json!({})).await);
    assert_eq!(first["flows"], json!([{"stages": ["m.login.dummy"]}]));
    assert_eq!(first["params"], json!({}));
    assert!(first.get("errcode").is_none() && first.get("completed").is_none());
    let mut request = wish(&username);
    request["auth"]["session"] = first["session"].clone();
    anyone.post("register", request.clone()).await.expect_ok();
    // The session was good for one account.
    request["username"] = name("again").into();
    let refused = challenge_of(anyone.post("register", request).await);
    assert_ne!(refused["session"], first["session"]);
}

#[tokio::test]
async fn who_gives_no_name_gets_one_and_who_gives_no_password_cannot_use_one() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let body = anyone
        .post("register", json!({"auth": {"type": "m.login.dummy"}}))
        .await
        .expect_ok();
    let user_id = body["user_id"].as_str().unwrap();
    for password in ["", "x"] {
        let login = password_login(user_id, password);
        anyone
            .post("login", login)
            .await
            .expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_device_id_that_cannot_be_is_refused_before_anything_is_proven() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let challenge = challenge_of(anyone.post("register", json!({})).await);
    let auth = json!({"type": "m.login.dummy", "session": challenge["session"]});
    for device_id in ["", "a\nb", &"x".repeat(256)] {
        let request = json!({"device_id": device_id});
        let answer = anyone.post("register", request).await;
        answer.expect_error(400, "M_INVALID_PARAM");
        let request = json!({"device_id": device_id, "auth": auth});
        let answer = anyone.post("register", request).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    // The session is as good as before.
    let request = json!({"device_id": "x".repeat(255), "auth": auth});
    anyone.post("register", request).await.expect_ok();
}

#[tokio::test]
async fn b58_a_registration_may_inhibit_the_login() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let username = name("inhibited");
    let mut request = wish(&username);
    request["inhibit_login"] = true.into();
    let body = anyone.post("register", request).await.expect_ok();
    for absent in [
        "access_token",
        "device_id",
        "refresh_token",
        "expires_in_ms",
    ] {
        assert!(body.get(absent).is_none(), "{body}");
    }
    anyone
        .post("login", password_login(&username, "wordpass"))
        .await
        .expect_ok();
}

#[tokio::test]
async fn b58_a_closed_server_registers_nobody() {
    let server = TestServer::builder()
        .flag("--registration", "closed")
        .start()
        .await;
    let anyone = server.anonymous();
    anyone
        .post("register", json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    anyone
        .post("register", wish("alice"))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let available = anyone.get("register/available?username=alice").await;
    available.expect_error(403, "M_FORBIDDEN");
    let validity = "register/m.login.registration_token/validity?token=x";
    anyone
        .over("v1")
        .get(validity)
        .await
        .expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn there_are_no_guests() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let guest = anyone.post("register?kind=guest", json!({})).await;
    guest.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    anyone
        .post("register?kind=king", json!({}))
        .await
        .expect_error(400, "M_INVALID_PARAM");
    challenge_of(anyone.post("register?kind=user", json!({})).await);
}

#[tokio::test]
async fn b15_names_outside_the_grammar_are_refused_before_anything_is_proven() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let long = "a".repeat(300);
    for bad in [
        "аlice",
        "a\u{200d}b",
        "admin ",
        "@x:y",
        "",
        "a\0b",
        "é",
        &long,
    ] {
        let request = json!({"username": bad, "password": "wordpass"});
        anyone
            .post("register", request)
            .await
            .expect_error(400, "M_INVALID_USERNAME");
        let available = anyone
            .get(&format!("register/available?username={}", encode(bad)))
            .await;
        available.expect_error(400, "M_INVALID_USERNAME");
    }
    for good in ["..", "a/b", "a=2f"] {
        let username = format!("{good}{}", name("x"));
        let body = anyone.post("register", wish(&username)).await.expect_ok();
        assert_eq!(
            body["user_id"],
            format!("@{username}:{}", server.server_name())
        );
        let client = server.anonymous().with_session(&body);
        assert!(is_logged_in(&client).await);
    }
}

#[tokio::test]
async fn b15_names_that_differ_only_in_case_are_the_same_name() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let username = name("case");
    let upper = username.to_uppercase();
    let body = anyone.post("register", wish(&upper)).await.expect_ok();
    assert_eq!(
        body["user_id"],
        format!("@{username}:{}", server.server_name())
    );
    for taken in [&username, &upper] {
        anyone
            .post("register", wish(taken))
            .await
            .expect_error(400, "M_USER_IN_USE");
        let available = anyone
            .get(&format!("register/available?username={taken}"))
            .await;
        available.expect_error(400, "M_USER_IN_USE");
    }
    let free = anyone
        .get(&format!("register/available?username={username}x"))
        .await
        .expect_ok();
    assert_eq!(free, json!({"available": true}));
    anyone
        .get("register/available")
        .await
        .expect_error(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn a73_two_registrations_of_one_name_at_once_make_one_account() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let username = name("race");
    let answers = join_all((0..4).map(|_| anyone.post("register", wish(&username)))).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.expect_error(400, "M_USER_IN_USE");
    }
}

#[tokio::test]
async fn b50_a_password_of_a_megabyte_is_refused_before_it_is_hashed() {
    let server = shared_server().await;
    let anyone = server.anonymous();
    let mut request = wish(&name("long"));
    request["password"] = "x".repeat(1_000_000).into();
    anyone
        .post("register", request.clone())
        .await
        .expect_error(400, "M_INVALID_PARAM");
    request["password"] = "x".repeat(513).into();
    anyone
        .post("register", request.clone())
        .await
        .expect_error(400, "M_INVALID_PARAM");
    request["password"] = "".into();
    anyone
        .post("register", request.clone())
        .await
        .expect_error(400, "M_WEAK_PASSWORD");
    request["password"] = "x".repeat(512).into();
    anyone.post("register", request).await.expect_ok();
}

#[tokio::test]
async fn b57_one_token_for_one_account_makes_one_account_of_fifty() {
    let server = TestServer::builder()
        .flag("--registration", "token")
        .start()
        .await;
    let anyone = server.anonymous();
    let token = registration_token(&server, &["--uses", "1"]).await;
    let challenge = challenge_of(anyone.post("register", json!({})).await);
    assert_eq!(
        challenge["flows"],
        json!([{"stages": ["m.login.registration_token"]}])
    );
    // Without one there is no account, dummy or not.
    challenge_of(anyone.post("register", wish("nobody")).await);
    let race = (0..50).map(|number| {
        let auth = json!({"type": "m.login.registration_token", "token": token});
        let request = json!({"username": format!("racer{number}"), "auth": auth});
        let anyone = anyone.clone();
        async move { anyone.post("register", request).await }
    });
    let answers = join_all(race).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1
    );
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(challenge_of(answer)["errcode"], "M_FORBIDDEN");
    }
    let validity = format!("register/m.login.registration_token/validity?token={token}");
    let valid = anyone.over("v1").get(&validity).await.expect_ok();
    assert_eq!(valid, json!({"valid": false}));
}

#[tokio::test]
async fn b57_a_token_can_be_asked_about() {
    let server = TestServer::builder()
        .flag("--registration", "token")
        .start()
        .await;
    let anyone = server.anonymous().over("v1");
    let good = registration_token(&server, &["--uses", "2", "--expires-in", "3600"]).await;
    for (token, valid) in [
        (good.as_str(), true),
        ("unknown", false),
        ("no%20token", false),
    ] {
        let path = format!("register/m.login.registration_token/validity?token={token}");
        assert_eq!(
            anyone.get(&path).await.expect_ok(),
            json!({"valid": valid}),
            "{token}"
        );
    }
}

#[tokio::test]
async fn b57_who_guesses_tokens_is_slowed_down() {
    let config = "[rate_limits.registration]\naddress = { burst = 3, per_second = 0.001 }\n";
    let server = TestServer::builder()
        .flag("--registration", "token")
        .flag("--rate-limits", "on")
        .config(config)
        .start()
        .await;
    let anyone = server.anonymous().over("v1");
    let guess = "register/m.login.registration_token/validity?token=guess";
    for _ in 0..3 {
        let answer = anyone.get(guess).await.expect_ok();
        assert_eq!(answer, json!({"valid": false}));
    }
    let limited = anyone.get(guess).await;
    assert!(limited.header("retry-after").parse::<u64>().is_ok());
    limited.expect_error(429, "M_LIMIT_EXCEEDED");
    // Nor is there another way to ask.
    let auth = json!({"type": "m.login.registration_token", "token": "guess"});
    let request = json!({"username": "x", "auth": auth});
    let limited = server.anonymous().post("register", request).await;
    limited.expect_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a66_the_fallback_page_takes_a_token_and_shows_nothing_of_the_query() {
    let server = TestServer::builder()
        .flag("--registration", "token")
        .start()
        .await;
    let anyone = server.anonymous();
    let token = registration_token(&server, &["--uses", "1"]).await;
    let challenge = challenge_of(anyone.post("register", json!({"username": "alice"})).await);
    let session = challenge["session"].as_str().unwrap();
    let page = "auth/m.login.registration_token/fallback/web";

    let shown = anyone.get(&format!("{page}?session={session}")).await;
    assert_eq!(shown.status, 200, "{}", shown.describe());
    assert!(shown.header("content-type").starts_with("text/html"));
    let policy = shown.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));

    let attack = anyone
        .get(&format!(
            "{page}?session={}",
            encode("\"><script>x</script>")
        ))
        .await;
    assert_eq!(attack.status, 404);
    assert!(!attack.text().contains("<script>x"), "{}", attack.text());

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let submit = async |token: &str| {
        let body = format!("session={session}&token={}", encode(token));
        anyone.raw(reqwest::Method::POST, page, &form, body).await
    };
    let refused = submit("<script>x</script>").await;
    assert_eq!(refused.status, 401);
    assert!(!refused.text().contains("<script>x"), "{}", refused.text());
    let done = submit(&token).await;
    assert_eq!(done.status, 200, "{}", done.describe());
    assert!(done.text().contains("onAuthDone") && done.text().contains("authDone"));

    let request = json!({"username": "alice", "auth": {"session": session}});
    anyone.post("register", request).await.expect_ok();
    let other = "auth/m.login.sso/fallback/web?session=x";
    anyone.get(other).await.expect_error(404, "M_UNRECOGNIZED");
}
