//! What must be true of every endpoint, tried on every endpoint: whatever is sent, the answer is
//! the one that was asked for or a Matrix error, and nothing is half done.
//!
//! The list is the table in `docs/endpoints.md`, which a test of the API holds to the code.

mod addresses;
mod bodies;
mod doors;

use greenroom_tests::{Answer, Client, TestServer, encode};
use reqwest::Method;
use serde_json::{Value, json};

/// A method and a path that the server serves.
#[derive(Debug, Clone)]
struct Endpoint {
    method: Method,
    path: &'static str,
    needs_token: bool,
}

impl Endpoint {
    /// To the specification, what comes along with a GET or a DELETE is not there.
    fn takes_a_body(&self) -> bool {
        self.method == Method::PUT || self.method == Method::POST
    }

    /// Whether it is a page for people, which takes forms and answers in HTML.
    fn is_a_page(&self) -> bool {
        self.path.ends_with("/fallback/web")
    }

    /// Whether it is the newest version of its path: all versions have the same handler.
    fn is_newest(&self) -> bool {
        !self.path.starts_with("/_matrix/client/r0/")
    }

    /// The names in the path, without their braces.
    fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// Every endpoint of the client-server API.
fn endpoints() -> Vec<Endpoint> {
    let rows = include_str!("../../../docs/endpoints.md").lines();
    let endpoints: Vec<Endpoint> = rows
        .filter(|row| row.starts_with("| `"))
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
            let (method, path) = (cells.nth(1).unwrap(), cells.next().unwrap());
            Endpoint {
                method: method.parse().unwrap(),
                path,
                needs_token: cells.next().unwrap() == "token",
            }
        })
        .collect();
    assert!(endpoints.len() > 100, "{endpoints:?}");
    endpoints
}

/// A server on which nothing happens but what a test sends.
async fn quiet_server() -> TestServer {
    TestServer::builder()
        .flag("--presence", "off")
        .start()
        .await
}

/// Somebody with something that each path can name.
struct Stage {
    alice: Client,
    bob: Client,
    room: String,
    event: String,
    alias: String,
    filter: String,
}

impl Stage {
    /// A new account with a room, in which Bob is too.
    async fn set(server: &TestServer) -> Self {
        let alice = without_password(server).await;
        let bob = without_password(server).await;
        let alias = format!("tea-{}", alice.localpart());
        let request = json!({"preset": "public_chat", "room_alias_name": alias});
        let room = alice.create_room(request).await;
        bob.join(&room).await;
        let event = alice.send_text(&room, "first", "hello").await;
        let path = format!("user/{}/filter", encode(&alice.user_id));
        let filter = alice.post(&path, json!({})).await.expect_ok();
        Self {
            room,
            event,
            alias: format!("#{alias}:{}", server.server_name()),
            filter: filter["filter_id"].as_str().unwrap().to_owned(),
            alice,
            bob,
        }
    }

    /// The endpoint's path with what is there in place of its variables, or with `other` in place
    /// of one of them, which is percent-encoded already.
    fn path(&self, endpoint: &Endpoint, other: Option<(&str, &str)>) -> String {
        let mut path = endpoint.path.to_owned();
        for name in endpoint.variables() {
            let usual = || encode(self.usual(endpoint, name));
            let value = match other {
                Some((changed, value)) if changed == name => value.to_owned(),
                Some(_) | None => usual(),
            };
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        path
    }

    /// What a variable of a path usually stands for.
    fn usual(&self, endpoint: &Endpoint, name: &str) -> &str {
        let state = endpoint.path.contains("/state/");
        match name {
            "room_id" | "room_id_or_alias" => &self.room,
            "room_alias" => &self.alias,
            "user_id" => &self.alice.user_id,
            "event_id" => &self.event,
            "filter_id" => &self.filter,
            "event_type" if state => "m.room.topic",
            "event_type" => "org.example.type",
            "state_key" => "",
            "field" => "displayname",
            "tag" => "u.work",
            "txn_id" => "txn",
            "receipt_type" => "m.read",
            "kind" => "override",
            "rule_id" => ".m.rule.master",
            "rel_type" => "m.thread",
            "stage" => "m.login.registration_token",
            _ => panic!("say what {name} in {} stands for", endpoint.path),
        }
    }
}

/// Registers an account that cannot log in by password, which is quick.
async fn without_password(server: &TestServer) -> Client {
    let request = json!({"auth": {"type": "m.login.dummy"}});
    let body = server.anonymous().post("register", request).await;
    server.anonymous().with_session(&body.expect_ok())
}

/// What every answer must be that is no success.
#[track_caller]
fn assert_refused(answer: &Answer, sent: &dyn std::fmt::Debug) {
    let status = answer.status;
    let describe = || {
        let sent: String = format!("{sent:?}").chars().take(300).collect();
        format!("{sent}: {}", answer.describe())
    };
    assert!((400..500).contains(&status), "{}", describe());
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "*",
        "{}",
        describe()
    );
    if answer.header("content-type").starts_with("text/html") {
        return;
    }
    // What has to be proven is no error yet.
    if status == 401 && answer.body["flows"].is_array() {
        return;
    }
    for key in ["errcode", "error"] {
        assert!(answer.body[key].is_string(), "{}", describe());
    }
    assert!(
        answer.body["errcode"].as_str().unwrap().starts_with("M_"),
        "{}",
        describe()
    );
}

/// A success with a JSON object (or a page), or a proper refusal.
#[track_caller]
fn assert_answered(answer: &Answer, sent: &dyn std::fmt::Debug) {
    if answer.status == 200 {
        let page = answer.header("content-type").starts_with("text/html");
        let object = answer.bytes.starts_with(b"{") || answer.bytes.starts_with(b"[");
        assert!(page || object, "{}", answer.describe());
    } else {
        assert_refused(answer, sent);
    }
}

/// After all of it the server does what it should, and has complained about nothing.
async fn assert_unharmed(server: &TestServer) {
    let stage = Stage::set(server).await;
    let since = stage.bob.now().await;
    let sent = stage
        .alice
        .send_text(&stage.room, "last", "still here")
        .await;
    let seen = stage.bob.sync_since(&since).await;
    let event: &Value = &seen["rooms"]["join"][&stage.room]["timeline"]["events"][0];
    assert_eq!(event["event_id"], sent.as_str(), "{seen}");
    for line in server.log() {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        assert!(
            event["level"] != "ERROR" && !line.contains("panicked"),
            "{line}"
        );
    }
}
