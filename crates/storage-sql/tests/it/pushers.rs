//! Pushers and how far they have been served.

use greenroom_model::StreamPosition;
use greenroom_storage::{
    AccountStore, DeviceStore, Pusher, PusherId, PusherProgress, PusherStore, Refresh, SetPusher,
};
use ruma::{UserId, events::room::member::MembershipState};
use serde_json::{json, value::to_raw_value};

use crate::support::{TestDb, register, room_with_members, session, token, user};

const DONE: SetPusher = SetPusher::Done {
    removed: Vec::new(),
};

fn pusher(user_id: &UserId, device: &str, pushkey: &str) -> Pusher {
    Pusher {
        id: PusherId {
            user_id: user_id.to_owned(),
            app_id: "org.example.\0app".to_owned(),
            pushkey: pushkey.to_owned(),
        },
        device_id: device.into(),
        app_display_name: "App\0".to_owned(),
        device_display_name: "Phone".to_owned(),
        profile_tag: None,
        lang: "en".to_owned(),
        data: to_raw_value(&json!({ "url": "https://gateway.example", "custom": [1, "\0"] }))
            .unwrap(),
        set_ts_ms: 5_000,
    }
}

async fn set(db: &TestDb, pusher: Pusher) -> SetPusher {
    db.set_pusher(pusher, StreamPosition(7), true, 3)
        .await
        .unwrap()
}

async fn keys(db: &TestDb, user_id: &UserId) -> Vec<String> {
    let pushers = db.pushers_of(user_id).await.unwrap();
    pushers.into_iter().map(|(it, _)| it.id.pushkey).collect()
}

/// Alice with the devices A and B.
async fn db_with_devices() -> TestDb {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    db.create_session(&alice, session("A", 1)).await.unwrap();
    db.create_session(&alice, session("B", 2)).await.unwrap();
    db
}

#[tokio::test]
async fn a_pusher_reads_as_it_was_set_and_keeps_its_place_when_it_is_set_again() {
    let db = db_with_devices().await;
    let alice = user("alice");
    let first = pusher(&alice, "A", "k\0");
    assert_eq!(set(&db, first.clone()).await, DONE);
    let stored = db.pushers_of(&alice).await.unwrap();
    assert_eq!(format!("{:?}", stored[0].0), format!("{first:?}"));
    assert_eq!(stored[0].0.id, first.id);
    let fresh = PusherProgress {
        position: StreamPosition(7),
        ..PusherProgress::default()
    };
    assert_eq!(stored[0].1, fresh);

    let failed = PusherProgress {
        position: StreamPosition(9),
        unread_told: Some(3),
        failures: 2,
        retry_ts_ms: 9_000,
    };
    db.note_progress(vec![(first.id.clone(), failed)])
        .await
        .unwrap();
    let again = Pusher {
        device_id: "B".into(),
        profile_tag: Some("tag".to_owned()),
        set_ts_ms: 6_000,
        ..first.clone()
    };
    db.set_pusher(again.clone(), StreamPosition(100), true, 1)
        .await
        .unwrap();
    let stored = db.pushers_of(&alice).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(format!("{:?}", stored[0].0), format!("{again:?}"));
    let expected = PusherProgress {
        failures: 0,
        retry_ts_ms: 0,
        ..failed
    };
    assert_eq!(stored[0].1, expected);
    // No report of before moves it back.
    db.note_progress(vec![(first.id.clone(), fresh)])
        .await
        .unwrap();
    assert_eq!(db.pushers_of(&alice).await.unwrap()[0].1, expected);
}

#[tokio::test]
async fn a_pusher_is_deleted_as_it_was_meant() {
    let db = db_with_devices().await;
    let alice = user("alice");
    let first = pusher(&alice, "A", "k");
    set(&db, first.clone()).await;
    assert!(!db.delete_pusher(&first.id, Some(4_999)).await.unwrap());
    assert!(db.delete_pusher(&first.id, Some(5_000)).await.unwrap());
    assert!(!db.delete_pusher(&first.id, None).await.unwrap());
    // What is gone is not made anew.
    let progress = vec![(first.id.clone(), PusherProgress::default())];
    db.note_progress(progress).await.unwrap();
    assert!(keys(&db, &alice).await.is_empty());
}

