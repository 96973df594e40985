//! The dance of user-interactive authentication.

use ruma::{UserId, user_id};
use serde_json::{Map, Value, json};

use crate::{
    AuthError, DUMMY, PASSWORD, Password, REGISTRATION_TOKEN, RegisterRequest, RegistrationMode,
    UiaAct, UiaAttempt, UiaChallenge, fakes::Fixture, uia,
};

const ENDPOINT: &str = "POST /account/password";

fn attempt(auth: Value) -> UiaAttempt {
    match auth {
        Value::Object(auth) => UiaAttempt(Some(auth)),
        _ => UiaAttempt(None),
    }
}

fn act(user_id: &UserId) -> UiaAct {
    UiaAct {
        user_id: Some(user_id.to_owned()),
        endpoint: ENDPOINT,
        request_hash: vec![1],
    }
}

fn with_password(session: &str, user: &str, password: &str) -> UiaAttempt {
    attempt(json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user },
        "password": password,
        "session": session,
    }))
}

fn challenge<T: std::fmt::Debug>(outcome: Result<T, AuthError>) -> UiaChallenge {
    match outcome {
        Err(AuthError::Uia(challenge)) => *challenge,
        other => panic!("no challenge but {other:?}"),
    }
}

async fn two_users() -> Fixture {
    let fixture = Fixture::new(RegistrationMode::Open);
    for (name, password) in [("alice", "alices"), ("bob", "bobs")] {
        let password = Password::new(password.to_owned()).unwrap();
        fixture
            .auth
            .create_account(name, Some(password), false)
            .await
            .unwrap();
    }
    fixture
}

