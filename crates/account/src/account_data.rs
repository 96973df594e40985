//! Account data, global and per room.
//!
//! See [client config](https://spec.matrix.org/v1.19/client-server-api/#client-config).

use std::sync::Arc;

use greenroom_storage::AccountDataStore;
use greenroom_stream::BuiltinAccountData;
use ruma::{RoomId, UserId};
use serde_json::value::RawValue;

use crate::{
    AccountDataSettings, AccountError,
    tags::{TAG, check_tag_content},
};

/// The longest type, in bytes: account data is delivered as events, whose types end there.
const MAX_TYPE_BYTES: usize = 255;
/// What the server manages itself. Clients read it like any other account data.
const MANAGED: [&str; 2] = ["m.fully_read", "m.push_rules"];

/// Reads and sets one's own account data.
pub struct AccountDataService {
    account_data: Arc<dyn AccountDataStore>,
    builtin: Arc<dyn BuiltinAccountData>,
    settings: AccountDataSettings,
}

impl AccountDataService {
    /// A service over this store.
    #[must_use]
    pub fn new(
        account_data: Arc<dyn AccountDataStore>,
        builtin: Arc<dyn BuiltinAccountData>,
        settings: AccountDataSettings,
    ) -> Self {
        Self {
            account_data,
            builtin,
            settings,
        }
    }

    /// Sets account data of one type, global (`room_id` is `None`) or of a room.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's, [`AccountError::ManagedByServer`] for
    /// `m.fully_read` and `m.push_rules`, [`AccountError::BadJson`] if `content` is not an object,
    /// [`AccountError::InvalidParam`] for a type over 255 bytes, [`AccountError::TooLarge`].
    pub async fn set(
        &self,
        requester: &UserId,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
        content: Box<RawValue>,
    ) -> Result<(), AccountError> {
        own(requester, user_id)?;
        if let Some(data_type) = MANAGED.into_iter().find(|managed| *managed == data_type) {
            return Err(AccountError::ManagedByServer { data_type });
        }
        if data_type.len() > MAX_TYPE_BYTES {
            return Err(AccountError::InvalidParam(format!(
                "a type of account data is at most {MAX_TYPE_BYTES} bytes long"
            )));
        }
        check_object(&content)?;
        let max_bytes = self.settings.max_content_bytes;
        if content.get().len() > max_bytes {
            return Err(AccountError::TooLarge { max_bytes });
        }
        if room_id.is_some() && data_type == TAG {
            check_tag_content(content.get())?;
        }
        Ok(self
            .account_data
            .set_account_data(user_id, room_id, data_type, content)
            .await?)
    }

    /// Account data of one type, global (`room_id` is `None`) or of a room.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's, [`AccountError::NotFound`] if it was never
    /// set and is nothing that everyone has.
    pub async fn get(
        &self,
        requester: &UserId,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        data_type: &str,
    ) -> Result<Box<RawValue>, AccountError> {
        own(requester, user_id)?;
        let stored = self
            .account_data
            .account_data(user_id, room_id, data_type)
            .await?;
        let builtin = || {
            let all = room_id.is_none().then(|| self.builtin.of(user_id));
            let mut all = all.into_iter().flatten();
            all.find_map(|(builtin, content)| (builtin == data_type).then_some(content))
        };
        stored.or_else(builtin).ok_or(AccountError::NotFound {
            what: "account data",
        })
    }
}

/// Account data is private: nobody acts for anybody else.
pub(crate) fn own(requester: &UserId, user_id: &UserId) -> Result<(), AccountError> {
    if requester == user_id {
        Ok(())
    } else {
        Err(AccountError::Forbidden)
    }
}

