//! What every server answers whoever asks, and how it starts and stops.

use greenroom_tests::{Answer, TestServer, WireStream, encode, shared_server};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn versions_name_the_old_api_and_the_new_one() {
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
    for wanted in ["r0.6.1", "v1.1", "v1.3"] {
        assert!(
            versions.contains(&wanted),
            "{wanted} is not among {versions:?}"
        );
    }
}

#[tokio::test]
async fn the_well_known_file_leads_a_client_to_the_server() {
    let server = shared_server().await;
    let answer = server.anonymous().get("/.well-known/matrix/client").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let body = answer.expect_ok();
    let base_url = body["m.homeserver"]["base_url"].as_str().unwrap();
    assert!(base_url.starts_with("http"), "{base_url}");
}

#[tokio::test]
async fn b64_what_is_not_there_is_404_unrecognized() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let paths = [
        "/nothing",
        "/_matrix",
        "/_matrix/",
        "/_matrix/nothing",
        "/_matrix/client",
        "/_matrix/client/",
        "/_matrix/client/v3",
        "/_matrix/client/v3/nothing",
        "/_matrix/client/v99/sync",
        "/_matrix/client/v2_alpha/sync",
        "/_matrix/client/v3/rooms",
        "/_matrix/client/v3/sync/deeper",
        "/_matrix/client/v3/rooms/%21a/nothing",
        "/_matrix/client/r0/%00",
        "/_matrix/client/r0/%ff%fe",
    ];
    for path in paths {
        for client in [&server.anonymous(), &alice] {
            let answer = client.get(path).await;
            assert_eq!(
                answer.header("content-type"),
                "application/json",
                "{}",
                answer.describe()
            );
            answer.expect_error(404, "M_UNRECOGNIZED");
        }
        alice
            .post(path, json!({}))
            .await
            .expect_error(404, "M_UNRECOGNIZED");
    }
}

#[tokio::test]
async fn b64_a_wrong_method_is_405_unrecognized() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let requests = [
        (Method::DELETE, "/_matrix/client/versions"),
        (Method::POST, "/_matrix/client/v3/sync"),
        (Method::PUT, "/_matrix/client/r0/sync"),
        (Method::DELETE, "/_matrix/client/v3/login"),
        (Method::PATCH, "/_matrix/client/v3/login"),
        (Method::GET, "/_matrix/client/v3/createRoom"),
        (
            Method::GET,
            "/_matrix/client/v3/rooms/%21a/send/m.room.message/t1",
        ),
        (
            Method::POST,
            "/_matrix/client/v3/rooms/%21a/state/m.room.topic",
        ),
    ];
    for (method, path) in requests {
        for client in [&server.anonymous(), &alice] {
            let answer = client.raw(method.clone(), path, &[], "").await;
            answer.expect_error(405, "M_UNRECOGNIZED");
        }
    }
}

fn assert_cors(answer: &Answer) {
    let describe = || format!("{}: {:?}", answer.describe(), answer.headers);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "*",
        "{}",
        describe()
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        "",
        "{}",
        describe()
    );
    for (header, wanted) in [
        (
            "access-control-allow-methods",
            &["GET", "POST", "PUT", "DELETE", "OPTIONS"] as &[&str],
        ),
        (
            "access-control-allow-headers",
            &["X-Requested-With", "Content-Type", "Authorization"],
        ),
    ] {
        let found: Vec<String> = answer
            .header(header)
            .split(',')
            .map(|it| it.trim().to_ascii_lowercase())
            .collect();
        for name in wanted {
            assert!(
                found.contains(&name.to_ascii_lowercase()),
                "{name}: {}",
                describe()
            );
        }
    }
}

#[tokio::test]
async fn b65_options_works_everywhere_and_asks_for_nothing() {
    let server = shared_server().await;
    let paths = [
        "/_matrix/client/versions",
        "/.well-known/matrix/client",
        "/_matrix/client/r0/sync",
        "/_matrix/client/v3/sync",
        "/_matrix/client/v3/sync?since=nonsense&access_token=nonsense",
        "/_matrix/client/v3/register",
        "/_matrix/client/v3/createRoom",
        "/_matrix/client/v3/rooms/nonsense/send/m.room.message/t1",
        "/_matrix/client/v3/user/nonsense/filter",
        "/_matrix/client/v3/nothing",
        "/nothing",
    ];
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PUT"),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    for path in paths {
        for headers in [&preflight[..], &[("authorization", "Bearer nonsense")], &[]] {
            let answer = server
                .anonymous()
                .raw(Method::OPTIONS, path, headers, "")
                .await;
            assert!(matches!(answer.status, 200 | 204), "{}", answer.describe());
            assert_cors(&answer);
        }
    }
}

