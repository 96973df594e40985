//! Accounts and registration tokens.

use std::sync::Arc;

use greenroom_storage::{
    AccountDataStore, AccountStore, DeviceStore, DirectoryStore, FilterStore, ProfileStore,
    Registration, RegistrationToken, StorageError, UiaStore,
};
use serde_json::value::to_raw_value;

use crate::support::{Room, TestDb, account, register, session, token, user};

fn registration_token(name: &str) -> RegistrationToken {
    RegistrationToken {
        token: name.to_owned(),
        uses_allowed: Some(1),
        uses: 0,
        expires_ts_ms: None,
    }
}

#[tokio::test]
async fn an_account_reads_as_it_was_registered() {
    let db = TestDb::new();
    assert_eq!(db.account(&user("alice")).await.unwrap(), None);
    let outcome = db
        .register(account("alice"), Some(session("PHONE", 1)), None)
        .await;
    assert_eq!(outcome.unwrap(), Registration::Done);
    let stored = db.account(&user("alice")).await.unwrap().unwrap();
    assert_eq!(stored.user_id, user("alice"));
    assert_eq!(stored.password_hash.as_deref(), Some("hash of alice"));
    assert!(!stored.admin && !stored.deactivated);
    assert_eq!(stored.created_ts_ms, 1_000);
    let session = db.session(token(1)).await.unwrap().unwrap();
    assert_eq!(session.device_id, "PHONE");
    let profile = db.profile(&user("alice")).await.unwrap().unwrap();
    assert_eq!(profile["displayname"], "alice");
}

#[tokio::test]
async fn a_user_id_is_given_out_once_also_after_deactivation() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let again = db.register(account("alice"), Some(session("B", 1)), None);
    assert_eq!(again.await.unwrap(), Registration::UserIdTaken);
    assert_eq!(db.session(token(1)).await.unwrap(), None);
    assert!(db.deactivate(&alice).await.unwrap());
    let again = db.register(account("alice"), None, None).await.unwrap();
    assert_eq!(again, Registration::UserIdTaken);
}

#[tokio::test]
async fn a_taken_user_id_uses_no_registration_token_up() {
    let db = TestDb::new();
    register(&db, "alice").await;
    db.create_registration_token(registration_token("once"))
        .await
        .unwrap();
    let again = db.register(account("alice"), None, Some("once".to_owned()));
    assert_eq!(again.await.unwrap(), Registration::UserIdTaken);
    let outcome = db.register(account("bob"), None, Some("once".to_owned()));
    assert_eq!(outcome.await.unwrap(), Registration::Done);
}

