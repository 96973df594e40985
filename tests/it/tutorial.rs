//! The client-server how-to, line by line: over the old API as it was written, over today's,
//! and with the very `curl` lines.

use std::process::Command;

use greenroom_tests::{Client, TestServer, encode};
use serde_json::{Value, json};

/// Registers and logs in as the how-to does, by hand.
async fn account(anonymous: &Client, name: &str) -> Client {
    let request =
        json!({"username": name, "password": "wordpass", "auth": {"type": "m.login.dummy"}});
    let registered = anonymous.post("register", request).await.expect_ok();
    assert_eq!(registered["user_id"], format!("@{name}:localhost"));
    assert_eq!(registered["home_server"], "localhost");

    let flows = anonymous.get("login").await.expect_ok();
    let flows = flows["flows"].as_array().unwrap();
    assert!(
        flows.iter().any(|flow| flow["type"] == "m.login.password"),
        "{flows:?}"
    );

    let request = json!({"type": "m.login.password", "user": name, "password": "wordpass"});
    let session = anonymous.post("login", request).await.expect_ok();
    assert_eq!(session["user_id"], registered["user_id"]);
    assert_eq!(session["home_server"], "localhost");
    assert_ne!(session["access_token"], registered["access_token"]);
    anonymous.clone().with_session(&session)
}

/// The walk, with the given version of the API and way to give the token.
async fn walk(server: &TestServer, dress: impl Fn(Client) -> Client) {
    let anonymous = dress(server.anonymous());
    let example = account(&anonymous, "example").await;
    let friend = account(&anonymous, "myfriend").await;

    // Creating a room, and sending to it without a transaction id.
    let created = example
        .post("createRoom", json!({"room_alias_name": "tutorial"}))
        .await
        .expect_ok();
    assert_eq!(created["room_alias"], "#tutorial:localhost");
    let room = created["room_id"].as_str().unwrap();
    assert!(room.starts_with('!'), "{room}");
    let in_room = |rest: &str| format!("rooms/%21{}/{rest}", &room[1..]);
    let hello = json!({"msgtype": "m.text", "body": "hello"});
    let sent = example
        .post(&in_room("send/m.room.message"), hello.clone())
        .await
        .expect_ok();
    let again = example
        .post(&in_room("send/m.room.message"), hello)
        .await
        .expect_ok();
    assert_ne!(
        sent["event_id"], again["event_id"],
        "without a transaction id each POST is an act"
    );

    // The room is invite-only, alias or not.
    let by_alias = format!("join/{}", encode("#tutorial:localhost"));
    friend
        .post(&by_alias, json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");

    let invitation = json!({"user_id": friend.user_id});
    assert_eq!(
        example
            .post(&in_room("invite"), invitation)
            .await
            .expect_ok(),
        json!({})
    );
    let invited = friend.get("sync").await.expect_ok();
    let stripped = &invited["rooms"]["invite"][room]["invite_state"]["events"];
    assert!(
        stripped
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["type"] == "m.room.member")
    );

    let joined = friend.post(&in_room("join"), json!({})).await.expect_ok();
    assert_eq!(joined["room_id"], room);
    let since = friend.now().await;
    for path in [format!("join/{}", encode(room)), by_alias, in_room("join")] {
        assert_eq!(
            friend.post(&path, json!({})).await.expect_ok()["room_id"],
            room
        );
    }
    let nothing = friend
        .get(&format!("sync?since={}&timeout=0", encode(&since)))
        .await
        .expect_ok();
    assert!(
        nothing["rooms"]["join"]
            .get(room)
            .is_none_or(|it| it["timeline"]["events"] == json!([])),
        "joining twice changes nothing: {nothing}"
    );

    read(&example, &friend, room).await;
}

