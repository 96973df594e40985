//! Registering, logging in, refreshing, ending sessions.

use std::{sync::Arc, time::Duration};

use greenroom_model::StreamPosition;
use greenroom_stream::{Change, ChangeKind, ChangeObserver};
use ruma::{device_id, user_id};
use serde_json::{Value, json};

use crate::{
    AuthError, AuthService, DeviceRequest, Identifier, LoggedIn, LoginRequest, Password,
    RegisterRequest, RegistrationMode, UiaAttempt, fakes::Fixture,
};

fn attempt(auth: Value) -> UiaAttempt {
    match auth {
        Value::Object(auth) => UiaAttempt(Some(auth)),
        _ => UiaAttempt(None),
    }
}

fn dummy() -> UiaAttempt {
    attempt(json!({ "type": "m.login.dummy" }))
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

fn wish(username: &str) -> RegisterRequest {
    RegisterRequest {
        username: Some(username.to_owned()),
        password: Some(password("wordpass")),
        auth: dummy(),
        ..Default::default()
    }
}

async fn log_in(auth: &AuthService, name: &str, text: &str) -> Result<LoggedIn, AuthError> {
    let device = DeviceRequest::default();
    let identifier = Identifier::User(name.to_owned());
    auth.login(LoginRequest {
        identifier,
        password: password(text),
        device,
    })
    .await
}

async fn is_known(auth: &AuthService, session: &LoggedIn) -> bool {
    auth.sessions()
        .authenticate(&session.access_token.clone().reveal())
        .await
        .is_ok()
}

#[tokio::test]
async fn an_account_is_registered_with_its_first_session() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let registered = fixture.auth.register(wish("Alice")).await.unwrap();
    assert_eq!(registered.user_id, "@alice:localhost");
    let session = registered.session.unwrap();
    let token = session.access_token.clone().reveal();
    let who = fixture.auth.sessions().authenticate(&token).await.unwrap();
    assert_eq!(
        (&who.user_id, &who.device_id),
        (&registered.user_id, &session.device_id)
    );
    assert_eq!((session.refresh_token, session.expires_in), (None, None));
    let hash = fixture
        .stores
        .password_hash(user_id!("@alice:localhost"))
        .unwrap();
    assert!(hash.starts_with("$argon2id$") && !hash.contains("wordpass"));
}

#[tokio::test]
async fn b58_without_a_login_there_is_no_session() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let request = RegisterRequest {
        inhibit_login: true,
        ..wish("alice")
    };
    assert!(
        fixture
            .auth
            .register(request)
            .await
            .unwrap()
            .session
            .is_none()
    );
    assert!(log_in(&fixture.auth, "alice", "wordpass").await.is_ok());
}

