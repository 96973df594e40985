//! Tags: how a user labels their rooms.
//!
//! See [room tagging](https://spec.matrix.org/v1.19/client-server-api/#room-tagging). Tags rest in
//! the room's `m.tag` account data.

use std::{collections::BTreeMap, sync::Arc};

use greenroom_storage::AccountDataStore;
use ruma::{RoomId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    AccountDataSettings, AccountError,
    account_data::{check_object, own},
};

/// The type of account data that holds a room's tags.
pub(crate) const TAG: &str = "m.tag";
/// The longest name of a tag, in bytes, by the specification.
const MAX_TAG_BYTES: usize = 255;

/// The tags of a room by name, each with its `order` and whatever else the client attached.
pub type Tags = BTreeMap<String, Box<RawValue>>;

#[derive(Default, Deserialize)]
struct TagContent {
    #[serde(default)]
    tags: Tags,
}

/// The one key of a tag that has a meaning.
#[derive(Deserialize)]
struct TagOrder {
    order: Option<Box<RawValue>>,
}

/// Reads and changes the tags of one's own rooms.
pub struct TagService {
    account_data: Arc<dyn AccountDataStore>,
    settings: AccountDataSettings,
}

impl TagService {
    /// A service over this store.
    #[must_use]
    pub fn new(account_data: Arc<dyn AccountDataStore>, settings: AccountDataSettings) -> Self {
        Self {
            account_data,
            settings,
        }
    }

    /// All tags of a room. None if the room's `m.tag` was never set, or was set by hand to
    /// something that has none.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's.
    pub async fn tags(
        &self,
        requester: &UserId,
        user_id: &UserId,
        room_id: &RoomId,
    ) -> Result<Tags, AccountError> {
        own(requester, user_id)?;
        let content = self
            .account_data
            .account_data(user_id, Some(room_id), TAG)
            .await?;
        let content = content.and_then(|content| serde_json::from_str(content.get()).ok());
        let TagContent { tags } = content.unwrap_or_default();
        Ok(tags)
    }