#[tokio::test]
async fn b65_errors_have_the_cors_headers_too() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let origin = [("origin", "https://app.example")];
    let answers = [
        server
            .anonymous()
            .raw(Method::GET, "sync", &origin, "")
            .await,
        server
            .anonymous()
            .raw(Method::GET, "nothing", &origin, "")
            .await,
        server
            .anonymous()
            .raw(Method::DELETE, "sync", &origin, "")
            .await,
        alice
            .raw(Method::POST, "createRoom", &origin, "not JSON")
            .await,
        alice
            .raw(Method::GET, "sync?since=nonsense", &origin, "")
            .await,
    ];
    for (answer, status) in answers.into_iter().zip([401, 404, 405, 400, 400]) {
        assert_eq!(answer.status, status, "{}", answer.describe());
        assert_cors(&answer);
    }
}

#[tokio::test]
async fn a_token_is_asked_for_and_must_be_known() {
    let server = shared_server().await;
    let mut nobody = server.anonymous();
    nobody
        .get("sync")
        .await
        .expect_error(401, "M_MISSING_TOKEN");
    nobody.token = Some("nonsense".to_owned());
    nobody
        .get("sync")
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
    let alice = server.register("alice").await.with_token_in_query();
    alice.get("account/whoami").await.expect_ok();
    let both = [("authorization", "Bearer nonsense")];
    let answer = alice.raw(Method::GET, "account/whoami", &both, "").await;
    answer.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn health_says_the_server_lives_and_is_ready() {
    let server = shared_server().await;
    for path in ["/health/live", "/health/ready"] {
        let answer = server.anonymous().get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.describe());
    }
}

#[tokio::test]
async fn the_first_line_says_what_a_newcomer_needs() {
    let server = TestServer::builder().tls().start().await;
    let ready = server.ready();
    assert!(server.url().starts_with("http://127.0.0.1:"), "{ready}");
    assert!(server.tls_url().unwrap().starts_with("https://"), "{ready}");
    assert_eq!(ready["server_name"], "localhost", "{ready}");
    assert!(ready["database"].is_string(), "{ready}");
    assert!(
        ready["create_user"]
            .as_str()
            .unwrap()
            .contains("greenroom user create"),
        "{ready}"
    );
    let app = ready["app"].as_str().unwrap();
    let page = server
        .anonymous()
        .get(app.trim_start_matches(&server.url()))
        .await;
    assert_eq!(page.status, 200, "{}", page.describe());
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{}",
        page.describe()
    );
}

