//! Why the database did not do what it was asked.

/// A failure of storage. What is merely absent is an `Option`, not an error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// What was to be created exists already; nothing was written.
    #[error("already exists")]
    Conflict,
    /// The act was built on a state of the room that did not come to be; nothing was written.
    /// The room's actor builds it again.
    #[error("built on an append that failed")]
    StaleHead,
    /// The sender has annotated the event in the same words before; nothing was written.
    #[error("annotated so already")]
    DuplicateAnnotation,
    /// The database cannot be reached or cannot write now. A retry later may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Too many writes are waiting already. A retry later may succeed.
    #[error("too many writes are waiting")]
    Overloaded,
    /// A stored row does not read as what it should be.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// Anything else the database said.
    #[error("the database failed: {0}")]
    Failed(String),
}