#[tokio::test]
async fn b57_a_token_for_one_account_makes_one_however_many_ask_at_once() {
    let db = Arc::new(TestDb::new());
    db.create_registration_token(registration_token("once"))
        .await
        .unwrap();
    let asking: Vec<_> = (0..50)
        .map(|number| {
            let db = Arc::clone(&db);
            tokio::spawn(async move {
                db.register(account(&format!("u{number}")), None, Some("once".into()))
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut done = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Registration::Done => done += 1,
            other => assert_eq!(other, Registration::TokenRefused),
        }
    }
    assert_eq!(done, 1);
    let stored = db.registration_token("once").await.unwrap().unwrap();
    assert_eq!(stored.uses, 1);
}

#[tokio::test]
async fn a_registration_token_is_refused_when_unknown_expired_or_used_up() {
    let db = TestDb::new();
    let expired = RegistrationToken {
        expires_ts_ms: Some(1_000),
        ..registration_token("expired")
    };
    let used_up = RegistrationToken {
        uses: 1,
        ..registration_token("used-up")
    };
    for refused in [expired, used_up] {
        db.create_registration_token(refused).await.unwrap();
    }
    for name in ["unknown", "expired", "used-up", "with a \0"] {
        let outcome = db.register(account("alice"), None, Some(name.to_owned()));
        assert_eq!(outcome.await.unwrap(), Registration::TokenRefused, "{name}");
        assert_eq!(db.account(&user("alice")).await.unwrap(), None);
    }
    let unlimited = RegistrationToken {
        uses_allowed: None,
        expires_ts_ms: Some(1_001),
        ..registration_token("unlimited")
    };
    db.create_registration_token(unlimited).await.unwrap();
    for name in ["alice", "bob"] {
        let outcome = db.register(account(name), None, Some("unlimited".to_owned()));
        assert_eq!(outcome.await.unwrap(), Registration::Done);
    }
}

#[tokio::test]
async fn registration_tokens_are_listed_by_name_and_deleted() {
    let db = TestDb::new();
    for name in ["b", "a", "B"] {
        db.create_registration_token(registration_token(name))
            .await
            .unwrap();
    }
    let twice = db.create_registration_token(registration_token("a")).await;
    assert!(matches!(twice, Err(StorageError::Conflict)));
    let names = |tokens: Vec<RegistrationToken>| -> Vec<String> {
        tokens.into_iter().map(|token| token.token).collect()
    };
    assert_eq!(
        names(db.registration_tokens().await.unwrap()),
        ["B", "a", "b"]
    );
    assert!(db.delete_registration_token("a").await.unwrap());
    assert!(!db.delete_registration_token("a").await.unwrap());
    assert!(!db.delete_registration_token("\0").await.unwrap());
    assert_eq!(names(db.registration_tokens().await.unwrap()), ["B", "b"]);
    assert_eq!(db.registration_token("a").await.unwrap(), None);
    assert_eq!(db.registration_token("\0").await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_only_if_asked() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    for (device, seed) in [("A", 1), ("B", 2), ("C", 3)] {
        db.create_session(&alice, session(device, seed))
            .await
            .unwrap();
    }
    db.watcher.take();
    let set = db.set_password(&alice, "new".to_owned(), false, None).await;
    assert!(set.unwrap());
    assert!(db.watcher.take().is_empty());
    let stored = db.account(&alice).await.unwrap().unwrap();
    assert_eq!(stored.password_hash.as_deref(), Some("new"));

    let kept = "B".into();
    let set = db.set_password(&alice, "newer".to_owned(), true, Some(kept));
    assert!(set.await.unwrap());
    assert_eq!(db.session(token(1)).await.unwrap(), None);
    assert!(db.session(token(2)).await.unwrap().is_some());
    assert_eq!(
        db.watcher.take_words(),
        [
            "sessions of @alice:test.example on A",
            "sessions of @alice:test.example on C"
        ]
    );
    let left = db.devices(&alice).await.unwrap();
    assert_eq!(left.len(), 1);
    let nobody = user("nobody");
    let set = db.set_password(&nobody, "x".to_owned(), true, None).await;
    assert!(!set.unwrap());
}

#[tokio::test]
async fn deactivation_leaves_nothing_but_the_taken_id() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    db.create_session(&alice, session("A", 1)).await.unwrap();
    let content = || to_raw_value(&serde_json::json!({"a": 1})).unwrap();
    db.set_account_data(&alice, None, "m.direct", content())
        .await
        .unwrap();
    let filter = db.store_filter(&alice, content(), 10).await.unwrap();
    let filter = filter.unwrap();
    let room = Room::created(&db, "room", &alice).await;
    let alias = "#hall:test.example".try_into().unwrap();
    db.create_alias(alias, &room.id, &alice).await.unwrap();
    db.set_profile_field(&alice, "displayname", Some("Alice".into()))
        .await
        .unwrap();
    let uia = greenroom_storage::UiaSession {
        session_id: "s".to_owned(),
        user_id: Some(alice.clone()),
        endpoint: "POST account/deactivate".to_owned(),
        request_hash: vec![1],
        completed: Vec::new(),
        proof: None,
        expires_ts_ms: 9_000,
    };
    db.start(uia, 1).await.unwrap();
    db.watcher.take();

    assert!(db.deactivate(&alice).await.unwrap());
    assert_eq!(
        db.watcher.take_words(),
        [
            "sessions of @alice:test.example on A",
            "profile of @alice:test.example"
        ]
    );
    let stored = db.account(&alice).await.unwrap().unwrap();
    assert!(stored.deactivated);
    assert_eq!(stored.password_hash, None);
    assert_eq!(db.session(token(1)).await.unwrap(), None);
    assert!(db.devices(&alice).await.unwrap().is_empty());
    assert_eq!(db.profile(&alice).await.unwrap(), None);
    assert!(db.pending_profile_changes().await.unwrap().is_empty());
    let data = db.account_data(&alice, None, "m.direct").await.unwrap();
    assert!(data.is_none());
    assert!(db.filter(&alice, &filter).await.unwrap().is_none());
    assert_eq!(db.uia_session("s", 1).await.unwrap(), None);

    assert!(!db.deactivate(&alice).await.unwrap());
    assert!(!db.deactivate(&user("nobody")).await.unwrap());
    let set = db.set_password(&alice, "x".to_owned(), false, None).await;
    assert!(!set.unwrap());
    assert!(!db.create_session(&alice, session("A", 3)).await.unwrap());
}
