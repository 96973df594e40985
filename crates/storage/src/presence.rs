//! Who was last said to be online: all that is kept of presence.

use async_trait::async_trait;
use ruma::OwnedUserId;

use crate::StorageError;

/// Who was last said to be online.
#[async_trait]
pub trait PresenceStore: Send + Sync {
    /// Notes who has been said to be online (`true`) or offline since, as one act. It is no change
    /// that the stream tells of.
    async fn set_online(&self, changes: Vec<(OwnedUserId, bool)>) -> Result<(), StorageError>;

    /// Everybody who was said to be online and not to be offline since.
    async fn online_users(&self) -> Result<Vec<OwnedUserId>, StorageError>;
}