#[tokio::test]
async fn b58_a_closed_server_registers_nobody_and_says_so_first() {
    let fixture = Fixture::new(RegistrationMode::Closed);
    let refused = fixture.auth.register(wish("@bad name")).await;
    assert!(matches!(refused, Err(AuthError::RegistrationClosed)));
    assert!(
        fixture
            .auth
            .create_account("alice", None, true)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn who_asks_for_no_name_is_given_one() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let request = RegisterRequest {
        username: None,
        password: None,
        auth: dummy(),
        ..wish("")
    };
    let registered = fixture.auth.register(request).await.unwrap();
    assert_eq!(registered.user_id.localpart().len(), 12);
    let refused = log_in(&fixture.auth, registered.user_id.localpart(), "x").await;
    assert!(matches!(refused, Err(AuthError::WrongCredentials)));
}

#[tokio::test]
async fn b15_names_are_checked_before_anything_has_to_be_proven() {
    let fixture = Fixture::new(RegistrationMode::Open);
    fixture.auth.register(wish("alice")).await.unwrap();
    let ask = async |name: &str| {
        let request = RegisterRequest {
            auth: UiaAttempt(None),
            ..wish(name)
        };
        fixture.auth.register(request).await.unwrap_err()
    };
    assert!(matches!(ask("ALICE").await, AuthError::UsernameTaken));
    assert!(matches!(ask("a lice").await, AuthError::UsernameInvalid(_)));
    assert!(matches!(ask("server").await, AuthError::UsernameReserved));
    assert!(matches!(ask("bob").await, AuthError::Uia(_)));
    assert!(matches!(
        fixture.auth.username_is_available("Alice").await,
        Err(AuthError::UsernameTaken)
    ));
    assert!(fixture.auth.username_is_available("bob").await.is_ok());
}

#[tokio::test]
async fn b57_one_token_for_one_account_makes_one_account_however_many_race() {
    let fixture = Arc::new(Fixture::new(RegistrationMode::Token));
    let token = fixture
        .auth
        .create_registration_token(Some(1), None)
        .await
        .unwrap();
    let racers = (0..20).map(|number| {
        let (fixture, token) = (Arc::clone(&fixture), token.clone());
        tokio::spawn(async move {
            let auth = json!({ "type": "m.login.registration_token", "token": token });
            let name = format!("racer{number}");
            let request = RegisterRequest {
                password: None,
                auth: attempt(auth),
                ..wish(&name)
            };
            fixture.auth.register(request).await.is_ok()
        })
    });
    let mut made = 0;
    for racer in racers.collect::<Vec<_>>() {
        made += usize::from(racer.await.unwrap());
    }
    assert_eq!((made, fixture.stores.accounts()), (1, 1));
}

#[tokio::test]
async fn b49_nobody_learns_whether_a_user_exists() {
    let fixture = Fixture::new(RegistrationMode::Open);
    fixture.auth.register(wish("alice")).await.unwrap();
    for (name, text) in [
        ("alice", "wrong"),
        ("bob", "wordpass"),
        ("@alice:elsewhere", "wordpass"),
    ] {
        let refused = log_in(&fixture.auth, name, text).await.unwrap_err();
        assert!(matches!(refused, AuthError::WrongCredentials), "{name}");
    }
    for name in ["alice", "ALICE", "@alice:localhost", "@Alice:localhost"] {
        assert!(
            log_in(&fixture.auth, name, "wordpass").await.is_ok(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_case_variant_is_counted_for_the_same_account() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let counted = |name: &str| fixture.auth.counted_for(&Identifier::User(name.to_owned()));
    assert_eq!(counted("ALICE"), counted("@alice:localhost"));
    assert_eq!(fixture.auth.counted_for(&Identifier::Unknown), None);
}

#[tokio::test]
async fn logging_in_on_the_same_device_again_ends_the_old_token() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let device = DeviceRequest {
        device_id: Some("PHONE".into()),
        ..Default::default()
    };
    let first = fixture.auth.register(RegisterRequest {
        device: device.clone(),
        ..wish("alice")
    });
    let first = first.await.unwrap().session.unwrap();
    assert!(is_known(&fixture.auth, &first).await);
    let identifier = Identifier::User("alice".to_owned());
    let request = LoginRequest {
        identifier,
        password: password("wordpass"),
        device,
    };
    let second = fixture.auth.login(request).await.unwrap();
    assert_eq!(second.device_id, "PHONE");
    assert!(!is_known(&fixture.auth, &first).await);
    assert!(is_known(&fixture.auth, &second).await);
}

#[tokio::test]
async fn a_device_id_has_bounds() {
    let fixture = Fixture::new(RegistrationMode::Open);
    for bad in ["", "a\0b", "a\nb", &"x".repeat(256)] {
        let device = DeviceRequest {
            device_id: Some(bad.into()),
            ..Default::default()
        };
        let refused = fixture
            .auth
            .register(RegisterRequest {
                device,
                ..wish("alice")
            })
            .await;
        assert!(
            matches!(refused, Err(AuthError::DeviceIdInvalid)),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_was_logged_out_is_dead_at_once() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let one = fixture
        .auth
        .register(wish("alice"))
        .await
        .unwrap()
        .session
        .unwrap();
    let two = log_in(&fixture.auth, "alice", "wordpass").await.unwrap();
    assert!(is_known(&fixture.auth, &one).await && is_known(&fixture.auth, &two).await);
    fixture
        .auth
        .logout(&one.user_id, &one.device_id)
        .await
        .unwrap();
    assert!(!is_known(&fixture.auth, &one).await);
    assert!(is_known(&fixture.auth, &two).await);
    fixture.auth.logout_all(&one.user_id).await.unwrap();
    assert!(!is_known(&fixture.auth, &two).await);
}

#[tokio::test]
async fn an_announced_end_of_sessions_empties_the_cache() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let session = fixture
        .auth
        .register(wish("alice"))
        .await
        .unwrap()
        .session
        .unwrap();
    assert!(is_known(&fixture.auth, &session).await);
    // Ended behind the service's back, as by another part of the server.
    let devices: &dyn greenroom_storage::DeviceStore = &*fixture.stores;
    devices.delete_devices(&session.user_id).await.unwrap();
    assert!(
        is_known(&fixture.auth, &session).await,
        "the cache is not used at all"
    );
    let kind = ChangeKind::SessionsEnded {
        user_id: session.user_id.clone(),
        device_id: None,
    };
    fixture.auth.sessions().changed(&[Change {
        position: StreamPosition(1),
        kind,
    }]);
    assert!(!is_known(&fixture.auth, &session).await);
}

#[tokio::test]
async fn b54_a_refreshed_token_replaces_the_old_pair_once_it_is_used() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let auth = &fixture.auth;
    let device = DeviceRequest {
        refresh_token: true,
        ..Default::default()
    };
    let first = auth
        .register(RegisterRequest {
            device,
            ..wish("alice")
        })
        .await
        .unwrap();
    let first = first.session.unwrap();
    assert_eq!(first.expires_in, Some(Duration::from_hours(1)));
    assert!(is_known(auth, &first).await);

    fixture.clock.advance(3_600_000);
    let token = first.access_token.clone().reveal();
    let expired = auth.sessions().authenticate(&token).await.unwrap_err();
    assert!(matches!(expired, AuthError::ExpiredToken));

    let old = first.refresh_token.unwrap().reveal();
    let lost = auth.refresh(&old).await.unwrap();
    // The answer was lost: the client asks again with the old token.
    let second = auth.refresh(&old).await.unwrap();
    assert!(!is_known(auth, &lost).await);
    assert!(is_known(auth, &second).await);
    // Used: now the old one is dead.
    assert!(matches!(
        auth.refresh(&old).await,
        Err(AuthError::UnknownRefreshToken)
    ));
    let third = auth
        .refresh(&second.refresh_token.clone().unwrap().reveal())
        .await
        .unwrap();
    assert!(!is_known(auth, &second).await);
    assert!(is_known(auth, &third).await);
    for bad in ["", "grr_x", &token] {
        assert!(matches!(
            auth.refresh(bad).await,
            Err(AuthError::UnknownRefreshToken)
        ));
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_if_asked_to() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let auth = &fixture.auth;
    let own = auth.register(wish("alice")).await.unwrap().session.unwrap();
    let other = log_in(auth, "alice", "wordpass").await.unwrap();
    let change = async |text, end| {
        auth.change_password(&own.user_id, password(text), end, Some(&own.device_id))
            .await
    };
    change("second", false).await.unwrap();
    assert!(is_known(auth, &own).await && is_known(auth, &other).await);
    change("third", true).await.unwrap();
    assert!(is_known(auth, &own).await && !is_known(auth, &other).await);
    assert!(log_in(auth, "alice", "second").await.is_err());
    assert!(log_in(auth, "alice", "third").await.is_ok());
}

#[tokio::test]
async fn a_deactivated_account_is_gone_and_its_name_stays_taken() {
    let fixture = Fixture::new(RegistrationMode::Open);
    let auth = &fixture.auth;
    let session = auth.register(wish("alice")).await.unwrap().session.unwrap();
    assert!(is_known(auth, &session).await);
    assert_eq!(
        auth.active_user("Alice").await.unwrap(),
        Some(session.user_id.clone())
    );
    auth.deactivate(&session.user_id).await.unwrap();
    assert_eq!(auth.active_user("alice").await.unwrap(), None);
    assert_eq!(auth.active_user("nobody").await.unwrap(), None);
    assert!(!is_known(auth, &session).await);
    assert!(matches!(
        log_in(auth, "alice", "wordpass").await,
        Err(AuthError::WrongCredentials)
    ));
    assert!(matches!(
        auth.register(wish("alice")).await,
        Err(AuthError::UsernameTaken)
    ));
    assert!(matches!(
        auth.deactivate(&session.user_id).await,
        Err(AuthError::Deactivated)
    ));
    let new = auth
        .change_password(&session.user_id, password("x"), true, None)
        .await;
    assert!(matches!(new, Err(AuthError::Deactivated)));
}

#[test]
fn a37_no_debug_output_shows_a_secret() {
    let request = LoginRequest {
        identifier: Identifier::User("alice".to_owned()),
        password: password("hunter2"),
        device: DeviceRequest {
            device_id: Some(device_id!("D").to_owned()),
            ..Default::default()
        },
    };
    let registration = RegisterRequest {
        password: Some(password("hunter2")),
        auth: attempt(json!({ "type": "m.login.password", "password": "hunter2" })),
        ..Default::default()
    };
    let shown = format!("{request:?} {registration:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
