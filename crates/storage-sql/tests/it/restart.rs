//! What a restart finds, and whose database it may open.

use greenroom_storage::{
    AccountDataStore, DeviceStore, MemberStore, RoomStore, StorageError, TimelineStore,
};
use ruma::events::room::member::MembershipState;
use serde_json::json;

use crate::support::{Place, SERVER, TestDb, register, room_with_members, session, token};

#[tokio::test]
async fn after_a_restart_everything_is_there_and_positions_go_on() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    db.create_session(&alice, session("A", 1)).await.unwrap();
    let (mut room, _) = room_with_members(&db, &["alice", "bob"]).await;
    let message = room.message_with(&alice, "1");
    let key = message.transaction.clone().unwrap().0;
    let said = db.append(message.clone()).await.unwrap().position;
    let content = serde_json::value::to_raw_value(&json!({})).unwrap();
    db.set_account_data(&alice, None, "m.direct", content)
        .await
        .unwrap();
    let mut end = db.watcher.position();
    assert!(end > said);

    let mut db = db;
    for _ in 0..3 {
        db = db.restart().await;
        assert!(db.watcher.position() >= end, "the stream went backwards");
        assert!(db.session(token(1)).await.unwrap().is_some());
        let stored = db.event(&message.event_id).await.unwrap().unwrap();
        assert_eq!(stored.position, said);
        assert_eq!(
            db.event_of_transaction(key).await.unwrap(),
            Some(message.event_id.clone())
        );
        let joined = db.members(&room.id, MembershipState::Join, None).await;
        assert_eq!(joined.unwrap().len(), 2);
        let retry = db.append(room.message_with(&alice, "1")).await;
        assert!(matches!(retry, Err(StorageError::Conflict)));
        room.reload();
        let next = room.say(&db, &alice, "after the restart").await;
        assert!(next > end);
        end = next;
    }
}

#[tokio::test]
async fn a_database_belongs_to_one_server_name() {
    let db = TestDb::new();
    db.close().await;
    let TestDb { db, place, .. } = db;
    drop(db);
    let error = place.open("other.example").err().unwrap();
    let message = error.to_string();
    assert!(
        message.contains(SERVER) && message.contains("other.example"),
        "{message}"
    );
    assert!(place.open(SERVER).is_ok());
}

#[tokio::test]
async fn a_closed_database_takes_no_writes_and_lets_the_queued_ones_through() {
    let db = TestDb::new();
    let (mut room, users) = room_with_members(&db, &["alice"]).await;
    let queued = db.append(room.message(&users[0], "queued"));
    db.close().await;
    assert!(queued.await.is_ok());
    let late = db.append(room.message(&users[0], "late")).await;
    assert!(matches!(late, Err(StorageError::Unavailable(_))));
    assert!(matches!(
        db.probe().await,
        Err(StorageError::Unavailable(_))
    ));
    // Closing twice is closing once.
    db.close().await;
    let late = db.room_head(&room.id).await;
    assert!(matches!(late, Err(StorageError::Unavailable(_))));
    let reopened = db.restart().await;
    assert!(reopened.room_head(&room.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_closed_file_has_no_log_beside_it() {
    let db = TestDb::at(Place::on_sqlite());
    register(&db, "alice").await;
    let beside = |suffix| std::fs::exists(format!("{}{suffix}", db.place.file())).unwrap();
    assert!(db.session(token(1)).await.unwrap().is_none());
    assert!(beside("-wal"));
    db.close().await;
    assert!(!beside("-wal") && !beside("-shm"));
}

#[test]
fn a_file_that_cannot_be_written_is_refused_at_the_start() {
    let mut place = Place::on_sqlite();
    assert!(place.open(SERVER).is_ok());
    // As under a read-only mount, also for root.
    place.url = format!("sqlite:file:{}?mode=ro", place.file());
    let error = place.open(SERVER).err().unwrap();
    assert!(error.to_string().contains("readonly database"), "{error}");
}

#[tokio::test]
async fn a_second_process_does_not_get_the_database() {
    let Some(server) = Place::postgres_server() else {
        return;
    };
    let db = TestDb::at(Place::on_postgres(&server));
    let error = db.place.open(SERVER).err().unwrap();
    assert!(
        error.to_string().contains("another greenroom process"),
        "{error}"
    );
    db.probe().await.unwrap();
}

#[tokio::test]
async fn a_write_from_elsewhere_ends_the_process() {
    let place = Place::new();
    let failures = std::sync::Arc::default();
    let (db, _) = place.open_reporting(SERVER, &failures).unwrap();
    db.probe().await.unwrap();
    place.execute("UPDATE server SET position = position + 1000");
    assert!(db.probe().await.is_err());
    assert!(db.probe().await.is_err());
    assert!(!failures.lock().unwrap().is_empty());
    db.close().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_went_into_a_file_that_is_no_longer_there() {
    for gone in ["", "-wal"] {
        let place = Place::on_sqlite();
        let failures = std::sync::Arc::default();
        let (db, _) = place.open_reporting(SERVER, &failures).unwrap();
        db.probe().await.unwrap();
        let file = format!("{}{gone}", place.file());
        std::fs::rename(&file, format!("{file}.aside")).unwrap();
        assert!(db.probe().await.is_err(), "{file}");
        assert!(db.probe().await.is_err(), "{file}");
        let why = failures.lock().unwrap().concat();
        assert!(why.contains("removed or replaced"), "{why}");
        db.close().await;
    }
}

#[tokio::test]
async fn a_backup_put_back_under_a_running_server_ends_the_process() {
    let place = Place::on_sqlite();
    let path = place.file();
    let failures = std::sync::Arc::default();
    let (db, _) = place.open_reporting(SERVER, &failures).unwrap();
    db.probe().await.unwrap();
    let backup = format!("{path}.backup");
    std::fs::copy(path, &backup).unwrap();
    std::fs::rename(&backup, path).unwrap();
    assert!(db.probe().await.is_err());
    assert!(!failures.lock().unwrap().is_empty());
    db.close().await;
}