#[tokio::test]
async fn without_append_the_same_key_of_others_gives_way() {
    let db = db_with_devices().await;
    let (alice, bob) = (user("alice"), register(&db, "bob").await);
    db.create_session(&bob, session("A", 11)).await.unwrap();
    for key in ["k", "other"] {
        set(&db, pusher(&alice, "A", key)).await;
    }
    assert_eq!(set(&db, pusher(&bob, "A", "k")).await, DONE);
    assert_eq!(keys(&db, &alice).await, ["k", "other"]);
    let alone = db
        .set_pusher(pusher(&bob, "A", "k"), StreamPosition(7), false, 3)
        .await;
    let removed = vec![alice.clone()];
    assert_eq!(alone.unwrap(), SetPusher::Done { removed });
    assert_eq!(keys(&db, &alice).await, ["other"]);
    assert_eq!(keys(&db, &bob).await, ["k"]);
    assert_eq!(db.users_with_pushers().await.unwrap(), [alice, bob]);
}

#[tokio::test]
async fn a_user_has_only_so_many() {
    let db = db_with_devices().await;
    let alice = user("alice");
    for key in ["1", "2", "3"] {
        assert_eq!(set(&db, pusher(&alice, "A", key)).await, DONE);
    }
    assert_eq!(set(&db, pusher(&alice, "A", "4")).await, SetPusher::TooMany);
    assert_eq!(set(&db, pusher(&alice, "B", "2")).await, DONE);
    assert_eq!(keys(&db, &alice).await.len(), 3);
}

#[tokio::test]
async fn pushers_go_with_the_device_that_set_them() {
    let db = db_with_devices().await;
    let alice = user("alice");
    set(&db, pusher(&alice, "A", "a")).await;
    set(&db, pusher(&alice, "B", "b")).await;
    assert!(db.delete_device(&alice, "A".into()).await.unwrap());
    assert_eq!(keys(&db, &alice).await, ["b"]);
    let late = set(&db, pusher(&alice, "A", "late")).await;
    assert_eq!(late, SetPusher::NoSuchDevice);
    db.create_session(&alice, session("C", 3)).await.unwrap();
    set(&db, pusher(&alice, "C", "c")).await;
    let hash = "x".to_owned();
    db.set_password(&alice, hash, true, Some("C".into()))
        .await
        .unwrap();
    assert_eq!(keys(&db, &alice).await, ["c"]);
    // The same device with new tokens is the same device.
    db.create_session(&alice, session("C", 4)).await.unwrap();
    assert_eq!(keys(&db, &alice).await, ["c"]);
    db.deactivate(&alice).await.unwrap();
    assert!(keys(&db, &alice).await.is_empty());
}

#[tokio::test]
async fn a_stolen_session_takes_its_pushers_along() {
    let db = db_with_devices().await;
    let alice = user("alice");
    set(&db, pusher(&alice, "A", "a")).await;
    let refresh =
        |from: u8, to: u8| db.refresh(token(from + 100), token(to), None, token(to + 100), 1);
    assert!(matches!(refresh(1, 3).await.unwrap(), Refresh::Done(_)));
    db.confirm_refresh(token(3)).await.unwrap();
    assert_eq!(keys(&db, &alice).await, ["a"]);
    assert_eq!(refresh(1, 4).await.unwrap(), Refresh::Reused);
    assert!(keys(&db, &alice).await.is_empty());
}

#[tokio::test]
async fn the_members_with_pushers_are_those_who_are_joined() {
    let db = db_with_devices().await;
    let (mut room, users) = room_with_members(&db, &["alice", "bob", "carol"]).await;
    for name in ["bob", "carol"] {
        register(&db, name).await;
        db.create_session(&user(name), session("A", name.as_bytes()[0]))
            .await
            .unwrap();
        set(&db, pusher(&user(name), "A", name)).await;
        set(&db, pusher(&user(name), "A", "more")).await;
    }
    let members = || async {
        let mut members = db.members_with_pushers(&room.id).await.unwrap();
        members.sort();
        members
    };
    assert_eq!(members().await, &users[1..]);
    room.set_member(&db, &users[1], &users[1], MembershipState::Leave)
        .await;
    assert_eq!(
        db.members_with_pushers(&room.id).await.unwrap(),
        &users[2..]
    );
}