/// Getting events: all state, the newest event of each room, live.
async fn read(example: &Client, friend: &Client, room: &str) {
    let all = example.get("sync").await.expect_ok();
    let joined = &all["rooms"]["join"][room];
    let timeline = joined["timeline"]["events"].as_array().unwrap();
    let mut types: Vec<&str> = Vec::new();
    for event in joined["state"]["events"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(timeline)
    {
        assert!(
            event["unsigned"]["age"]
                .as_i64()
                .is_some_and(|age| age >= 0),
            "{event}"
        );
        assert!(event["origin_server_ts"].is_i64(), "{event}");
        assert!(
            event["event_id"].as_str().unwrap().starts_with('$'),
            "{event}"
        );
        types.push(event["type"].as_str().unwrap());
    }
    for wanted in [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.message",
    ] {
        assert!(types.contains(&wanted), "{wanted} is not among {types:?}");
    }
    let presence = all["presence"]["events"].as_array().unwrap();
    assert!(
        presence.iter().any(|event| event["type"] == "m.presence"),
        "{presence:?}"
    );

    let filter = encode(r#"{"room":{"timeline":{"limit":1}}}"#);
    let newest = example
        .get(&format!("sync?filter={filter}"))
        .await
        .expect_ok();
    let timeline = &newest["rooms"]["join"][room]["timeline"];
    assert_eq!(
        timeline["events"].as_array().unwrap().len(),
        1,
        "{timeline}"
    );
    assert_eq!(timeline["limited"], true);
    no_hole_behind(example, room, timeline).await;

    let since = newest["next_batch"].as_str().unwrap();
    let waiting = format!("sync?since={}&timeout=30000", encode(since));
    let (live, sent) = tokio::join!(example.get(&waiting), friend.send_text(room, "t1", "live"));
    let live = live.expect_ok();
    assert_eq!(
        live["rooms"]["join"][room]["timeline"]["events"][0]["event_id"], sent,
        "{live}"
    );
}

/// What `/messages` gives from `prev_batch` backwards ends in the event right before the timeline.
async fn no_hole_behind(client: &Client, room: &str, timeline: &Value) {
    let prev_batch = encode(timeline["prev_batch"].as_str().unwrap());
    let older = client
        .messages(room, &format!("dir=b&limit=1&from={prev_batch}"))
        .await;
    let newest_two = client.messages(room, "dir=b&limit=2").await;
    assert_eq!(
        newest_two["chunk"][0]["event_id"],
        timeline["events"][0]["event_id"]
    );
    assert_eq!(
        newest_two["chunk"][1]["event_id"],
        older["chunk"][0]["event_id"]
    );
}

#[tokio::test]
async fn the_walk_over_r0_with_the_token_in_the_query() {
    let server = TestServer::start().await;
    walk(&server, |client| client.over("r0").with_token_in_query()).await;
}

#[tokio::test]
async fn the_walk_over_v3_with_the_token_in_the_header() {
    let server = TestServer::start().await;
    walk(&server, |client| client.over("v3")).await;
}

#[tokio::test]
async fn r0_shows_the_sections_and_fields_of_its_time() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await.over("r0");
    let room = alice.create_public_room().await;
    let all = alice.sync("").await;
    let member = all["rooms"]["join"][&room]["timeline"]["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["type"] == "m.room.member")
        .expect("a short room's timeline has the creator's join");
    assert_eq!(member["membership"], "join", "{member}");
    assert!(
        all["rooms"]["join"][&room]["unread_notifications"].is_object(),
        "{all}"
    );

    let nothing = alice
        .sync(&format!("since={}", encode(&alice.now().await)))
        .await;
    for pointer in ["/account_data/events", "/presence/events"] {
        assert!(
            nothing.pointer(pointer).is_some_and(Value::is_array),
            "{pointer}: {nothing}"
        );
    }
    for pointer in ["/rooms/invite", "/rooms/join", "/rooms/leave"] {
        assert_eq!(nothing.pointer(pointer), Some(&json!({})), "{nothing}");
    }
}

/// The shell in which the how-to's lines are typed: it knows what the earlier lines answered.
struct Shell {
    base: String,
    known: Vec<(&'static str, String)>,
}

impl Shell {
    fn new(base: String) -> Self {
        Self {
            base,
            known: Vec::new(),
        }
    }

    /// From now on, this text in a line stands for that.
    fn learn(&mut self, placeholder: &'static str, meaning: &Value) {
        let meaning = meaning.as_str().expect("a string in the answer").to_owned();
        self.known.retain(|(known, _)| *known != placeholder);
        self.known.push((placeholder, meaning));
    }

    /// Types a line of the how-to and gives the answer, which must be a 200.
    fn types(&self, line: &str) -> Value {
        let mut typed = line.replace("https://localhost:8448", &self.base);
        for (placeholder, meaning) in &self.known {
            typed = typed.replace(placeholder, meaning);
        }
        // -k: the certificate is the server's own. The rest makes the status the last line.
        let typed = typed.replacen("curl", r"curl -q -k -sS -w '\n%{http_code}'", 1);
        let output = Command::new("sh")
            .args(["-c", &typed])
            .output()
            .expect("a shell");
        let stdout = String::from_utf8(output.stdout).expect("an answer in UTF-8");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let answer = stdout.rsplit_once('\n');
        let (body, status) = answer.unwrap_or_else(|| panic!("{typed}: {stdout}{stderr}"));
        assert_eq!(status, "200", "{typed}\nanswered {body}{stderr}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{typed}\n{error}: {body}"))
    }
}

/// Every `curl` line of the how-to, in order, byte for byte but for what the server itself said.
fn type_the_how_to(base: String) {
    let mut shell = Shell::new(base);
    let registered = shell.types(
        r#"curl -XPOST -d '{"username":"myfriend", "password":"wordpass", "auth": {"type":"m.login.dummy"}}' "https://localhost:8448/_matrix/client/r0/register""#,
    );
    shell.learn("FRIENDS_ACCESS_TOKEN", &registered["access_token"]);
    shell.types(
        r#"curl -XPOST -d '{"username":"example", "password":"wordpass", "auth": {"type":"m.login.dummy"}}' "https://localhost:8448/_matrix/client/r0/register""#,
    );
    let login = shell.types(r#"curl -XGET "https://localhost:8448/_matrix/client/r0/login""#);
    assert!(login["flows"].is_array(), "{login}");
    let session = shell.types(
        r#"curl -XPOST -d '{"type":"m.login.password", "user":"example", "password":"wordpass"}' "https://localhost:8448/_matrix/client/r0/login""#,
    );
    shell.learn("YOUR_ACCESS_TOKEN", &session["access_token"]);

    let created = shell.types(
        r#"curl -XPOST -d '{"room_alias_name":"tutorial"}' "https://localhost:8448/_matrix/client/r0/createRoom?access_token=YOUR_ACCESS_TOKEN""#,
    );
    assert_eq!(created["room_alias"], "#tutorial:localhost");
    let room = created["room_id"].as_str().unwrap().to_owned();
    shell.learn("asfLdzLnOdGRkdPZWu:localhost", &json!(room[1..]));
    let sent = shell.types(
        r#"curl -XPOST -d '{"msgtype":"m.text", "body":"hello"}' "https://localhost:8448/_matrix/client/r0/rooms/%21asfLdzLnOdGRkdPZWu:localhost/send/m.room.message?access_token=YOUR_ACCESS_TOKEN""#,
    );
    assert!(sent["event_id"].is_string(), "{sent}");
    shell.types(
        r#"curl -XPOST -d '{"user_id":"@myfriend:localhost"}' "https://localhost:8448/_matrix/client/r0/rooms/%21asfLdzLnOdGRkdPZWu:localhost/invite?access_token=YOUR_ACCESS_TOKEN""#,
    );
    shell.types(
        r#"curl -XPOST -d '{}' "https://localhost:8448/_matrix/client/r0/rooms/%21asfLdzLnOdGRkdPZWu:localhost/join?access_token=FRIENDS_ACCESS_TOKEN""#,
    );
    let joined = shell.types(
        r#"curl -XPOST -d '{}' "https://localhost:8448/_matrix/client/r0/join/%21asfLdzLnOdGRkdPZWu:localhost?access_token=FRIENDS_ACCESS_TOKEN""#,
    );
    assert_eq!(joined["room_id"], room);

    let all = shell.types(
        r#"curl -XGET "https://localhost:8448/_matrix/client/r0/sync?access_token=YOUR_ACCESS_TOKEN""#,
    );
    assert!(all["rooms"]["join"].get(&room).is_some(), "{all}");
    let newest = shell.types(
        r#"curl --globoff -XGET 'https://localhost:8448/_matrix/client/r0/sync?filter={"room":{"timeline":{"limit":1}}}&access_token=YOUR_ACCESS_TOKEN'"#,
    );
    let timeline = &newest["rooms"]["join"][&room]["timeline"];
    assert_eq!(
        timeline["events"].as_array().unwrap().len(),
        1,
        "{timeline}"
    );
    assert_eq!(timeline["limited"], true, "{timeline}");
    shell.learn("s9_7_0_1_1_1", &all["next_batch"]);
    let since = shell.types(
        r#"curl -XGET "https://localhost:8448/_matrix/client/r0/sync?since=s9_7_0_1_1_1&access_token=YOUR_ACCESS_TOKEN""#,
    );
    assert_eq!(since["rooms"]["invite"], json!({}), "{since}");
    shell.learn("s9_13_0_1_1_1", &since["next_batch"]);
    let nothing = shell.types(
        r#"curl -XGET "https://localhost:8448/_matrix/client/r0/sync?since=s9_13_0_1_1_1&access_token=YOUR_ACCESS_TOKEN""#,
    );
    assert_eq!(
        nothing["rooms"],
        json!({"invite": {}, "join": {}, "leave": {}}),
        "{nothing}"
    );
}

#[tokio::test]
async fn the_curl_lines_run_as_they_stand_over_tls() {
    let server = TestServer::builder().tls().start().await;
    type_the_how_to(server.tls_url().expect("a TLS listener"));
}

#[tokio::test]
async fn the_curl_lines_run_as_they_stand_over_http() {
    let server = TestServer::start().await;
    type_the_how_to(server.url());
}
