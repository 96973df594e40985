//! What an operator types while the server runs, and while it does not.

use std::{fs, process::Output};

use greenroom_tests::{Client, PASSWORD, TestServer};
use serde_json::{Value, json};

/// What a command printed, which must have succeeded.
#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Why a command was refused: with exit code 1, in one line, and with nothing printed as a result.
#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let reason = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(reason.starts_with("greenroom: "), "{reason}");
    assert_eq!(reason.lines().count(), 1, "{reason}");
    reason
}

async fn login(server: &TestServer, user: &str, password: &str) -> Client {
    let request = json!({"type": "m.login.password", "user": user, "password": password});
    let session = server.anonymous().post("login", request).await.expect_ok();
    server.anonymous().with_session(&session)
}

/// The password that a command chose and printed.
#[track_caller]
fn chosen_password(printed: &str) -> &str {
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("password: "));
    line.unwrap_or_else(|| panic!("no password in {printed}"))
}

#[tokio::test]
async fn an_account_made_while_the_server_runs_can_log_in_at_once() {
    let server = TestServer::start().await;
    let printed = done(&server.run(&["user", "create", "alice"], ""));
    assert!(printed.contains("@alice:localhost"), "{printed}");
    let alice = login(&server, "alice", chosen_password(&printed)).await;
    assert_eq!(alice.user_id, "@alice:localhost");

    let input = format!("{PASSWORD}\n");
    let printed = done(&server.run(&["user", "create", "bob", "--password-stdin"], &input));
    assert!(!printed.contains(PASSWORD), "{printed}");
    server.login("bob").await;

    let log = server.log().join("\n");
    assert!(!log.contains(PASSWORD), "a password is in the log");
    assert!(log.contains("@bob:localhost"), "{log}");
}

#[tokio::test]
async fn a_new_password_ends_every_session_at_once_and_the_next_login_needs_it() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    // The server now knows this token by heart.
    alice.get("account/whoami").await.expect_ok();

    let printed = done(&server.run(&["user", "reset-password", alice.localpart()], ""));
    alice
        .get("account/whoami")
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
    let old = json!({"type": "m.login.password", "user": alice.localpart(), "password": PASSWORD});
    server
        .anonymous()
        .post("login", old)
        .await
        .expect_error(403, "M_FORBIDDEN");
    login(&server, alice.localpart(), chosen_password(&printed)).await;
}

#[tokio::test]
async fn a_deactivated_account_is_logged_out_and_leaves_its_rooms() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    for guest in [&bob, &carol] {
        guest
            .post(
                &format!("join/{}", greenroom_tests::encode(&room)),
                json!({}),
            )
            .await
            .expect_ok();
    }

    done(&server.run(&["user", "deactivate", &bob.user_id], ""));
    bob.get("account/whoami")
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(joined(&alice, &room).await, 2);

    // The same without a server.
    server.stop().await;
    done(&server.run(&["user", "deactivate", carol.localpart()], ""));
    server.restart().await;
    carol
        .get("account/whoami")
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(joined(&alice, &room).await, 1);
    refused(&server.run(&["user", "deactivate", carol.localpart()], ""));
}

async fn joined(client: &Client, room: &str) -> usize {
    let path = format!("rooms/{}/joined_members", greenroom_tests::encode(room));
    let members = client.get(&path).await.expect_ok();
    members["joined"].as_object().unwrap().len()
}

/// The dance of a registration with a token.
async fn register_with(server: &TestServer, token: &str, name: &str) -> (u16, Value) {
    let mut body = json!({"username": name, "password": PASSWORD});
    let challenge = server
        .anonymous()
        .post("register", body.clone())
        .await
        .expect_status(401);
    body["auth"] = json!({
        "type": "m.login.registration_token",
        "token": token,
        "session": challenge["session"],
    });
    let answer = server.anonymous().post("register", body).await;
    let status = answer.status;
    (status, answer.expect_status(status))
}