    /// Sets one tag of a room.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's, [`AccountError::BadJson`] if `content` is
    /// not an object or its `order` not a number, [`AccountError::InvalidParam`] for a name over
    /// 255 bytes or one tag too many, [`AccountError::TooLarge`] if the room's tags together would
    /// be.
    pub async fn set(
        &self,
        requester: &UserId,
        user_id: &UserId,
        room_id: &RoomId,
        tag: &str,
        content: Box<RawValue>,
    ) -> Result<(), AccountError> {
        own(requester, user_id)?;
        check_name(tag)?;
        check_object(&content)?;
        check_order(&content)?;
        check_tag_content(&format!(r#"{{"tags":{{"":{content}}}}}"#))?;
        let tags = self.tags(requester, user_id, room_id).await?;
        let others = tags.iter().filter(|(name, _)| *name != tag);
        let (count, bytes) = others.fold(
            (1, content.get().len()),
            |(count, bytes), (name, content)| (count + 1, bytes + name.len() + content.get().len()),
        );
        if count > self.settings.max_tags_per_room {
            return Err(AccountError::InvalidParam(format!(
                "a room has at most {} tags",
                self.settings.max_tags_per_room
            )));
        }
        let max_bytes = self.settings.max_content_bytes;
        if bytes > max_bytes {
            return Err(AccountError::TooLarge { max_bytes });
        }
        Ok(self
            .account_data
            .set_tag(user_id, room_id, tag, Some(content))
            .await?)
    }

    /// Removes one tag of a room; one that is not there is as good as removed.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's.
    pub async fn delete(
        &self,
        requester: &UserId,
        user_id: &UserId,
        room_id: &RoomId,
        tag: &str,
    ) -> Result<(), AccountError> {
        if self
            .tags(requester, user_id, room_id)
            .await?
            .contains_key(tag)
        {
            self.account_data
                .set_tag(user_id, room_id, tag, None)
                .await?;
        }
        Ok(())
    }
}

/// Setting one tag reads and writes the whole `m.tag`, so what is in it must be readable as values:
/// not nested too deep, and without numbers that no double holds.
pub(crate) fn check_tag_content(content: &str) -> Result<(), AccountError> {
    serde_json::from_str::<Map<String, Value>>(content)
        .map(drop)
        .map_err(|error| AccountError::BadJson(format!("tags cannot hold this: {error}")))
}

fn check_name(tag: &str) -> Result<(), AccountError> {
    if tag.len() > MAX_TAG_BYTES {
        return Err(AccountError::InvalidParam(format!(
            "the name of a tag is at most {MAX_TAG_BYTES} bytes long"
        )));
    }
    Ok(())
}

fn check_order(content: &RawValue) -> Result<(), AccountError> {
    let order = serde_json::from_str(content.get()).map(|TagOrder { order }| order);
    match order {
        Ok(None) => Ok(()),
        Ok(Some(order)) if serde_json::from_str::<f64>(order.get()).is_ok() => Ok(()),
        _ => Err(AccountError::BadJson(
            "the order of a tag must be a number".to_owned(),
        )),
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

    fn room() -> &'static RoomId {
        room_id!("!room:localhost")
    }

    fn service() -> TagService {
        let settings = AccountDataSettings {
            max_tags_per_room: 2,
            max_content_bytes: 64,
        };
        TagService::new(Arc::new(MemoryAccountData::default()), settings)
    }

    async fn set(service: &TagService, tag: &str, content: &str) -> Result<(), AccountError> {
        service
            .set(alice(), alice(), room(), tag, raw(content))
            .await
    }

    async fn tags(service: &TagService) -> Vec<(String, String)> {
        let tags = service.tags(alice(), alice(), room()).await.unwrap();
        tags.into_iter()
            .map(|(name, content)| (name, content.get().to_owned()))
            .collect()
    }

    #[tokio::test]
    async fn tags_come_and_go_one_by_one() {
        let service = service();
        assert_eq!(tags(&service).await, []);
        set(&service, "m.favourite", r#"{"order":0.1,"x":"kept"}"#)
            .await
            .unwrap();
        set(&service, "u.Work", "{}").await.unwrap();
        service
            .delete(alice(), alice(), room(), "u.Work")
            .await
            .unwrap();
        service
            .delete(alice(), alice(), room(), "u.Work")
            .await
            .unwrap();
        let favourite = (
            "m.favourite".to_owned(),
            r#"{"order":0.1,"x":"kept"}"#.to_owned(),
        );
        assert_eq!(tags(&service).await, [favourite]);
    }

    #[tokio::test]
    async fn a_tag_is_an_object_with_a_number_for_its_order() {
        let service = service();
        for content in ["[]", "null", r#"{"order":"0.5"}"#, r#"{"order":[]}"#] {
            let outcome = set(&service, "u.x", content).await;
            assert!(
                matches!(outcome, Err(AccountError::BadJson(_))),
                "{content}"
            );
        }
        // B02, B04: what cannot be stored beside other tags is refused, not a failure.
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        for content in [r#"{"x":1e400}"#, r#"{"order":1e400}"#, deep.as_str()] {
            let outcome = set(&service, "u.x", content).await;
            assert!(
                matches!(outcome, Err(AccountError::BadJson(_))),
                "{content}"
            );
        }
        set(&service, "u.x", r#"{"order":null}"#).await.unwrap();
    }

    #[tokio::test]
    async fn names_numbers_and_sizes_are_bounded() {
        let service = service();
        let outcome = set(&service, &"t".repeat(256), "{}").await;
        assert!(matches!(outcome, Err(AccountError::InvalidParam(_))));
        let outcome = set(&service, "a", &format!(r#"{{"x":"{}"}}"#, "x".repeat(300))).await;
        assert!(matches!(outcome, Err(AccountError::TooLarge { .. })));
        set(&service, "a", "{}").await.unwrap();
        set(&service, "b", "{}").await.unwrap();
        set(&service, "b", r#"{"order":1}"#).await.unwrap();
        let outcome = set(&service, "c", "{}").await;
        assert!(matches!(outcome, Err(AccountError::InvalidParam(_))));
    }

    #[tokio::test]
    async fn another_users_tags_are_forbidden() {
        let service = service();
        let mallory = user_id!("@mallory:localhost");
        let read = service.tags(mallory, alice(), room()).await;
        assert!(matches!(read, Err(AccountError::Forbidden)));
        let write = service.set(mallory, alice(), room(), "t", raw("{}")).await;
        assert!(matches!(write, Err(AccountError::Forbidden)));
        let delete = service.delete(mallory, alice(), room(), "t").await;
        assert!(matches!(delete, Err(AccountError::Forbidden)));
    }
}
