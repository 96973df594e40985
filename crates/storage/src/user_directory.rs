//! Finding users by name.

use async_trait::async_trait;
use ruma::{OwnedUserId, UserId};

use crate::StorageError;

/// Somebody who was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// Who.
    pub user_id: OwnedUserId,
    /// Whether the longest word of the search is one of theirs, and not only the beginning of one.
    pub exact: bool,
}

/// Finding users by name. What they are found by follows their accounts and profiles.
#[async_trait]
pub trait UserDirectoryStore: Send + Sync {
    /// Active users whom `searcher` may find: they are joined to a room that the searcher is joined
    /// to as well, or to one that anybody may join or read.
    ///
    /// Each word of `term` must begin a word of their display name or of their ID; letters count
    /// without case and accents. Best matches first, `limit` at most. A term without words finds
    /// nobody.
    async fn find_users(
        &self,
        searcher: &UserId,
        term: &str,
        limit: u64,
    ) -> Result<Vec<FoundUser>, StorageError>;
}
