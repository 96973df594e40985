//! What nobody is to find: passwords and tokens, in answers, in the log, in the files.

use std::sync::Mutex;

use greenroom_tests::{Answer, Client, TestServer, WireStream, encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::{challenge_of, password_login, registration_token};

/// Everything that was secret, and every answer that was none of the secrets' business.
#[derive(Default)]
struct Notes {
    secrets: Mutex<Vec<String>>,
    refusals: Mutex<Vec<String>>,
}

impl Notes {
    /// From now on a secret.
    fn secret(&self, text: &str) -> String {
        self.secrets.lock().unwrap().push(text.to_owned());
        text.to_owned()
    }

    /// The tokens of an answer that was to have them.
    fn session(&self, body: &Value) {
        for key in ["access_token", "refresh_token"] {
            if let Some(token) = body[key].as_str() {
                self.secret(token);
            }
        }
    }

    /// An answer that is to hold none.
    fn refused(&self, answer: &Answer, status: u16) {
        assert_eq!(answer.status, status, "{}", answer.describe());
        let headers = format!("{:?}", answer.headers);
        self.refusals
            .lock()
            .unwrap()
            .push(format!("{headers} {}", answer.text()));
    }
}

/// Walks every way to prove who one is, rightly and wrongly; gives the registration token.
async fn walk(server: &TestServer, notes: &Notes) -> String {
    let anyone = server.anonymous();
    let voucher = registration_token(server, &["--uses", "2"]).await;
    let by_token = json!({"type": "m.login.registration_token", "token": voucher});
    let first = notes.secret("first-S3cret-word");
    let second = notes.secret("second-S3cret-word");
    let wrong = notes.secret("wrong-S3cret-word");

    // Registration: in the dance, with a name that is none, on the page, and done.
    let wish = |auth: &Value| json!({"username": "alice", "password": first, "refresh_token": true, "auth": auth});
    let challenge = challenge_of(anyone.post("register", wish(&Value::Null)).await);
    let guess = json!({"type": "m.login.registration_token", "token": wrong});
    notes.refused(&anyone.post("register", wish(&guess)).await, 401);
    let mut odd = wish(&by_token);
    odd["username"] = json!("no name");
    notes.refused(&anyone.post("register", odd.clone()).await, 400);
    odd["password"] = json!([first]);
    notes.refused(&anyone.post("register", odd).await, 400);
    let session = challenge["session"].as_str().unwrap();
    let page = "auth/m.login.registration_token/fallback/web";
    let form = format!("session={}&token={wrong}", encode(session));
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    notes.refused(&anyone.raw(Method::POST, page, &form_type, form).await, 401);
    let alice = anyone.post("register", wish(&by_token)).await.expect_ok();
    notes.session(&alice);
    notes.refused(&anyone.post("register", wish(&by_token)).await, 400);

    // Login.
    let mut login = password_login("alice", &first);
    login["refresh_token"] = json!(true);
    let body = anyone.post("login", login.clone()).await.expect_ok();
    notes.session(&body);
    login["password"] = json!(wrong);
    notes.refused(&anyone.post("login", login.clone()).await, 403);
    login["identifier"] = json!(first);
    notes.refused(&anyone.post("login", login.clone()).await, 400);
    login["password"] = json!({ &first: first });
    notes.refused(&anyone.post("login", login).await, 400);
    let cut = format!("{{\"type\":\"m.login.password\",\"password\":\"{first}\"");
    notes.refused(&anyone.raw(Method::POST, "login", &[], cut).await, 400);
    let in_the_path = format!("login/{first}");
    let lost = anyone.raw(Method::POST, &in_the_path, &[], "").await;
    notes.refused(&lost, 404);

    // Refreshing, and again with what is used up.
    let refresh = json!({"refresh_token": body["refresh_token"]});
    let fresh = anyone.post("refresh", refresh.clone()).await.expect_ok();
    notes.session(&fresh);
    let mut device = anyone.clone().with_session(&body);
    device.token = fresh["access_token"].as_str().map(str::to_owned);
    device.get("account/whoami").await.expect_ok();
    with_tokens_everywhere(server, &device, notes).await;
    notes.refused(&anyone.post("refresh", refresh).await, 401);

    // Changing the password, ending the account.
    let alice = anyone.clone().with_session(&alice);
    let change = |auth: Value| json!({"new_password": second, "auth": auth});
    let path = "account/password";
    let refused = alice
        .post(path, change(password_login("alice", &wrong)))
        .await;
    notes.refused(&refused, 401);
    let refused = alice.post(path, change(json!(first))).await;
    notes.refused(&refused, 400);
    let right = change(password_login("alice", &first));
    alice.post(path, right).await.expect_ok();
    let body = anyone.post("login", password_login("alice", &second)).await;
    notes.session(&body.expect_ok());
    let path = "account/deactivate";
    let auth = json!({"auth": password_login("alice", &wrong)});
    notes.refused(&alice.post(path, auth).await, 401);
    let auth = json!({"auth": password_login("alice", &second)});
    alice.post(path, auth).await.expect_ok();
    notes.refused(&alice.get("account/whoami").await, 401);
    voucher
}

/// A token where it belongs, and where it does not.
async fn with_tokens_everywhere(server: &TestServer, client: &Client, notes: &Notes) {
    let token = client.token.clone().unwrap();
    let in_query = client.with_token_in_query();
    in_query.get("account/whoami").await.expect_ok();
    in_query.get("sync?filter=%7B").await.expect_status(400);
    let both = format!("account/whoami?access_token={token}");
    notes.refused(&client.get(&both).await, 401);
    for (path, status) in [
        (format!("sync?since={token}"), 400),
        (format!("user/{token}/filter/{token}"), 400),
        (
            format!("rooms/{token}/messages?from={token}&dir={token}"),
            400,
        ),
        (format!("nowhere/{token}?access_token={token}"), 404),
        (format!("account/whoami?access_token={token}x"), 401),
    ] {
        let mut anyone = client.clone();
        if path.contains("access_token") {
            anyone.token = None;
        }
        let answer = anyone.get(&path).await;
        assert_eq!(answer.status, status, "{}", answer.describe());
    }
    // What breaks HTTP ends its connection, so it gets one of its own.
    let no_length = format!("POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: {token}\r\n\r\n");
    let mut stream = WireStream::connect(server).await;
    let answer = stream.exchange(no_length.as_bytes()).await;
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 400, "{body}");
    assert!(!body.contains(&token), "{body}");
}

