//! Commands of an operator that change accounts, registration tokens and the database.

use std::{
    io::{self, BufRead},
    time::Duration,
};

use greenroom_auth::{AuthError, AuthService, Password};
use greenroom_storage::StorageError;
use greenroom_storage_sql::{DatabaseUrl, Db};
use rand::TryRngCore as _;
use ruma::{OwnedUserId, UserId};

use crate::{
    cli::{DbCommand, TokenCommand, UserCommand},
    config::Config,
    wire::{ServeError, administration},
};

/// The longest password that is accepted, in bytes, as everywhere else.
const PASSWORD_BYTES: usize = 512;

/// How many random bits a chosen password has: 20 characters of 5.
const CHOSEN_PASSWORD_CHARS: usize = 20;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("could not read the password from standard input: {0}")]
    Stdin(#[from] io::Error),
    #[error(
        "the password must be on the first line of standard input, with 1 to {PASSWORD_BYTES} bytes"
    )]
    Password,
    #[error("{0} is not a user of this server")]
    NoSuchUser(String),
    #[error("there is no registration token {0}")]
    NoSuchToken(String),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Open(#[from] ServeError),
    #[error("the database is not in order: {0}")]
    Database(#[from] StorageError),
    #[error("migrations are missing: {0}. `greenroom db migrate` or starting the server runs them")]
    Pending(String),
}

/// `greenroom user …`
///
/// # Errors
///
/// If nothing was changed.
pub(crate) async fn user(config: Config, command: UserCommand) -> Result<(), AdminError> {
    match command {
        UserCommand::Create {
            name,
            password_stdin,
            admin,
        } => {
            let (password, chosen) = password(password_stdin)?;
            let (database, auth) = administration(&config)?;
            let user_id = auth
                .create_account(&name, Some(Password::new(password)?), admin)
                .await?;
            database.close().await;
            println!("{user_id} was created");
            tell(chosen.as_deref());
        }
        UserCommand::ResetPassword {
            name,
            password_stdin,
        } => {
            let user_id = full_id(&config, &name)?;
            let (password, chosen) = password(password_stdin)?;
            let (database, auth) = administration(&config)?;
            let outcome = auth
                .change_password(&user_id, Password::new(password)?, true, None)
                .await;
            database.close().await;
            known(outcome, &user_id)?;
            println!("{user_id} has a new password and is logged out everywhere");
            tell(chosen.as_deref());
        }
        UserCommand::Deactivate { name } => {
            let user_id = full_id(&config, &name)?;
            let (database, auth) = administration(&config)?;
            let outcome = auth.deactivate(&user_id).await;
            database.close().await;
            known(outcome, &user_id)?;
            println!("{user_id} is deactivated for good");
        }
    }
    Ok(())
}

fn known(outcome: Result<(), AuthError>, user_id: &UserId) -> Result<(), AdminError> {
    match outcome {
        Err(AuthError::Deactivated) => Err(AdminError::NoSuchUser(user_id.to_string())),
        other => Ok(other?),
    }
}

/// A user named by the localpart or in full.
fn full_id(config: &Config, name: &str) -> Result<OwnedUserId, AdminError> {
    UserId::parse_with_server_name(name, &config.server_name)
        .ok()
        .filter(|user_id| user_id.server_name() == config.server_name)
        .ok_or_else(|| AdminError::NoSuchUser(name.to_owned()))
}

/// The password, and again if it was chosen here and has to be told.
fn password(from_stdin: bool) -> Result<(String, Option<String>), AdminError> {
    if from_stdin {
        return Ok((read_password(io::stdin().lock())?, None));
    }
    // Without letters and digits that look alike.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
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

fn tell(chosen: Option<&str>) {
    if let Some(chosen) = chosen {
        println!("password: {chosen}");
    }
}

/// `greenroom registration-token …`
///
/// # Errors
///
/// If nothing was changed.
pub(crate) async fn registration_token(
    config: Config,
    command: TokenCommand,
) -> Result<(), AdminError> {
    let (database, auth) = administration(&config)?;
    let outcome = token_command(&auth, command).await;
    database.close().await;
    outcome
}

async fn token_command(auth: &AuthService, command: TokenCommand) -> Result<(), AdminError> {
    match command {
        TokenCommand::Create { uses, expires_in } => {
            let lifetime = expires_in.map(|seconds| Duration::from_secs(seconds.into()));
            println!(
                "{}",
                auth.create_registration_token(uses.map(u64::from), lifetime)
                    .await?
            );
        }
        TokenCommand::List => {
            for token in auth.registration_tokens().await? {
                let allowed = token
                    .uses_allowed
                    .map_or("any number".to_owned(), |uses| uses.to_string());
                let expires = token.expires_ts_ms.map_or("never".to_owned(), |ms| {
                    format!("at {} s (Unix time)", ms / 1000)
                });
                println!(
                    "{}  used {} of {allowed}  expires {expires}",
                    token.token, token.uses
                );
            }
        }
        TokenCommand::Revoke { token } => {
            if !auth.delete_registration_token(&token).await? {
                return Err(AdminError::NoSuchToken(token));
            }
            println!("revoked");
        }
    }
    Ok(())
}

/// `greenroom db …`
///
/// # Errors
///
/// If the database cannot be reached or is not in order.
pub(crate) async fn db(config: Config, command: DbCommand) -> Result<(), AdminError> {
    match command {
        DbCommand::Migrate => {
            let (database, _) = administration(&config)?;
            database.close().await;
            println!("the tables are those of this version");
        }
        DbCommand::Check => {
            let url =
                DatabaseUrl::parse(&config.database_url.expose()).map_err(StorageError::Failed)?;
            let pending = Db::pending_migrations(&url)?;
            if !pending.is_empty() {
                return Err(AdminError::Pending(pending.join(", ")));
            }
            Db::check(&url)?;
            println!("the database is readable, of this version, and consistent");
        }
    }
    Ok(())
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
