//! Whom users ignore, as their account data `m.ignored_user_list` says, kept in memory.
//!
//! See [ignoring users](https://spec.matrix.org/v1.19/client-server-api/#ignoring-users).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use greenroom_storage::AccountDataStore;
use greenroom_stream::{
    Change, ChangeKind, ChangeObserver, IgnoreSource, IgnoredUsers, Unanswered,
};
use parking_lot::Mutex;
use quick_cache::{Weighter, sync::Cache};
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The type of account data that lists them.
const IGNORED_USER_LIST: &str = "m.ignored_user_list";
/// How many lists are expected in memory; most are empty.
const EXPECTED: usize = 10_000;
/// How many users may be kept, of lists and on lists together: about 100 bytes each.
const MOST: u64 = 200_000;

/// A list counts as its owner and everyone on it.
#[derive(Clone)]
struct Heads;

impl Weighter<OwnedUserId, IgnoredUsers> for Heads {
    fn weight(&self, _: &OwnedUserId, ignored: &IgnoredUsers) -> u64 {
        ignored.len() as u64 + 1
    }
}

/// The lists of who was asked for. As an observer it forgets a list that changes.
pub struct IgnoreLists {
    account_data: Arc<dyn AccountDataStore>,
    known: Cache<OwnedUserId, IgnoredUsers, Heads>,
    /// How often a list has changed. One that was read before the last time is not put into
    /// `known`: it may be the one that changed.
    epoch: Mutex<u64>,
}

impl IgnoreLists {
    /// Lists from this store.
    #[must_use]
    pub fn new(account_data: Arc<dyn AccountDataStore>) -> Self {
        Self {
            account_data,
            known: Cache::with_weighter(EXPECTED, MOST, Heads),
            epoch: Mutex::new(0),
        }
    }

    async fn read(&self, user_id: &UserId) -> Result<IgnoredUsers, Unanswered> {
        let stored = self
            .account_data
            .account_data(user_id, None, IGNORED_USER_LIST)
            .await
            .map_err(|error| Unanswered(error.to_string()))?;
        Ok(stored.map_or_else(IgnoredUsers::default, |content| parse(user_id, &content)))
    }
}

/// Reads a list. A client may have written anything: what is not a user ID is passed over, and
/// what is not a list ignores nobody. Nobody ignores themselves, or they would miss what they send.
fn parse(owner: &UserId, content: &RawValue) -> IgnoredUsers {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        ignored_users: HashMap<String, &'a RawValue>,
    }
    let Ok(content) = serde_json::from_str::<Content<'_>>(content.get()) else {
        return IgnoredUsers::default();
    };
    let users: HashSet<OwnedUserId> = content
        .ignored_users
        .into_keys()
        .filter_map(|user_id| UserId::parse(user_id).ok())
        .filter(|user_id| user_id != owner)
        .collect();
    IgnoredUsers::new(users)
}

#[async_trait]
impl IgnoreSource for IgnoreLists {
    async fn ignored_by(&self, user_id: &UserId) -> Result<IgnoredUsers, Unanswered> {
        if let Some(known) = self.known.get(user_id) {
            return Ok(known);
        }
        let epoch = *self.epoch.lock();
        let ignored = self.read(user_id).await?;
        let now = self.epoch.lock();
        if *now == epoch {
            self.known.insert(user_id.to_owned(), ignored.clone());
        }
        drop(now);
        Ok(ignored)
    }
}

impl ChangeObserver for IgnoreLists {
    fn changed(&self, changes: &[Change]) {
        for change in changes {
            if let ChangeKind::AccountData {
                user_id,
                room_id: None,
                data_type,
            } = &change.kind
                && data_type == IGNORED_USER_LIST
            {
                let mut epoch = self.epoch.lock();
                *epoch += 1;
                self.known.remove(user_id);
            }
        }
    }

    fn forget(&self) {
        let mut epoch = self.epoch.lock();
        *epoch += 1;
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use greenroom_model::StreamPosition;
    use ruma::{room_id, user_id};

    use super::*;
    use crate::testing::{MemoryAccountData, raw};

    fn alice() -> &'static UserId {
        user_id!("@alice:localhost")
    }

    fn ignored(content: &str) -> usize {
        parse(alice(), &raw(content)).len()
    }

    #[test]
    fn malformed_lists_ignore_nobody() {
        for content in [
            "{}",
            r#"{"ignored_users":null}"#,
            r#"{"ignored_users":["@bob:localhost"]}"#,
            r#"{"ignored_users":"@bob:localhost"}"#,
            r#"{"ignored_users":{}}"#,
            r#"{"ignored_users":{"bob":{},"":{},"@bob":{},"\ud800":{}}}"#,
        ] {
            assert_eq!(ignored(content), 0, "{content}");
        }
    }

    #[test]
    fn whatever_stands_beside_a_user_they_are_ignored() {
        let content = r#"{"ignored_users":{"@a:x":{},"@b:x":{"until":1},"@c:x":null,"@d:x":[[]],
            "no user":{}},"more":1e999}"#;
        assert_eq!(ignored(content), 4);
    }

    #[test]
    fn nobody_ignores_themselves() {
        assert_eq!(ignored(r#"{"ignored_users":{"@alice:localhost":{}}}"#), 0);
    }

    async fn set(store: &MemoryAccountData, content: &str) {
        store
            .set_account_data(alice(), None, IGNORED_USER_LIST, raw(content))
            .await
            .unwrap();
    }

    fn change(room_id: Option<&ruma::RoomId>, data_type: &str) -> Change {
        Change {
            position: StreamPosition(1),
            kind: ChangeKind::AccountData {
                user_id: alice().to_owned(),
                room_id: room_id.map(ToOwned::to_owned),
                data_type: data_type.to_owned(),
            },
        }
    }

    #[tokio::test]
    async fn a_list_is_read_once_and_again_when_it_has_changed() {
        let store = Arc::new(MemoryAccountData::default());
        let lists = IgnoreLists::new(Arc::clone(&store) as _);
        let count = async || lists.ignored_by(alice()).await.unwrap().len();
        assert_eq!(count().await, 0);
        set(&store, r#"{"ignored_users":{"@bob:localhost":{}}}"#).await;
        assert_eq!(count().await, 0, "nobody has said that it changed");
        lists.changed(&[change(None, "m.direct")]);
        lists.changed(&[change(Some(room_id!("!room:localhost")), IGNORED_USER_LIST)]);
        assert_eq!(count().await, 0, "something else has changed");
        lists.changed(&[change(None, IGNORED_USER_LIST)]);
        assert_eq!(count().await, 1);
        set(&store, "{}").await;
        lists.forget();
        assert_eq!(count().await, 0);
    }
}
