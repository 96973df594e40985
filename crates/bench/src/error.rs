//! What can go wrong in a run.

use std::time::Duration;

/// Shorthand for a result of this crate.
pub type Result<T> = std::result::Result<T, BenchError>;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A socket, file or `/proc` entry could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The peer sent something that is not the HTTP or JSON expected here.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// The server answered a request with an error.
    #[error("{method} {path} was answered {status}: {body}")]
    Status {
        /// The request's method.
        method: &'static str,
        /// The request's path, without its query.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The first bytes of the answer's body.
        body: String,
    },
    /// No answer within the bound on one request.
    #[error("no answer to {what} within {after:?}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// The run cannot be done as asked.
    #[error("{0}")]
    Setup(String),
    /// The server lost, doubled or reordered something it had acknowledged.
    #[error("verification failed: {0}")]
    Verification(String),
    /// The SQLite database used for comparison failed.
    #[error("SQLite: {0}")]
    Sqlite(String),
}

impl BenchError {
    /// Adds what was being done to an I/O error.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<serde_json::Error> for BenchError {
    fn from(error: serde_json::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}
