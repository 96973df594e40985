//! Finding users by name. See [user
//! directory](https://spec.matrix.org/v1.19/client-server-api/#user-directory).

use std::sync::Arc;

use greenroom_storage::{ProfileStore, UserDirectoryStore};
use ruma::{OwnedUserId, UserId};
use serde_json::Value;

use crate::AccountError;

/// The longest term that is looked for, in bytes.
const MAX_TERM_BYTES: usize = 1_024;
/// The most users in one answer.
const MAX_LIMIT: u64 = 100;

/// Finds users.
pub struct UserDirectory {
    directory: Arc<dyn UserDirectoryStore>,
    profiles: Arc<dyn ProfileStore>,
}

/// A user as a search shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Who.
    pub user_id: OwnedUserId,
    /// Their display name, if they have one.
    pub display_name: Option<String>,
    /// Their avatar, if they have one.
    pub avatar_url: Option<String>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryPage {
    /// Best matches first, among equal ones those with a display name or an avatar.
    pub users: Vec<DirectoryUser>,
    /// Whether there are more.
    pub limited: bool,
}

impl UserDirectory {
    /// A directory over these stores.
    #[must_use]
    pub fn new(directory: Arc<dyn UserDirectoryStore>, profiles: Arc<dyn ProfileStore>) -> Self {
        Self {
            directory,
            profiles,
        }
    }

    /// Users whom `searcher` may find and whose ID or display name has every word of `term`, 1 to
    /// 100 of them.
    ///
    /// # Errors
    ///
    /// [`AccountError::InvalidParam`] if the term is too long.
    pub async fn find(
        &self,
        searcher: &UserId,
        term: &str,
        limit: u64,
    ) -> Result<DirectoryPage, AccountError> {
        if term.len() > MAX_TERM_BYTES {
            return Err(AccountError::InvalidParam(
                "the search term is too long".to_owned(),
            ));
        }
        let limit = limit.clamp(1, MAX_LIMIT);
        // One more than asked for shows whether there are more.
        let mut found = self.directory.find_users(searcher, term, limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let limited = found.len() > limit;
        found.truncate(limit);
        let ids: Vec<OwnedUserId> = found.iter().map(|found| found.user_id.clone()).collect();
        let mut profiles = self.profiles.names(&ids).await?;
        let mut ranked: Vec<(bool, DirectoryUser)> = found
            .into_iter()
            .map(|found| {
                let profile = profiles.remove(&found.user_id).unwrap_or_default();
                let field = |name: &str| profile.get(name).and_then(Value::as_str);
                let user = DirectoryUser {
                    display_name: field("displayname").map(ToOwned::to_owned),
                    avatar_url: field("avatar_url").map(ToOwned::to_owned),
                    user_id: found.user_id,
                };
                (found.exact, user)
            })
            .collect();
        // "Ordered by rank and then whether or not profile info is available."
        ranked.sort_by_key(|(exact, user)| {
            (
                !exact,
                user.display_name.is_none() && user.avatar_url.is_none(),
            )
        });
        Ok(DirectoryPage {
            users: ranked.into_iter().map(|(_, user)| user).collect(),
            limited,
        })
    }
}
