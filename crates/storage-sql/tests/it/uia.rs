//! Sessions of user-interactive authentication.

use greenroom_storage::{StorageError, UiaSession, UiaStore};

use crate::support::{TestDb, user};

fn session(id: &str, expires_ts_ms: u64) -> UiaSession {
    UiaSession {
        session_id: id.to_owned(),
        user_id: Some(user("alice")),
        endpoint: "POST account/password\0".to_owned(),
        request_hash: vec![0, 1, 255],
        completed: Vec::new(),
        proof: None,
        expires_ts_ms,
    }
}

#[tokio::test]
async fn a_session_collects_its_stages_and_authorizes_once() {
    let db = TestDb::new();
    db.start(session("s", 100), 1).await.unwrap();
    assert_eq!(
        db.uia_session("s", 99).await.unwrap(),
        Some(session("s", 100))
    );
    let proof = Some("\0 proof".to_owned());
    db.complete_stage("s", "m.login.dummy", None).await.unwrap();
    db.complete_stage("s", "m.login.\0", proof.clone())
        .await
        .unwrap();
    // Twice changes nothing, and no proof does not take the proof away.
    db.complete_stage("s", "m.login.dummy", None).await.unwrap();
    let stored = db.uia_session("s", 1).await.unwrap().unwrap();
    assert_eq!(stored.completed, ["m.login.dummy", "m.login.\0"]);
    assert_eq!(stored.proof, proof);
    assert!(db.finish("s").await.unwrap());
    assert!(!db.finish("s").await.unwrap());
    assert_eq!(db.uia_session("s", 1).await.unwrap(), None);
}

#[tokio::test]
async fn sessions_expire_and_are_forgotten() {
    let db = TestDb::new();
    db.start(session("old", 100), 1).await.unwrap();
    let no_user = UiaSession {
        user_id: None,
        ..session("new", 200)
    };
    assert_eq!(db.uia_session("old", 100).await.unwrap(), None);
    db.start(no_user.clone(), 100).await.unwrap();
    // Gone, not merely hidden: asked at a time when it was good.
    assert_eq!(db.uia_session("old", 1).await.unwrap(), None);
    assert_eq!(db.uia_session("new", 100).await.unwrap(), Some(no_user));
}

#[tokio::test]
async fn an_unknown_session_is_nobodys() {
    let db = TestDb::new();
    for unknown in ["s", "", "a\0b"] {
        assert_eq!(db.uia_session(unknown, 1).await.unwrap(), None);
        db.complete_stage(unknown, "m.login.dummy", None)
            .await
            .unwrap();
        assert!(!db.finish(unknown).await.unwrap());
    }
    db.start(session("s", 100), 1).await.unwrap();
    let again = db.start(session("s", 100), 1).await;
    assert!(matches!(again, Err(StorageError::Conflict)));
}
