//! Commands of an operator that change accounts, registration tokens and the database.
//!
//! The server holds the data directory while it runs, and carries them out itself: see [`control`]. Where none runs, the command
//! opens the database.

mod act;
mod control;
mod reports;

use std::{
    io::{self, BufRead, Write as _},
    time::{Duration, Instant},
};

use greenroom_auth::AuthError;
use greenroom_rooms::RoomError;
use greenroom_storage::StorageError;
use greenroom_storage_sql::{DatabaseUrl, Db};
use rand::TryRngCore as _;

pub(crate) use self::{
    act::{Act, Operator},
    control::Control,
};
use crate::{
    cli::{DbCommand, ReportCommand, TokenCommand, UserCommand},
    config::Config,
    data_dir::{DataDir, DataDirError},
    wire::{ServeError, administration},
};

/// The longest password that is accepted, in bytes, as everywhere else.
const PASSWORD_BYTES: usize = 512;

/// How many characters a chosen password has, of 5 random bits each.
const CHOSEN_PASSWORD_CHARS: usize = 20;
/// Which ones: without letters and digits that look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// How long to wait for a process that has the data directory and takes no commands: a server that starts or stops, or another
/// command.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("could not read the password from standard input: {0}")]
    Stdin(#[from] io::Error),
    #[error("could not print the result: {0}")]
    Stdout(#[source] io::Error),
    #[error(
        "the password must be on the first line of standard input, with 1 to {PASSWORD_BYTES} bytes"
    )]
    Password,
    #[error("{0} is not an active user of this server")]
    NoSuchUser(String),
    #[error("there is no registration token {0}")]
    NoSuchToken(String),
    #[error("there is no report {0}")]
    NoSuchReport(u64),
    #[error("the reports could not be read or changed: {0}")]
    Reports(#[source] RoomError),
    #[error("a room could not be left, so the account is still active: {0}. Try again")]
    Rooms(#[from] RoomError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Open(#[from] ServeError),
    #[error(transparent)]
    Database(#[from] StorageError),
    #[error("there is no database yet: {0} does not exist. `greenroom serve` makes it")]
    NoDatabase(String),
    #[error("migrations are missing: {0}. `greenroom db migrate` or starting the server runs them")]
    Pending(String),
    /// What the running server said: complete as it is.
    #[error("{0}")]
    Refused(String),
    #[error(
        "another greenroom process has the data directory and takes no commands ({0}). If it is just starting, try again; \
         otherwise stop it first"
    )]
    NotListening(#[source] io::Error),
    #[error(
        "the running server did not say how it went: {0}. See its log, and look before you try again"
    )]
    NoAnswer(#[source] io::Error),
}

/// `greenroom user …`
///
/// # Errors
///
/// If it was not done.
pub(crate) async fn user(config: Config, command: UserCommand) -> Result<(), AdminError> {
    let (act, chosen) = match command {
        UserCommand::Create {
            name,
            password_stdin,
            admin,
        } => {
            let (password, chosen) = password(password_stdin)?;
            let act = Act::CreateUser {
                name,
                password,
                admin,
            };
            (act, chosen)
        }
        UserCommand::ResetPassword {
            name,
            password_stdin,
        } => {
            let (password, chosen) = password(password_stdin)?;
            (Act::ResetPassword { name, password }, chosen)
        }
        UserCommand::Deactivate { name } => (Act::DeactivateUser { name }, None),
    };
    let mut text = perform(&config, act).await?;
    if let Some(chosen) = chosen {
        text.push_str("password: ");
        text.push_str(&chosen);
        text.push('\n');
    }
    print(&text)
}

/// `greenroom registration-token …`
///
/// # Errors
///
/// If it was not done.
pub(crate) async fn registration_token(
    config: Config,
    command: TokenCommand,
) -> Result<(), AdminError> {
    let act = match command {
        TokenCommand::Create { uses, expires_in } => Act::CreateToken {
            uses,
            expires_in_seconds: expires_in,
        },
        TokenCommand::List => Act::ListTokens {},
        TokenCommand::Revoke { token } => Act::RevokeToken { token },
    };
    print(&perform(&config, act).await?)
}

/// `greenroom report …`
///
/// # Errors
///
/// If it was not done.
pub(crate) async fn report(config: Config, command: ReportCommand) -> Result<(), AdminError> {
    let act = match command {
        ReportCommand::List { all } => Act::ListReports { all },
        ReportCommand::Show { id } => Act::ShowReport { report_id: id },
        ReportCommand::Close { id } => Act::CloseReport { report_id: id },
    };
    print(&perform(&config, act).await?)
}

/// `greenroom db …`
///
/// # Errors
///
/// If the database cannot be reached or is not in order.
pub(crate) async fn db(config: Config, command: DbCommand) -> Result<(), AdminError> {
    match command {
        DbCommand::Migrate => print(&perform(&config, Act::Migrate {}).await?),
        DbCommand::Check => {
            check(&config)?;
            print("the database is readable, of this version, and consistent\n")
        }
    }
}

/// Reads only: whether a server runs makes no difference.
fn check(config: &Config) -> Result<(), AdminError> {
    let url = DatabaseUrl::parse(&config.database_url.expose()).map_err(StorageError::Failed)?;
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.exists()
    {
        return Err(AdminError::NoDatabase(path.display().to_string()));
    }
    let pending = Db::pending_migrations(&url)?;
    if !pending.is_empty() {
        return Err(AdminError::Pending(pending.join(", ")));
    }
    Ok(Db::check(&url)?)
}

/// Has an act carried out, by the server that runs or, where none does, here.
async fn perform(config: &Config, act: Act) -> Result<String, AdminError> {
    let data_dir = DataDir::open(&config.data_dir)?;
    let begun = Instant::now();
    loop {
        match data_dir.lock() {
            Ok(_lock) => {
                let (database, operator) = administration(config, &data_dir)?;
                let outcome = act.carry_out(&operator).await;
                database.close().await;
                return outcome;
            }
            Err(DataDirError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match control::ask(&data_dir, &act) {
            Err(AdminError::NotListening(_)) if begun.elapsed() < BUSY_PATIENCE => {
                actix_rt::time::sleep(BUSY_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Prints a result. Unlike `println!` this does not panic where nobody reads any more, as in
/// `greenroom … | head`.
///
/// # Errors
///
/// If standard output fails in any other way.
pub(crate) fn print(text: &str) -> Result<(), AdminError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AdminError::Stdout(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The password, and again if it was chosen here and has to be told.
fn password(from_stdin: bool) -> Result<(String, Option<String>), AdminError> {
    if from_stdin {
        return Ok((read_password(io::stdin().lock())?, None));
    }
    let mut rng = rand::rngs::OsRng;
    let mut chosen = String::with_capacity(CHOSEN_PASSWORD_CHARS);
    for _ in 0..CHOSEN_PASSWORD_CHARS {
        let random = rng
            .try_next_u32()
            .map_err(|error| io::Error::other(error.to_string()))?;
        chosen.extend(
            LETTERS
                .get(random as usize % LETTERS.len())
                .map(|byte| char::from(*byte)),
        );
    }
    Ok((chosen.clone(), Some(chosen)))
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
