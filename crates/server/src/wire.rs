//! Builds every part and connects them.

use crate::{config::Config, shutdown::Stopped};

/// Why the server could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("not wired yet")]
    NotWired,
}

/// Serves until a signal comes. Returns how it came to its end; the process exits with what that says.
///
/// # Errors
///
/// If a part cannot be built.
#[expect(clippy::unused_async, reason = "the parts are built asynchronously")]
pub(crate) async fn serve(_config: Config) -> Result<Stopped, ServeError> {
    Err(ServeError::NotWired)
}
