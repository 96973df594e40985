//! Filters that clients have stored.

use async_trait::async_trait;
use ruma::UserId;
use serde_json::value::RawValue;

use crate::StorageError;

/// Stored filters.
#[async_trait]
pub trait FilterStore: Send + Sync {
    /// Stores a filter and gives its ID. The same filter of the same user has the same ID. A user
    /// holds at most `cap` filters: `None`, and nothing stored, if this would be one more.
    async fn store_filter(
        &self,
        user_id: &UserId,
        filter: Box<RawValue>,
        cap: u64,
    ) -> Result<Option<String>, StorageError>;

    /// The filter as it was stored.
    async fn filter(
        &self,
        user_id: &UserId,
        filter_id: &str,
    ) -> Result<Option<Box<RawValue>>, StorageError>;
}