pub(crate) fn check_object(content: &RawValue) -> Result<(), AccountError> {
    if content.get().trim_start().starts_with('{') {
        Ok(())
    } else {
        Err(AccountError::BadJson(
            "the content must be a JSON object".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;
    use crate::testing::{MemoryAccountData, raw};

    fn alice() -> &'static UserId {
        user_id!("@alice:localhost")
    }

    fn service() -> AccountDataService {
        let settings = AccountDataSettings {
            max_content_bytes: 32,
            ..Default::default()
        };
        let store = Arc::new(MemoryAccountData::default());
        AccountDataService::new(store, Arc::new(Rules), settings)
    }

    async fn set(
        service: &AccountDataService,
        data_type: &str,
        content: &str,
    ) -> Result<(), AccountError> {
        service
            .set(alice(), alice(), None, data_type, raw(content))
            .await
    }

    #[tokio::test]
    async fn account_data_reads_back_byte_for_byte() {
        let service = service();
        // B02, B07: what no event may hold, account data may.
        let content = r#"{"a":1.0,"b":1e300,"\u0000":[]}"#;
        set(&service, "org.\u{0}.x", content).await.unwrap();
        let read = service
            .get(alice(), alice(), None, "org.\u{0}.x")
            .await
            .unwrap();
        assert_eq!(read.get(), content);
    }

    #[tokio::test]
    async fn tags_set_by_hand_can_be_read_as_tags() {
        let (service, room) = (service(), Some(room_id!("!room:localhost")));
        let outcome = service
            .set(alice(), alice(), room, "m.tag", raw(r#"{"x":1e400}"#))
            .await;
        assert!(matches!(outcome, Err(AccountError::BadJson(_))));
        service
            .set(alice(), alice(), room, "m.tag", raw(r#"{"tags":7}"#))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_room_does_not_inherit_global_account_data() {
        let service = service();
        let room = room_id!("!room:localhost");
        set(&service, "org.example", "{}").await.unwrap();
        let read = service
            .get(alice(), alice(), Some(room), "org.example")
            .await;
        assert!(matches!(read, Err(AccountError::NotFound { .. })));
        service
            .set(
                alice(),
                alice(),
                Some(room),
                "org.example",
                raw("{\"r\":1}"),
            )
            .await
            .unwrap();
        let read = service
            .get(alice(), alice(), Some(room), "org.example")
            .await
            .unwrap();
        assert_eq!(read.get(), "{\"r\":1}");
    }

    #[tokio::test]
    async fn b48_what_the_server_manages_cannot_be_set() {
        let service = service();
        for data_type in ["m.fully_read", "m.push_rules"] {
            for room in [None, Some(room_id!("!room:localhost"))] {
                let outcome = service
                    .set(alice(), alice(), room, data_type, raw("{}"))
                    .await;
                assert!(matches!(outcome, Err(AccountError::ManagedByServer { .. })));
            }
        }
    }

    /// What everyone has.
    struct Rules;

    impl BuiltinAccountData for Rules {
        fn of(&self, user_id: &UserId) -> Vec<(String, Box<RawValue>)> {
            let content = format!(r#"{{"of":"{user_id}"}}"#);
            vec![("m.push_rules".to_owned(), raw(&content))]
        }
    }

    #[tokio::test]
    async fn what_everyone_has_reads_like_other_account_data_until_it_is_set() {
        let service = service();
        let read = async |room| {
            let read = service.get(alice(), alice(), room, "m.push_rules").await;
            read.map(|content| content.get().to_owned())
        };
        assert_eq!(read(None).await.unwrap(), r#"{"of":"@alice:localhost"}"#);
        let in_a_room = read(Some(room_id!("!room:localhost"))).await;
        assert!(matches!(in_a_room, Err(AccountError::NotFound { .. })));
        let store = &service.account_data;
        store
            .set_account_data(alice(), None, "m.push_rules", raw(r#"{"set":1}"#))
            .await
            .unwrap();
        assert_eq!(read(None).await.unwrap(), r#"{"set":1}"#);
    }

    #[tokio::test]
    async fn content_is_an_object_of_bounded_size() {
        let service = service();
        for content in ["[]", "null", "1", "\"{}\"", "true"] {
            let outcome = set(&service, "t", content).await;
            assert!(
                matches!(outcome, Err(AccountError::BadJson(_))),
                "{content}"
            );
        }
        let outcome = set(&service, "t", r#"{"a":"xxxxxxxxxxxxxxxxxxxxxxxxxx"}"#).await;
        assert!(matches!(
            outcome,
            Err(AccountError::TooLarge { max_bytes: 32 })
        ));
        set(&service, &"t".repeat(255), "{}").await.unwrap();
        let outcome = set(&service, &"t".repeat(256), "{}").await;
        assert!(matches!(outcome, Err(AccountError::InvalidParam(_))));
    }

    #[tokio::test]
    async fn another_users_account_data_is_forbidden() {
        let service = service();
        let mallory = user_id!("@mallory:localhost");
        let read = service.get(mallory, alice(), None, "t").await;
        assert!(matches!(read, Err(AccountError::Forbidden)));
        let write = service.set(mallory, alice(), None, "t", raw("{}")).await;
        assert!(matches!(write, Err(AccountError::Forbidden)));
    }
}
