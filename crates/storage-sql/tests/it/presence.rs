//! Who was last said to be online.

use greenroom_storage::PresenceStore;

use crate::support::{TestDb, user};

#[tokio::test]
async fn who_is_online_is_kept_until_they_are_not_and_nobody_is_told() {
    let db = TestDb::new();
    let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
    assert!(db.online_users().await.unwrap().is_empty());
    let both = vec![(bob.clone(), true), (alice.clone(), true)];
    db.set_online(both).await.unwrap();
    let changes = vec![(alice, false), (bob.clone(), true), (carol, false)];
    db.set_online(changes).await.unwrap();
    assert_eq!(db.online_users().await.unwrap(), [bob]);
    assert!(db.watcher.take().is_empty());
}
