//! The index of words. What is in it, and what a search makes of it, is `greenroom-search`'s to say.

use std::sync::Arc;

use async_trait::async_trait;
use greenroom_model::{StoredEvent, StreamPosition};

use crate::StorageError;

/// Which events are candidates.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// They have all of these tokens. Without any there are no candidates.
    pub all: Vec<String>,
    /// Of each of these lists they have at least one token.
    pub any: Vec<Vec<String>>,
    /// They are not before this position.
    pub from: StreamPosition,
    /// They are not after this position.
    pub upto: StreamPosition,
    /// There are so many at most.
    pub limit: u64,
}

/// How well a candidate fits, if it does. Runs where the database is read.
pub type Judge = Arc<dyn Fn(&StoredEvent) -> Option<f32> + Send + Sync>;

/// The words of events. It follows the stream at a distance: who searches waits for it.
#[async_trait]
pub trait SearchStore: Send + Sync {
    /// Takes in the next events, not after `upto`, which is announced; a bounded number of them.
    /// Returns up to where everything is indexed now. Safe to call twice at once.
    ///
    /// An event that is redacted is not in the index: the redaction's act takes it out, or this finds
    /// it redacted.
    async fn index_more(&self, upto: StreamPosition) -> Result<StreamPosition, StorageError>;

    /// The positions of the newest candidates, newest first. Two tokens may look the same to an engine:
    /// what comes need not be a hit.
    async fn candidates(&self, query: SearchQuery) -> Result<Vec<StreamPosition>, StorageError>;

    /// Those of the events at these positions that fit, newest first, with how well they do.
    async fn judged(
        &self,
        positions: Vec<StreamPosition>,
        judge: Judge,
    ) -> Result<Vec<(StoredEvent, f32)>, StorageError>;
}
