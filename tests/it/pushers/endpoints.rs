//! `GET /pushers` and `POST /pushers/set`.

use greenroom_tests::{PASSWORD, shared_server};
use serde_json::{Value, json};

use super::{pusher, pushers, set};

/// Nobody listens there, and nobody is sent anything here.
const URL: &str = "https://gateway.invalid/_matrix/push/v1/notify";

#[tokio::test]
async fn a_pusher_is_listed_as_it_was_set_until_a_null_kind_deletes_it() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    assert!(pushers(&alice).await.is_empty());
    let mut wanted = pusher(URL, "key\0");
    wanted["profile_tag"] = json!("tag");
    wanted["data"]["format"] = json!("event_id_only");
    wanted["data"]["custom"] = json!({"a": [1, "ü"]});
    set(&alice, wanted.clone()).await;
    assert_eq!(pushers(&alice).await, [wanted.clone()]);
    wanted["lang"] = json!("de");
    wanted.as_object_mut().unwrap().remove("profile_tag");
    set(&alice.over("r0"), wanted.clone()).await;
    assert_eq!(pushers(&alice.over("r0")).await, [wanted]);
    set(&alice, pusher(URL, "another")).await;
    assert!(pushers(&bob).await.is_empty());
    let delete = json!({"app_id": "org.example.app", "pushkey": "key\0", "kind": null});
    set(&bob, delete.clone()).await;
    assert_eq!(pushers(&alice).await.len(), 2);
    // Also when there is none any more.
    for _ in 0..2 {
        set(&alice, delete.clone()).await;
        assert_eq!(pushers(&alice).await, [pusher(URL, "another")]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_pusher_is_said() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let missing = json!({"app_id": "a", "pushkey": "k", "kind": "http"});
    let missing = alice.post("pushers/set", missing).await;
    let error = missing.expect_error(400, "M_MISSING_PARAM")["error"].to_string();
    assert!(
        error.contains("app_display_name, device_display_name, lang, data"),
        "{error}"
    );
    for (key, value, errcode) in [
        ("kind", json!("email"), "M_INVALID_PARAM"),
        ("kind", json!("x"), "M_INVALID_PARAM"),
        ("kind", json!(5), "M_BAD_JSON"),
        ("app_id", json!("x".repeat(65)), "M_INVALID_PARAM"),
        ("pushkey", json!("x".repeat(513)), "M_INVALID_PARAM"),
        ("pushkey", json!(""), "M_INVALID_PARAM"),
        ("lang", json!(["en"]), "M_BAD_JSON"),
        ("append", json!("yes"), "M_BAD_JSON"),
        ("data", json!("x"), "M_INVALID_PARAM"),
        ("data", json!({}), "M_MISSING_PARAM"),
        (
            "data",
            json!({"url": URL, "format": "x"}),
            "M_INVALID_PARAM",
        ),
    ] {
        let mut wrong = pusher(URL, "key");
        wrong[key] = value;
        alice
            .post("pushers/set", wrong)
            .await
            .expect_error(400, errcode);
    }
    let anonymous = server
        .anonymous()
        .post("pushers/set", pusher(URL, "key"))
        .await;
    anonymous.expect_error(401, "M_MISSING_TOKEN");
    server
        .anonymous()
        .get("pushers")
        .await
        .expect_error(401, "M_MISSING_TOKEN");
    assert!(pushers(&alice).await.is_empty());
}

#[tokio::test]
async fn b81_a_gateway_is_reached_by_https_under_its_one_path() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for url in [
        "http://gateway.example/_matrix/push/v1/notify",
        "https://gateway.example/_matrix/push/v1/notify/x",
        "https://gateway.example/",
        "ftp://gateway.example/_matrix/push/v1/notify",
        "file:///_matrix/push/v1/notify",
        "/_matrix/push/v1/notify",
        "",
    ] {
        let refused = alice.post("pushers/set", pusher(url, "key")).await;
        refused.expect_error(400, "M_INVALID_PARAM");
    }
    assert!(pushers(&alice).await.is_empty());
}

#[tokio::test]
async fn unless_it_is_appended_a_pusher_takes_the_place_of_others_with_its_key() {
    let server = shared_server().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut wanted = pusher(URL, &alice.user_id);
    set(&alice, wanted.clone()).await;
    wanted["append"] = json!(true);
    set(&bob, wanted.clone()).await;
    assert_eq!(
        (pushers(&alice).await.len(), pushers(&bob).await.len()),
        (1, 1)
    );
    wanted["append"] = json!(false);
    set(&bob, wanted).await;
    assert_eq!(
        (pushers(&alice).await.len(), pushers(&bob).await.len()),
        (0, 1)
    );
}

#[tokio::test]
async fn a_pusher_ends_with_the_session_that_set_it() {
    let server = shared_server().await;
    let phone = server.register("alice").await;
    let laptop = server.login(phone.localpart()).await;
    set(&phone, pusher(URL, "phone")).await;
    set(&laptop, pusher(URL, "laptop")).await;
    assert_eq!(pushers(&laptop).await.len(), 2);
    phone.post("logout", json!({})).await.expect_ok();
    assert_eq!(pushers(&laptop).await, [pusher(URL, "laptop")]);

    let tablet = server.login(phone.localpart()).await;
    let auth = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": laptop.user_id},
        "password": PASSWORD,
    });
    let change = json!({"new_password": PASSWORD, "logout_devices": true, "auth": auth});
    tablet.post("account/password", change).await.expect_ok();
    assert_eq!(pushers(&tablet).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_user_has_only_so_many_pushers() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for number in 0..100 {
        set(&alice, pusher(URL, &number.to_string())).await;
    }
    let more = alice.post("pushers/set", pusher(URL, "more")).await;
    more.expect_error(400, "M_UNKNOWN");
    set(&alice, pusher(URL, "7")).await;
}
