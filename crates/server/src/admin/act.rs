//! What an operator can have done, and the doing: in the server's process if one runs, otherwise in the command's own.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use greenroom_auth::{AuthError, AuthService, Password};
use greenroom_rooms::Rooms;
use ruma::UserId;
use serde::{Deserialize, Serialize};

use super::{AdminError, reports};

/// One command, complete: whoever carries it out has to ask for nothing.
///
/// It has no `Debug` form, because some have a password.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    CreateUser {
        name: String,
        password: String,
        admin: bool,
    },
    ResetPassword {
        name: String,
        password: String,
    },
    DeactivateUser {
        name: String,
    },
    CreateToken {
        uses: Option<u32>,
        expires_in_seconds: Option<u32>,
    },
    ListTokens {},
    RevokeToken {
        token: String,
    },
    ListReports {
        all: bool,
    },
    ShowReport {
        report_id: u64,
    },
    CloseReport {
        report_id: u64,
    },
    Migrate {},
}

/// The parts that acts are carried out with.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) auth: Arc<AuthService>,
    pub(crate) rooms: Rooms,
}

impl Act {
    /// Carries it out. What comes back is for the operator to read, lines with their ends.
    ///
    /// # Errors
    ///
    /// If nothing was changed; but for `DeactivateUser`, which may have left rooms before the database failed and can be repeated.
    pub(crate) async fn carry_out(self, operator: &Operator) -> Result<String, AdminError> {
        let auth = &operator.auth;
        match self {
            Self::CreateUser {
                name,
                password,
                admin,
            } => {
                let user_id = auth
                    .create_account(&name, Some(Password::new(password)?), admin)
                    .await?;
                tracing::info!(user.id = %user_id, admin, "an operator created an account");
                Ok(format!("{user_id} was created\n"))
            }
            Self::ResetPassword { name, password } => {
                let user_id = active(auth, &name).await?;
                let password = Password::new(password)?;
                let outcome = auth.change_password(&user_id, password, true, None).await;
                known(outcome, &user_id)?;
                tracing::info!(user.id = %user_id, "an operator reset a password");
                Ok(format!(
                    "{user_id} has a new password and is logged out everywhere\n"
                ))
            }
            Self::DeactivateUser { name } => {
                let user_id = active(auth, &name).await?;
                // First the rooms, as where users do it themselves: after the account there is nobody left who could leave.
                operator.rooms.leave_all(&user_id).await?;
                known(auth.deactivate(&user_id).await, &user_id)?;
                tracing::info!(user.id = %user_id, "an operator deactivated an account");
                Ok(format!("{user_id} is deactivated for good\n"))
            }
            Self::CreateToken {
                uses,
                expires_in_seconds,
            } => {
                let lifetime =
                    expires_in_seconds.map(|seconds| Duration::from_secs(seconds.into()));
                let token = auth
                    .create_registration_token(uses.map(u64::from), lifetime)
                    .await?;
                Ok(format!("{token}\n"))
            }
            Self::ListTokens {} => list_tokens(auth).await,
            Self::RevokeToken { token } => {
                if !auth.delete_registration_token(&token).await? {
                    return Err(AdminError::NoSuchToken(token));
                }
                Ok("revoked\n".to_owned())
            }
            Self::ListReports { all } => reports::list(&operator.rooms, all).await,
            Self::ShowReport { report_id } => reports::show(&operator.rooms, report_id).await,
            Self::CloseReport { report_id } => reports::close(&operator.rooms, report_id).await,
            // Whoever has the database open has brought its tables up to its own version.
            Self::Migrate {} => Ok(format!(
                "the tables are those of version {}\n",
                env!("CARGO_PKG_VERSION")
            )),
        }
    }
}

async fn list_tokens(auth: &AuthService) -> Result<String, AdminError> {
    let mut text = String::new();
    for token in auth.registration_tokens().await? {
        let allowed = token
            .uses_allowed
            .map_or("any number".to_owned(), |uses| uses.to_string());
        let expires = token.expires_ts_ms.map_or("never".to_owned(), |ms| {
            format!("at {} s (Unix time)", ms / 1000)
        });
        // Writing to a string does not fail.
        let _written = writeln!(
            text,
            "{}  used {} of {allowed}  expires {expires}",
            token.token, token.uses
        );
    }
    Ok(text)
}

/// The account that an operator means, by its localpart or in full.
async fn active(auth: &AuthService, name: &str) -> Result<ruma::OwnedUserId, AdminError> {
    auth.active_user(name)
        .await?
        .ok_or_else(|| AdminError::NoSuchUser(name.to_owned()))
}

/// Deactivated here means: since it was looked up.
fn known(outcome: Result<(), AuthError>, user_id: &UserId) -> Result<(), AdminError> {
    match outcome {
        Err(AuthError::Deactivated) => Err(AdminError::NoSuchUser(user_id.to_string())),
        other => Ok(other?),
    }
}
