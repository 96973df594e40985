//! Profiles, and the notes that rooms have to be told.

use greenroom_storage::ProfileStore;
use serde_json::{Value, json};

use crate::support::{TestDb, register, user};

#[tokio::test]
async fn profile_fields_are_set_and_removed() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    assert_eq!(db.profile(&user("nobody")).await.unwrap(), None);
    let fields = [
        ("displayname", json!("Al\0ice \u{10FFFF}")),
        ("avatar_url", json!("mxc://test.example/a")),
        ("org.example.odd\0key", json!({"deep": [1, null, "\0"]})),
    ];
    for (key, value) in &fields {
        let set = db.set_profile_field(&alice, key, Some(value.clone()));
        assert!(set.await.unwrap());
    }
    let profile = db.profile(&alice).await.unwrap().unwrap();
    assert_eq!(profile.len(), 3);
    for (key, value) in &fields {
        assert_eq!(&profile[*key], value);
    }
    for key in ["displayname", "not there"] {
        assert!(db.set_profile_field(&alice, key, None).await.unwrap());
    }
    let profile = db.profile(&alice).await.unwrap().unwrap();
    assert!(!profile.contains_key("displayname"));
    assert_eq!(profile.len(), 2);
    let nobody = user("nobody");
    let set = db.set_profile_field(&nobody, "displayname", Some(Value::Null));
    assert!(!set.await.unwrap());
}

#[tokio::test]
async fn names_of_many_are_read_at_once_and_nothing_else_of_them() {
    let db = TestDb::new();
    let alice = register(&db, "alice").await;
    let bob = register(&db, "bob").await;
    for (key, value) in [("avatar_url", "mxc://x/y"), ("m.tz", "UTC")] {
        db.set_profile_field(&alice, key, Some(value.into()))
            .await
            .unwrap();
    }
    db.set_profile_field(&bob, "displayname", None)
        .await
        .unwrap();
    // More than one query asks for.
    let mut asked: Vec<_> = (0..1_200).map(|n| user(&format!("nobody{n}"))).collect();
    asked.extend([alice.clone(), bob]);
    let names = db.names(&asked).await.unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(
        Value::Object(names[&alice].clone()),
        json!({"displayname": "alice", "avatar_url": "mxc://x/y"})
    );
    assert!(db.names(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_what_member_events_carry_has_to_be_told() {
    let db = TestDb::new();
    let (alice, bob) = (register(&db, "alice").await, register(&db, "bob").await);
    db.watcher.take();
    let set =
        |user_id, key, value: &'static str| db.set_profile_field(user_id, key, Some(value.into()));
    set(&alice, "m.tz", "Europe/Berlin").await.unwrap();
    assert!(db.pending_profile_changes().await.unwrap().is_empty());
    set(&bob, "displayname", "Bob").await.unwrap();
    set(&alice, "avatar_url", "mxc://x/y").await.unwrap();
    let pending = db.pending_profile_changes().await.unwrap();
    assert_eq!(pending.len(), 2);
    assert_eq!((&pending[0].0, &pending[1].0), (&bob, &alice));
    assert_eq!(
        db.watcher.take_words(),
        [
            "profile of @alice:test.example",
            "profile of @bob:test.example",
            "profile of @alice:test.example"
        ]
    );

    // A newer note stays when the older one is done.
    set(&bob, "displayname", "Bobby").await.unwrap();
    let (_, done) = pending[0];
    db.profile_change_done(&bob, done).await.unwrap();
    let pending = db.pending_profile_changes().await.unwrap();
    assert_eq!((&pending[0].0, &pending[1].0), (&alice, &bob));
    assert!(pending[1].1 > done);
    for (user_id, version) in pending {
        db.profile_change_done(&user_id, version).await.unwrap();
    }
    assert!(db.pending_profile_changes().await.unwrap().is_empty());
}
