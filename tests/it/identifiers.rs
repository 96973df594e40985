//! Whose name it is: server names are compared as they are written.

use greenroom_tests::{Answer, PASSWORD, encode, shared_server};
use reqwest::Method;
use serde_json::json;

/// Names that are not `localhost`, however much they look like it.
const LOOKALIKES: [&str; 8] = [
    "LOCALHOST",
    "Localhost",
    "localhost.",
    "localhost:8448",
    "localhost:",
    "xn--localhost-",
    "l\u{43e}calhost",
    "127.0.0.1",
];

#[track_caller]
fn assert_refused(answer: &Answer) {
    let is_error = (400..500).contains(&answer.status) && answer.body["errcode"].is_string();
    assert!(is_error, "{}", answer.describe());
}

#[tokio::test]
async fn b17_a_user_of_a_server_that_looks_like_this_one_is_not_of_this_one() {
    let server = shared_server().await;
    assert_eq!(server.server_name(), "localhost");
    let alice = server.register("b17_alice").await;
    let bob = server.register("b17_bob").await;
    let alias = format!("b17-{}", alice.localpart());
    let request = json!({"room_alias_name": alias});
    let room = alice.create_room(request).await;
    let in_room = |rest: &str| format!("rooms/{}/{rest}", encode(&room));
    for name in LOOKALIKES {
        let local = alice.localpart();
        let user = format!("@{local}:{name}");
        let login = json!({
            "type": "m.login.password", "password": PASSWORD,
            "identifier": {"type": "m.id.user", "user": user},
        });
        let refused = server.anonymous().post("login", login).await;
        refused.expect_error(403, "M_FORBIDDEN");
        let user = encode(&user);
        for (method, path) in [
            (Method::GET, format!("profile/{user}")),
            (Method::PUT, format!("profile/{user}/displayname")),
            (Method::PUT, format!("user/{user}/account_data/org.example")),
            (
                Method::GET,
                format!("user/{user}/account_data/m.push_rules"),
            ),
            (Method::POST, format!("user/{user}/filter")),
            (Method::GET, format!("presence/{user}/status")),
            (Method::PUT, format!("presence/{user}/status")),
            (Method::PUT, in_room(&format!("typing/{user}"))),
            (
                Method::GET,
                format!("directory/room/{}", encode(&format!("#{alias}:{name}"))),
            ),
            (
                Method::DELETE,
                format!("directory/room/{}", encode(&format!("#{alias}:{name}"))),
            ),
            (
                Method::POST,
                format!("join/{}", encode(&format!("#{alias}:{name}"))),
            ),
        ] {
            let body = json!({
                "displayname": "x", "presence": "online", "typing": true
            });
            let answer = alice.raw(method, &path, &[], body.to_string()).await;
            assert_refused(&answer);
        }
        let other = format!("@{}:{name}", bob.localpart());
        for act in ["invite", "kick", "unban"] {
            let answer = alice.post(&in_room(act), json!({"user_id": other})).await;
            assert_refused(&answer);
        }
    }
    // Nobody was invited, and nothing of Alice's was touched.
    let synced = bob.sync("").await;
    assert!(synced["rooms"]["invite"].get(&room).is_none(), "{synced}");
    let members = alice.get(&in_room("joined_members")).await.expect_ok();
    assert_eq!(members["joined"].as_object().unwrap().len(), 1, "{members}");
    alice
        .get(&format!(
            "directory/room/{}",
            encode(&format!("#{alias}:localhost"))
        ))
        .await
        .expect_ok();
}

#[tokio::test]
async fn b17_a_server_name_follows_its_grammar() {
    let server = shared_server().await;
    let alice = server.register("b17_names").await;
    let long = format!("{}.example", "x".repeat(230));
    for (name, status) in [
        ("elsewhere.example", 404),
        ("elsewhere.example:8448", 404),
        ("1.2.3.4", 404),
        ("[2001:db8::1]:8448", 404),
        ("xn--bcher-kva.example", 404),
        (&long, 404),
        ("b\u{fc}cher.example", 400),
        ("[::g]", 400),
        ("a b", 400),
        ("a/b", 400),
        ("a:99999", 400),
        ("a:b", 400),
        ("", 400),
        ("a\0b", 400),
        (&"x".repeat(300), 400),
    ] {
        let alias = format!("directory/room/{}", encode(&format!("#tea:{name}")));
        let answer = alice.get(&alias).await;
        assert_eq!(answer.status, status, "{}", answer.describe());
        assert_refused(&answer);
    }
}
