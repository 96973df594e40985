//! Commands of an operator that change accounts, registration tokens and the database.

use std::io::{self, BufRead};

use crate::{
    cli::{DbCommand, TokenCommand, UserCommand},
    config::Config,
};

/// The longest password that is accepted, in bytes, as everywhere else.
const PASSWORD_BYTES: usize = 512;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("could not read the password from standard input: {0}")]
    Stdin(#[from] io::Error),
    #[error(
        "the password must be on the first line of standard input, with 1 to {PASSWORD_BYTES} bytes"
    )]
    Password,
    #[error("not wired yet")]
    NotWired,
}

/// `greenroom user …`
///
/// # Errors
///
/// If nothing was changed.
#[expect(clippy::unused_async, reason = "the parts are asynchronous")]
pub(crate) async fn user(_config: Config, _command: UserCommand) -> Result<(), AdminError> {
    Err(AdminError::NotWired)
}

/// `greenroom registration-token …`
///
/// # Errors
///
/// If nothing was changed.
#[expect(clippy::unused_async, reason = "the parts are asynchronous")]
pub(crate) async fn registration_token(
    _config: Config,
    _command: TokenCommand,
) -> Result<(), AdminError> {
    Err(AdminError::NotWired)
}

/// `greenroom db …`
///
/// # Errors
///
/// If the database cannot be reached or is not in order.
#[expect(clippy::unused_async, reason = "the parts are asynchronous")]
pub(crate) async fn db(_config: Config, _command: DbCommand) -> Result<(), AdminError> {
    Err(AdminError::NotWired)
}

/// A password from the first line of `input`, its line end left out.
///
/// # Errors
///
/// If there is none, or it is too long or not UTF-8.
pub(crate) fn read_password(input: impl BufRead) -> Result<String, AdminError> {
    // One line end and one byte too many are enough to see.
    let mut line = Vec::new();
    io::Read::take(input, PASSWORD_BYTES as u64 + 3).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line.len() > PASSWORD_BYTES {
        return Err(AdminError::Password);
    }
    String::from_utf8(line.to_vec()).map_err(|_| AdminError::Password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        let longest = "x".repeat(PASSWORD_BYTES);
        for (input, expected) in [
            ("hunter2\n".to_owned(), "hunter2"),
            (" hunter 2 \r\nmore\n".to_owned(), " hunter 2 "),
            ("hunter2".to_owned(), "hunter2"),
            (format!("{longest}\r\n"), &longest),
        ] {
            assert_eq!(read_password(input.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn no_password_and_one_without_end_are_refused() {
        let long = vec![b'x'; 100_000];
        for input in [
            &b""[..],
            b"\n",
            b"\r\n",
            &[b'x'; PASSWORD_BYTES + 1],
            &long,
            b"\xff\n",
        ] {
            assert!(matches!(read_password(input), Err(AdminError::Password)));
        }
    }
}
