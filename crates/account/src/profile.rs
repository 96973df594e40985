//! Profiles: reading anyone's, changing one's own.
//!
//! See [profiles](https://spec.matrix.org/v1.19/client-server-api/#profiles).

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use greenroom_storage::{Profile, ProfileStore};
use ruma::{MxcUri, OwnedUserId, UserId};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::{AccountError, ProfileSettings, account_data::own};

/// The largest profile, in bytes of JSON, by the specification.
const MAX_PROFILE_BYTES: usize = 64 * 1024;
/// The longest name of a field, in bytes, by the specification.
const MAX_KEY_BYTES: usize = 255;
const DISPLAY_NAME: &str = "displayname";
const AVATAR_URL: &str = "avatar_url";
const TIME_ZONE: &str = "m.tz";

/// How many users can change their profile at the same moment without waiting for one another.
const LOCKS: usize = 64;

/// Reads and changes profiles.
pub struct ProfileService {
    profiles: Arc<dyn ProfileStore>,
    settings: ProfileSettings,
    /// A user's changes come one after the other, or two at once could outgrow the limit that
    /// each of them keeps.
    locks: [Mutex<()>; LOCKS],
}

impl ProfileService {
    /// A service over this store.
    #[must_use]
    pub fn new(profiles: Arc<dyn ProfileStore>, settings: ProfileSettings) -> Self {
        Self {
            profiles,
            settings,
            locks: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// A user's whole profile; it is empty until they set something.
    ///
    /// # Errors
    ///
    /// [`AccountError::NotFound`] if there is no such active account.
    pub async fn profile(&self, user_id: &UserId) -> Result<Profile, AccountError> {
        self.profiles
            .profile(user_id)
            .await?
            .ok_or(AccountError::NotFound { what: "profile" })
    }

    /// One field of a user's profile.
    ///
    /// # Errors
    ///
    /// [`AccountError::NotFound`] if there is no such active account or it has no such field.
    pub async fn field(&self, user_id: &UserId, key: &str) -> Result<Value, AccountError> {
        let mut profile = self.profile(user_id).await?;
        profile.remove(key).ok_or(AccountError::NotFound {
            what: "profile field",
        })
    }

    /// Sets one field of one's own profile.
    ///
    /// An empty display name or avatar URL removes the field: that is how clients have always
    /// taken theirs back, and no client can show either.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's profile, [`AccountError::KeyTooLarge`],
    /// [`AccountError::InvalidParam`] or [`AccountError::BadJson`] for a key or value that cannot
    /// be, [`AccountError::ProfileTooLarge`] if the profile would be over 64 KiB,
    /// [`AccountError::NotFound`] if the account is no longer active.
    pub async fn set_field(
        &self,
        requester: &UserId,
        user_id: &UserId,
        key: &str,
        value: Value,
    ) -> Result<(), AccountError> {
        own(requester, user_id)?;
        check_key(key)?;
        self.check_value(key, &value)?;
        if matches!(key, DISPLAY_NAME | AVATAR_URL) && value.as_str() == Some("") {
            return self.delete_field(requester, user_id, key).await;
        }
        let _turn = self.turn(user_id).await;
        let mut profile = self.profile(user_id).await?;
        // Nothing to do, and no reason to go through all of the user's rooms.
        if profile.get(key) == Some(&value) {
            return Ok(());
        }
        profile.insert(key.to_owned(), value.clone());
        if json_bytes(&profile) > MAX_PROFILE_BYTES {
            return Err(AccountError::ProfileTooLarge {
                max_bytes: MAX_PROFILE_BYTES,
            });
        }
        self.write(user_id, key, Some(value)).await
    }

    /// Removes one field of one's own profile; one that is not there is as good as removed.
    ///
    /// # Errors
    ///
    /// [`AccountError::Forbidden`] for another user's profile, [`AccountError::KeyTooLarge`] or
    /// [`AccountError::InvalidParam`] for a key that cannot be, [`AccountError::NotFound`] if the
    /// account is no longer active.
    pub async fn delete_field(
        &self,
        requester: &UserId,
        user_id: &UserId,
        key: &str,
    ) -> Result<(), AccountError> {
        own(requester, user_id)?;
        check_key(key)?;
        let _turn = self.turn(user_id).await;
        if !self.profile(user_id).await?.contains_key(key) {
            return Ok(());
        }
        self.write(user_id, key, None).await
    }

    /// Users whose rooms have yet to learn of a profile change, with the version they wait for.
    ///
    /// # Errors
    ///
    /// [`AccountError::Storage`] only.
    pub async fn pending(&self) -> Result<Vec<(OwnedUserId, u64)>, AccountError> {
        Ok(self.profiles.pending_profile_changes().await?)
    }

    async fn write(
        &self,
        user_id: &UserId,
        key: &str,
        value: Option<Value>,
    ) -> Result<(), AccountError> {
        if self.profiles.set_profile_field(user_id, key, value).await? {
            Ok(())
        } else {
            Err(AccountError::NotFound { what: "profile" })
        }
    }

    async fn turn(&self, user_id: &UserId) -> Option<MutexGuard<'_, ()>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(user_id);
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or(0);
        match self.locks.get(index) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    fn check_value(&self, key: &str, value: &Value) -> Result<(), AccountError> {
        let (text, max_bytes) = match (key, value) {
            (DISPLAY_NAME, Value::String(text)) => (text, self.settings.max_display_name_bytes),
            (AVATAR_URL, Value::String(text)) => (text, self.settings.max_avatar_url_bytes),
            (TIME_ZONE, Value::String(text)) => (text, MAX_KEY_BYTES),
            (DISPLAY_NAME | AVATAR_URL | TIME_ZONE, _) => {
                return Err(AccountError::BadJson(format!("{key} must be a string")));
            }
            _ => return Ok(()),
        };
        if text.len() > max_bytes {
            return Err(AccountError::InvalidParam(format!(
                "{key} is at most {max_bytes} bytes long"
            )));
        }
        if key == AVATAR_URL && !text.is_empty() && !<&MxcUri>::from(text.as_str()).is_valid() {
            return Err(AccountError::InvalidParam(
                "avatar_url must be an mxc:// URI".to_owned(),
            ));
        }
        Ok(())
    }
}

/// A field is one of the specification's, or has a namespace: see the [common namespaced
/// identifier
/// grammar](https://spec.matrix.org/v1.19/appendices/#common-namespaced-identifier-grammar).
fn check_key(key: &str) -> Result<(), AccountError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(AccountError::KeyTooLarge {
            max_bytes: MAX_KEY_BYTES,
        });
    }
    let namespaced = key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.contains('.')
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        });
    if namespaced || matches!(key, DISPLAY_NAME | AVATAR_URL) {
        Ok(())
    } else {
        Err(AccountError::InvalidParam(
            "a profile field is displayname, avatar_url, or a namespaced identifier".to_owned(),
        ))
    }
}