#[tokio::test]
async fn a_graceful_stop_answers_the_parked_sync_and_exits_with_success() {
    // With one worker, whatever it has answered on one connection came after what it had been
    // sent on another before: that is how the test knows that the sync is in its hands.
    let server = TestServer::builder().flag("--workers", "1").start().await;
    let alice = server.register("alice").await;
    let since = alice.now().await;
    let token = alice.token.as_deref().unwrap();

    let mut parked = WireStream::connect(&server).await;
    let ask = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let warm = parked
        .exchange(ask("/_matrix/client/versions").as_bytes())
        .await;
    assert_eq!(warm.status, 200);
    let long = format!(
        "/_matrix/client/v3/sync?since={}&timeout=600000",
        encode(&since)
    );
    parked.write(ask(&long).as_bytes()).await.unwrap();
    for _ in 0..5 {
        alice.get("account/whoami").await.expect_ok();
    }

    server.ask_to_stop();
    let answer = parked
        .read()
        .await
        .expect("an answer before the connection is closed");
    assert_eq!(answer.status, 200);
    assert!(answer.json()["next_batch"].is_string(), "{}", answer.json());
    let status = server.exited().await;
    assert!(status.success(), "{status}");
    // On SQLite everything is in the one file now.
    assert!(!server.data_dir().join("greenroom.db-wal").exists());
    alice
        .attempt(Method::GET, "account/whoami", &[], "")
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_second_start_on_the_same_data_finds_everything() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice
        .create_room(json!({"name": "Tea", "preset": "public_chat"}))
        .await;
    bob.join(&room).await;
    let since = bob.now().await;
    let first = alice.send_text(&room, "t1", "before the stop").await;

    let status = server.stop().await;
    assert!(status.success(), "{status}");
    server.restart().await;

    // The sessions are still good, the transaction id is still known, nobody missed anything.
    assert_eq!(alice.send_text(&room, "t1", "before the stop").await, first);
    let synced = bob.sync_since(&since).await;
    let timeline = &synced["rooms"]["join"][&room]["timeline"];
    assert_eq!(
        timeline["events"].as_array().unwrap().len(),
        1,
        "{timeline}"
    );
    assert_eq!(timeline["events"][0]["event_id"], first);
    let name = bob.state(&room, "m.room.name", "").await.expect_ok();
    assert_eq!(name["name"], "Tea");
    let again = server.login(alice.localpart()).await;
    assert_eq!(again.user_id, alice.user_id);

    // And so after a death without notice.
    let second = alice.send_text(&room, "t2", "before the kill").await;
    server.kill9().await;
    server.restart().await;
    let page = bob.messages(&room, "dir=b&limit=2").await;
    let ids: Vec<&str> = page["chunk"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [second, first]);
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(
        &garbage,
        "this is no database, however long it is looked at",
    )
    .unwrap();
    let garbage = format!("sqlite:{}", garbage.display());
    let read_only = folder.path().join("read-only.db");
    std::fs::write(&read_only, "").unwrap();
    // As under a read-only mount.
    let read_only = format!("sqlite:file:{}?mode=ro", read_only.display());
    let cases = [
        ("--metrics-listen", &*address, &["choose another port"][..]),
        ("--database-url", &*garbage, &["not a database", "backup"]),
        ("--database-url", &*read_only, &["readonly", "must belong"]),
    ];
    for (flag, value, advice) in cases {
        let output = greenroom_tests::greenroom()
            .args(["serve", "--listen", "127.0.0.1:0", "--tls-listen", "off"])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .args([flag, value])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let said = said.lines().last().unwrap_or_default();
        assert!(said.starts_with("greenroom: "), "{said}");
        for wanted in advice.iter().chain([&value]) {
            assert!(said.contains(wanted), "{wanted:?} is not in {said}");
        }
    }
}

#[tokio::test]
async fn when_a_write_fails_nothing_is_acknowledged_any_more_and_nothing_acknowledged_is_lost() {
    let server = TestServer::builder().prelude("trap '' XFSZ").start().await;
    if server.is_on_postgres() {
        // Its disk is its own.
        return;
    }
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let log = server.data_dir().join("greenroom.db-wal");
    // As a disk that takes no more, and is not full.
    server.limit_file_size(std::fs::metadata(log).unwrap().len() + 200_000);
    let mut acknowledged = Vec::new();
    loop {
        let text = format!("message {}", acknowledged.len());
        let path = format!(
            "/_matrix/client/v3/rooms/{}/send/m.room.message/t{}",
            encode(&room),
            acknowledged.len()
        );
        let body = json!({"msgtype": "m.text", "body": text}).to_string();
        match alice.attempt(Method::PUT, &path, &[], body).await {
            Ok(answer) if answer.status == 200 => acknowledged.push(text),
            _ => break,
        }
    }
    assert_eq!(server.exited().await.code(), Some(74));
    assert!(!acknowledged.is_empty());
    server.restart().await;
    let alice = server.login(alice.localpart()).await;
    let page = alice.messages(&room, "dir=f&limit=1000").await;
    let bodies = page["chunk"].as_array().unwrap().iter();
    let mut kept: Vec<&str> = bodies
        .filter_map(|event| event["content"]["body"].as_str())
        .collect();
    // What was on its way when it failed may be there, or not.
    kept.truncate(acknowledged.len());
    assert_eq!(kept, acknowledged);
}
