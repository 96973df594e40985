//! Room for many sockets.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::error::{BenchError, Result};

/// Raises the soft limit on open files to the hard one and returns it.
///
/// # Errors
///
/// [`BenchError::Io`] if the system refuses.
pub fn raise_open_files() -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = limit.maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::Nofile, limit)
        .map_err(|errno| BenchError::io("raising the limit on open files")(errno.into()))?;
    Ok(raised)
}

/// Fails early if `wanted` sockets cannot be open at once.
///
/// # Errors
///
/// [`BenchError::Setup`] that names both numbers.
pub fn require_open_files(wanted: usize) -> Result<()> {
    // Some of them are the run's own: the runtime's, the results', standard streams.
    let needed = wanted as u64 + 64;
    let limit = raise_open_files()?;
    if limit < needed {
        return Err(BenchError::Setup(format!(
            "{needed} open files are needed and {limit} are allowed: raise the hard limit (ulimit -Hn)"
        )));
    }
    Ok(())
}