#[tokio::test]
async fn a35_a36_a37_no_secret_is_in_an_error_the_log_or_the_files() {
    let server = TestServer::builder()
        .flag("--log", "trace")
        .flag("--registration", "token")
        .start()
        .await;
    let notes = Notes::default();
    let voucher = walk(&server, &notes).await;
    let running = server.stored();
    let listed = server.run(&["registration-token", "list"], "");
    assert!(listed.status.success(), "{listed:?}");
    let status = server.stop().await;
    assert!(status.success(), "{status}");
    let shown = server.run(&["config", "check"], "");
    assert!(shown.status.success(), "{shown:?}");

    let Notes { secrets, refusals } = notes;
    let (secrets, refusals) = (
        secrets.into_inner().unwrap(),
        refusals.into_inner().unwrap(),
    );
    assert!(secrets.len() > 8 && refusals.len() > 12);
    let log = server.log().join("\n");
    assert!(
        log.contains("TRACE"),
        "the log is not as chatty as it can be"
    );
    let operator = [listed.stdout, listed.stderr, shown.stdout, shown.stderr].concat();
    let stopped = server.stored();
    let alice = b"@alice:";
    assert!(stopped.windows(alice.len()).any(|it| it == alice));
    for secret in &secrets {
        let holds = |bytes: &[u8]| {
            bytes
                .windows(secret.len())
                .any(|it| it == secret.as_bytes())
        };
        for refusal in &refusals {
            assert!(!refusal.contains(secret), "{refusal}");
        }
        for line in log.lines() {
            assert!(!line.contains(secret), "{line}");
        }
        assert!(!holds(&running) && !holds(&stopped), "{secret} is stored");
        assert!(!holds(&operator), "{secret} is shown to the operator");
    }
    // The operator's own voucher is there to be listed, and nowhere else.
    for text in refusals.iter().map(String::as_str).chain(log.lines()) {
        assert!(
            !text.contains(&voucher) && !text.contains("$argon2"),
            "{text}"
        );
    }
}