fn json_bytes(profile: &Profile) -> usize {
    // A map of JSON values always serializes; if not, it is certainly not small enough.
    serde_json::to_vec(profile).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::json;

    use super::*;
    use crate::testing::MemoryProfiles;

    fn service() -> (Arc<MemoryProfiles>, ProfileService) {
        let profiles = Arc::new(MemoryProfiles::of(&[user_id!("@alice:localhost")]));
        (
            Arc::clone(&profiles),
            ProfileService::new(profiles, ProfileSettings::default()),
        )
    }

    fn alice() -> &'static UserId {
        user_id!("@alice:localhost")
    }

    async fn set(service: &ProfileService, key: &str, value: Value) -> Result<(), AccountError> {
        service.set_field(alice(), alice(), key, value).await
    }

    #[tokio::test]
    async fn a_field_reads_back_as_it_was_set() {
        let (_, service) = service();
        assert_eq!(service.profile(alice()).await.unwrap(), Profile::new());
        for (key, value) in [
            ("displayname", json!("Alice \u{0} B07")),
            ("avatar_url", json!("mxc://localhost/abc")),
            ("m.tz", json!("Europe/London")),
            (
                "org.example.b02",
                json!([9_007_199_254_740_992_u64, 1.5, null]),
            ),
            ("org.example.null", Value::Null),
        ] {
            set(&service, key, value.clone()).await.unwrap();
            assert_eq!(service.field(alice(), key).await.unwrap(), value);
        }
        assert_eq!(service.profile(alice()).await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn unknown_users_and_fields_are_not_found() {
        let (_, service) = service();
        let nobody = user_id!("@nobody:localhost");
        assert!(matches!(
            service.profile(nobody).await,
            Err(AccountError::NotFound { .. })
        ));
        let field = service.field(alice(), "displayname").await;
        assert!(matches!(field, Err(AccountError::NotFound { .. })));
        let write = service
            .set_field(nobody, nobody, "displayname", json!("x"))
            .await;
        assert!(matches!(write, Err(AccountError::NotFound { .. })));
    }

    #[tokio::test]
    async fn only_ones_own_profile_can_be_changed() {
        let (_, service) = service();
        let mallory = user_id!("@mallory:localhost");
        let set = service
            .set_field(mallory, alice(), "displayname", json!("x"))
            .await;
        assert!(matches!(set, Err(AccountError::Forbidden)));
        let delete = service.delete_field(mallory, alice(), "displayname").await;
        assert!(matches!(delete, Err(AccountError::Forbidden)));
    }

    #[tokio::test]
    async fn known_fields_have_their_types() {
        let (_, service) = service();
        for (key, value) in [
            ("displayname", json!(null)),
            ("displayname", json!(7)),
            ("avatar_url", json!({})),
            ("m.tz", json!([])),
        ] {
            let outcome = set(&service, key, value).await;
            assert!(matches!(outcome, Err(AccountError::BadJson(_))), "{key}");
        }
        for (key, value) in [
            ("displayname", json!("x".repeat(1025))),
            ("avatar_url", json!("https://example.org/me.png")),
            (
                "avatar_url",
                json!(format!("mxc://localhost/{}", "a".repeat(1024))),
            ),
        ] {
            let outcome = set(&service, key, value).await;
            assert!(
                matches!(outcome, Err(AccountError::InvalidParam(_))),
                "{key}"
            );
        }
    }

    #[tokio::test]
    async fn a_key_is_namespaced_and_at_most_255_bytes_long() {
        let (_, service) = service();
        let longest = format!("a.{}", "b".repeat(253));
        set(&service, &longest, json!(1)).await.unwrap();
        let longer = set(&service, &format!("{longest}b"), json!(1)).await;
        assert!(matches!(
            longer,
            Err(AccountError::KeyTooLarge { max_bytes: 255 })
        ));
        for key in [
            "",
            "nodot",
            "Org.example",
            "org.exämple",
            ".a",
            "a.b/c",
            "a.\u{0}",
        ] {
            let outcome = set(&service, key, json!(1)).await;
            assert!(
                matches!(outcome, Err(AccountError::InvalidParam(_))),
                "{key:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_profile_stays_within_64_kib_in_total() {
        let (_, service) = service();
        let fits = "x".repeat(MAX_PROFILE_BYTES - r#"{"a.b":""}"#.len());
        set(&service, "a.b", json!(fits)).await.unwrap();
        for (key, value) in [("a.b", json!(format!("{fits}x"))), ("a.c", json!(0))] {
            let outcome = set(&service, key, value).await;
            assert!(
                matches!(outcome, Err(AccountError::ProfileTooLarge { .. })),
                "{key}"
            );
        }
        assert_eq!(service.field(alice(), "a.b").await.unwrap(), json!(fits));
    }

    #[tokio::test]
    async fn what_is_removed_is_gone_and_may_be_removed_again() {
        let (_, service) = service();
        set(&service, "displayname", json!("Alice")).await.unwrap();
        set(&service, "avatar_url", json!("mxc://localhost/abc"))
            .await
            .unwrap();
        service
            .delete_field(alice(), alice(), "displayname")
            .await
            .unwrap();
        service
            .delete_field(alice(), alice(), "displayname")
            .await
            .unwrap();
        set(&service, "avatar_url", json!("")).await.unwrap();
        assert_eq!(service.profile(alice()).await.unwrap(), Profile::new());
    }

    #[tokio::test]
    async fn a_change_that_member_events_carry_is_pending() {
        let (_, service) = service();
        set(&service, "m.tz", json!("UTC")).await.unwrap();
        assert_eq!(service.pending().await.unwrap(), []);
        set(&service, "displayname", json!("Alice")).await.unwrap();
        assert_eq!(service.pending().await.unwrap(), [(alice().to_owned(), 1)]);
        set(&service, "displayname", json!("Alice")).await.unwrap();
        service
            .delete_field(alice(), alice(), "avatar_url")
            .await
            .unwrap();
        assert_eq!(
            service.pending().await.unwrap(),
            [(alice().to_owned(), 1)],
            "no change"
        );
    }
}
