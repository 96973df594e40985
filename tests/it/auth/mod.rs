//! Who somebody is: registration, login, sessions, user-interactive authentication.

mod discovery;
mod login;
mod registration;
mod secrets;
mod sessions;
mod uia;

use greenroom_tests::{Answer, Client, PASSWORD, TestServer};
use serde_json::{Value, json};

fn password_login(user: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
    })
}

/// What proves that one is `user`, in an `auth` object.
fn password_stage(user: &Client, session: Option<&str>) -> Value {
    let mut auth = password_login(&user.user_id, PASSWORD);
    if let Some(session) = session {
        auth["session"] = session.into();
    }
    auth
}

/// The session of a 401 that says what has to be proven.
#[track_caller]
fn challenge_of(answer: Answer) -> Value {
    let body = answer.expect_status(401);
    assert!(body["session"].is_string(), "{body}");
    assert!(body["flows"][0]["stages"].is_array(), "{body}");
    body
}

/// A name that no other test has.
fn name(prefix: &str) -> String {
    format!(
        "{prefix}{}",
        &uuid::Uuid::new_v4().simple().to_string()[..10]
    )
}

/// Makes a registration token with the server's own command, and leaves the server running.
async fn registration_token(server: &TestServer, options: &[&str]) -> String {
    let mut command = vec!["registration-token", "create"];
    command.extend(options);
    server.stop().await;
    let output = server.run(&command, "");
    assert!(output.status.success(), "{output:?}");
    server.restart().await;
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether a client's access token is still good.
async fn is_logged_in(client: &Client) -> bool {
    let answer = client.get("account/whoami").await;
    match answer.status {
        200 => true,
        401 => {
            answer.expect_error(401, "M_UNKNOWN_TOKEN");
            false
        }
        other => panic!("whoami answered {other}"),
    }
}