#[tokio::test]
async fn registration_tokens_count_from_the_moment_they_are_made_until_they_are_revoked() {
    let server = TestServer::builder()
        .flag("--registration", "token")
        .start()
        .await;
    let printed = done(&server.run(&["registration-token", "create", "--uses", "2"], ""));
    let token = printed.trim();
    assert_eq!(printed, format!("{token}\n"), "the token alone");
    let (status, body) = register_with(&server, token, "alice").await;
    assert_eq!(status, 200, "{body}");

    let list = done(&server.run(&["registration-token", "list"], ""));
    assert!(
        list.contains(&format!("{token}  used 1 of 2  expires never")),
        "{list}"
    );

    done(&server.run(&["registration-token", "revoke", token], ""));
    let (status, body) = register_with(&server, token, "bob").await;
    assert_eq!(status, 401, "{body}");
    let reason = refused(&server.run(&["registration-token", "revoke", token], ""));
    assert!(reason.contains(token), "{reason}");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_its_reason_whether_the_server_runs_or_not() {
    let server = TestServer::start().await;
    done(&server.run(&["user", "create", "alice"], ""));
    let long = "x".repeat(300);
    let wrong: &[(&[&str], &str, &str)] = &[
        (&["user", "create", "alice"], "", "taken"),
        (&["user", "create", "al ice"], "", "not a valid username"),
        (&["user", "create", ""], "", "empty"),
        (&["user", "create", &long], "", "not a valid username"),
        (
            &["user", "create", "bob", "--password-stdin"],
            "\n",
            "password",
        ),
        (
            &["user", "create", "bob", "--password-stdin"],
            "",
            "password",
        ),
        (&["user", "reset-password", "nobody"], "", "nobody"),
        (
            &["user", "reset-password", "@alice:elsewhere.org"],
            "",
            "@alice:elsewhere.org",
        ),
        (&["user", "deactivate", "nobody"], "", "nobody"),
        (&["registration-token", "revoke", "nothing"], "", "nothing"),
    ];
    let reasons = || -> Vec<String> {
        wrong
            .iter()
            .map(|(command, input, expected)| {
                let reason = refused(&server.run(command, input));
                assert!(reason.contains(expected), "{command:?}: {reason}");
                reason
            })
            .collect()
    };
    let running = reasons();
    server.stop().await;
    assert_eq!(running, reasons());
}

#[tokio::test]
async fn the_database_can_be_looked_at_under_a_running_server() {
    let server = TestServer::start().await;
    for command in ["migrate", "check"] {
        done(&server.run(&["db", command], ""));
    }
    server.register("alice").await;
    server.stop().await;
    for command in ["migrate", "check"] {
        done(&server.run(&["db", command], ""));
    }
}

#[tokio::test]
async fn the_database_and_the_signing_key_are_all_that_a_backup_needs() {
    let server = TestServer::start().await;
    if server.is_on_postgres() {
        // There the database is its own tools' to copy.
        return;
    }
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    alice.send_text(&room, "one", "before the backup").await;
    let since = alice.now().await;
    server.stop().await;

    let folder = tempfile::tempdir().unwrap();
    for file in ["greenroom.db", "signing.key"] {
        fs::copy(server.data_dir().join(file), folder.path().join(file)).unwrap();
    }
    let restored = TestServer::builder().data_dir(folder.path()).start().await;
    done(&restored.run(&["db", "check"], ""));
    let alice = restored.login(alice.localpart()).await;
    assert_eq!(
        alice.messages(&room, "dir=b&limit=1").await["chunk"][0]["content"]["body"],
        "before the backup"
    );
    // What the client had is where it goes on.
    alice.send_text(&room, "two", "after it").await;
    let news = alice.sync_since(&since).await;
    assert_eq!(
        news["rooms"]["join"][&room]["timeline"]["events"][0]["content"]["body"],
        "after it"
    );
}

#[tokio::test]
async fn commands_work_after_the_server_was_killed_and_after_it_came_back() {
    let server = TestServer::start().await;
    let socket = server.data_dir().join("control.sock");
    assert!(socket.exists());
    server.kill9().await;
    assert!(socket.exists(), "what this test is about");
    done(&server.run(&["user", "create", "alice"], ""));
    server.restart().await;
    done(&server.run(&["user", "create", "bob"], ""));
    for user in ["alice", "bob"] {
        refused(&server.run(&["user", "create", user], ""));
    }
    server.stop().await;
    assert!(!socket.exists(), "a graceful end leaves nothing behind");
}

#[tokio::test]
async fn a_data_directory_deeper_than_a_socket_path_is_long_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a-folder-in-a-folder/".repeat(8));
    let server = TestServer::builder().data_dir(&deep).start().await;
    let printed = done(&server.run(&["user", "create", "alice"], ""));
    login(&server, "alice", chosen_password(&printed)).await;
}

#[tokio::test]
async fn commands_that_come_at_once_wait_for_each_other() {
    let server = TestServer::start().await;
    let all_at_once = |names: &[&str]| {
        std::thread::scope(|scope| {
            let running: Vec<_> = names
                .iter()
                .map(|name| scope.spawn(|| server.run(&["user", "create", *name], "")))
                .collect();
            for command in running {
                done(&command.join().unwrap());
            }
        });
    };
    all_at_once(&["anna", "berta", "cora"]);
    server.stop().await;
    all_at_once(&["dora", "emma", "frida"]);
}

#[tokio::test]
async fn nonsense_on_the_control_socket_is_refused_and_changes_nothing() {
    use std::io::{Read, Write};
    let server = TestServer::start().await;
    let socket = server.data_dir().join("control.sock");
    let say = |words: &[u8]| {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        // Of what is too long the server reads no more than it must, and may be gone before all is said.
        let _closed = stream.write_all(words);
        let _closed = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _closed = stream.read_to_string(&mut answer);
        answer
    };
    let secret = br#"{"create_user":{"name":"mallory","password":"hunter2"}}"#;
    for words in [
        &b"nonsense\n"[..],
        b"{}\n",
        b"\xff\n",
        b"null\n",
        &[&secret[..], b"\n"].concat(),
    ] {
        let answer = say(words);
        assert!(answer.starts_with(r#"{"refused":"#), "{answer}");
        assert!(!answer.contains("hunter2"), "{answer}");
    }
    // A command that is not all there is none, even if it could be read.
    for words in [
        &b""[..],
        br#"{"create_user":{"name":"mallory","password":"hunter2","admin":true}}"#,
        &b" ".repeat(100_000),
    ] {
        assert_eq!(say(words), "");
    }
    done(&server.run(&["user", "create", "mallory"], ""));
    assert!(!server.log().join("\n").contains("hunter2"));
}

#[test]
fn the_configuration_can_be_read_by_who_does_not_read_to_the_end() {
    // As in `greenroom config check | head -1`, which is gone before all is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = greenroom_tests::greenroom()
        .args(["config", "check"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_result_that_cannot_be_printed_is_said_to_be_so() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = greenroom_tests::greenroom()
        .args(["config", "check"])
        .stdout(full)
        .output()
        .unwrap();
    assert!(refused(&output).contains("could not print"), "{output:?}");
}