#[test]
fn b52_bodies_that_mean_the_same_are_the_same_request() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let alice = user_id!("@alice:localhost");
    let hash = |body: &str| {
        let body = serde_json::from_str(body).unwrap();
        fixture.auth.uia_act(alice, ENDPOINT, &body).request_hash
    };
    assert_eq!(
        hash(r#"{"a":1,"b":{"c":[],"d":"x"}}"#),
        hash(r#"{"b":{"d":"x","c":[]},"a":1}"#)
    );
    for other in [
        r#"{"a":1,"b":{"c":[],"d":"y"}}"#,
        r#"{"a":1,"b":{"c":[],"d":null}}"#,
        "{}",
    ] {
        assert_ne!(hash(r#"{"a":1,"b":{"c":[],"d":"x"}}"#), hash(other));
    }
    // Another server's hash of the same request is another one.
    let elsewhere = Fixture::new(RegistrationMode::Open).auth;
    assert_ne!(
        elsewhere
            .uia_act(alice, ENDPOINT, &Map::default())
            .request_hash,
        hash("{}")
    );
}

#[tokio::test]
async fn the_dance_ends_with_the_act() {
    let fixture = two_users().await;
    let alice = user_id!("@alice:localhost");
    let first = challenge(fixture.auth.authorize(act(alice), &UiaAttempt(None)).await);
    assert_eq!(first.flows, [[uia::PASSWORD]]);
    assert_eq!((first.completed.len(), first.failure), (0, None));
    let right = with_password(&first.session, "alice", "alices");
    fixture.auth.authorize(act(alice), &right).await.unwrap();
    // And in one shot, without a session.
    let mut right = right;
    right.0.as_mut().unwrap().remove("session");
    fixture.auth.authorize(act(alice), &right).await.unwrap();
}

#[tokio::test]
async fn b52_a_wrong_password_may_be_tried_again_in_the_same_session() {
    let fixture = two_users().await;
    let alice = user_id!("@alice:localhost");
    let first = challenge(fixture.auth.authorize(act(alice), &UiaAttempt(None)).await);
    let wrong = with_password(&first.session, "alice", "bobs");
    let second = challenge(fixture.auth.authorize(act(alice), &wrong).await);
    assert_eq!(second.session, first.session);
    assert_eq!(second.failure.unwrap().errcode, "M_FORBIDDEN");
    let right = with_password(&first.session, "@alice:localhost", "alices");
    fixture.auth.authorize(act(alice), &right).await.unwrap();
}

#[tokio::test]
async fn a70_b52_the_right_password_of_somebody_else_proves_nothing() {
    let fixture = two_users().await;
    let alice = user_id!("@alice:localhost");
    for bad in [
        json!({ "type": "m.login.password", "password": "bobs",
                "identifier": { "type": "m.id.user", "user": "bob" } }),
        json!({ "type": "m.login.password", "password": "bobs", "user": "bob" }),
        json!({ "type": "m.login.password", "password": "alices" }),
        json!({ "type": "m.login.password",
                "identifier": { "type": "m.id.user", "user": "alice" } }),
        json!({ "type": "m.login.password", "password": "",
                "identifier": { "type": "m.id.user", "user": "alice" } }),
        json!({ "type": "m.login.password", "password": ["alices"],
                "identifier": { "type": "m.id.user", "user": ["alice"] } }),
        json!({ "type": "m.login.password" }),
    ] {
        let refused = challenge(
            fixture
                .auth
                .authorize(act(alice), &attempt(bad.clone()))
                .await,
        );
        assert!(refused.failure.is_some(), "{bad}");
    }
    let by_address = json!({ "type": "m.login.password", "password": "alices",
                "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "a@b" } });
    let refused = fixture
        .auth
        .authorize(act(alice), &attempt(by_address))
        .await;
    assert!(matches!(refused, Err(AuthError::UnknownThirdPartyId)));
    let legacy = json!({ "type": "m.login.password", "password": "alices", "user": "alice" });
    fixture
        .auth
        .authorize(act(alice), &attempt(legacy))
        .await
        .unwrap();
}

#[tokio::test]
async fn b52_a_session_is_good_for_one_user_one_endpoint_and_one_request() {
    let fixture = two_users().await;
    let (alice, bob) = (user_id!("@alice:localhost"), user_id!("@bob:localhost"));
    let session = challenge(fixture.auth.authorize(act(alice), &UiaAttempt(None)).await).session;
    let other_body = UiaAct {
        request_hash: vec![2],
        ..act(alice)
    };
    let other_endpoint = UiaAct {
        endpoint: "POST /account/deactivate",
        ..act(alice)
    };
    for (act, user, password) in [
        (other_body, "alice", "alices"),
        (other_endpoint, "alice", "alices"),
        (act(bob), "bob", "bobs"),
    ] {
        let auth = with_password(&session, user, password);
        let refused = challenge(fixture.auth.authorize(act, &auth).await);
        assert_ne!(refused.session, session);
        assert!(refused.failure.is_some());
    }
    // None of that has used it up.
    fixture
        .auth
        .authorize(act(alice), &with_password(&session, "alice", "alices"))
        .await
        .unwrap();
}

#[tokio::test]
async fn b52_a_session_is_used_once() {
    let fixture = two_users().await;
    let alice = user_id!("@alice:localhost");
    let session = challenge(fixture.auth.authorize(act(alice), &UiaAttempt(None)).await).session;
    let auth = with_password(&session, "alice", "alices");
    let (one, two) = tokio::join!(
        fixture.auth.authorize(act(alice), &auth),
        fixture.auth.authorize(act(alice), &auth)
    );
    assert!(one.is_ok() != two.is_ok());
    let replayed = challenge(fixture.auth.authorize(act(alice), &auth).await);
    assert_ne!(replayed.session, session);
}

#[tokio::test]
async fn b52_guessed_and_expired_sessions_are_refused() {
    let fixture = two_users().await;
    let alice = user_id!("@alice:localhost");
    let guessed = with_password("guessed", "alice", "alices");
    assert!(
        challenge(fixture.auth.authorize(act(alice), &guessed).await)
            .failure
            .is_some()
    );
    let session = challenge(fixture.auth.authorize(act(alice), &UiaAttempt(None)).await).session;
    fixture.clock.advance(15 * 60 * 1_000);
    let late = with_password(&session, "alice", "alices");
    let refused = challenge(fixture.auth.authorize(act(alice), &late).await);
    assert_ne!(refused.session, session);
    // Expired sessions do not pile up.
    assert_eq!(fixture.stores.uia_sessions(), 1);
}

#[tokio::test]
async fn b52_a_stage_without_a_type_or_of_another_flow_proves_nothing() {
    let fixture = two_users().await;
    let alice = user_id!("@alice:localhost");
    let session = challenge(fixture.auth.authorize(act(alice), &UiaAttempt(None)).await).session;
    for auth in [
        json!({}),
        json!({ "session": session }),
        json!({ "session": session, "password": "alices",
                "identifier": { "type": "m.id.user", "user": "alice" } }),
        json!({ "session": session, "type": "m.login.dummy" }),
        json!({ "session": session, "type": 7 }),
        json!({ "type": "m.login.dummy" }),
        json!({ "type": "m.login.registration_token", "token": "x" }),
    ] {
        let refused = challenge(
            fixture
                .auth
                .authorize(act(alice), &attempt(auth.clone()))
                .await,
        );
        assert!(refused.completed.is_empty(), "{auth}");
    }
}

#[tokio::test]
async fn stages_are_completed_in_order_and_remembered() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let token = fixture
        .auth
        .create_registration_token(Some(1), None)
        .await
        .unwrap();
    let flows = || vec![vec![uia::REGISTRATION_TOKEN, uia::DUMMY]];
    let act = UiaAct {
        user_id: None,
        endpoint: "POST /register",
        request_hash: Vec::new(),
    };
    let ask = async |auth: Value| {
        fixture
            .auth
            .authorize_by(act.clone(), &attempt(auth), flows())
            .await
    };
    let early = challenge(ask(json!({ "type": "m.login.dummy" })).await);
    assert!(early.failure.is_some());
    let auth = json!({ "type": "m.login.registration_token", "token": token });
    let half = challenge(ask(auth).await);
    assert_eq!(
        (half.completed, half.failure),
        (vec![uia::REGISTRATION_TOKEN.to_owned()], None)
    );
    // The same stage once more changes nothing, whatever is in it.
    let auth = json!({ "type": "m.login.registration_token", "session": half.session });
    let again = challenge(ask(auth).await);
    assert_eq!((again.completed.len(), again.failure), (1, None));
    // A stage of another session does not count for this one.
    let other = challenge(ask(Value::Null).await).session;
    let mixed = challenge(ask(json!({ "type": "m.login.dummy", "session": other })).await);
    assert!(mixed.completed.is_empty());
    let auth = json!({ "type": "m.login.dummy", "session": half.session });
    assert_eq!(ask(auth).await.unwrap().registration_token, Some(token));
}

#[tokio::test]
async fn a_token_proven_on_the_fallback_page_registers() {
    let fixture = Fixture::new(RegistrationMode::Token);
    let auth = &fixture.auth;
    let token = auth.create_registration_token(Some(1), None).await.unwrap();
    let register = async |proof: Value| {
        let username = Some("alice".to_owned());
        auth.register(RegisterRequest {
            username,
            auth: attempt(proof),
            ..Default::default()
        })
        .await
    };
    let session = challenge(register(Value::Null).await).session;
    let complete = async |session: &str, stage: &str, typed: &str| {
        let outcome = auth.complete_stage(session, stage, typed).await.unwrap();
        outcome.map(|outcome| outcome.is_ok())
    };
    for (session, stage) in [
        ("guessed", REGISTRATION_TOKEN),
        (&*session, DUMMY),
        (&*session, PASSWORD),
    ] {
        assert_eq!(complete(session, stage, &token).await, None, "{stage}");
    }
    assert_eq!(
        complete(&session, REGISTRATION_TOKEN, "bad").await,
        Some(false)
    );
    for _ in 0..2 {
        assert_eq!(
            complete(&session, REGISTRATION_TOKEN, &token).await,
            Some(true)
        );
    }
    register(json!({ "session": session })).await.unwrap();
    // The token is used up, and so is the session.
    assert!(!auth.registration_token_is_valid(&token).await.unwrap());
    assert_ne!(
        challenge(
            auth.register(RegisterRequest {
                username: Some("bob".to_owned()),
                auth: attempt(json!({ "session": session })),
                ..Default::default()
            })
            .await
        )
        .session,
        session
    );
}
