//! Logging in with a password.

use ruma::OwnedUserId;

use crate::{AuthError, AuthService, DeviceRequest, LoggedIn, Password, usernames};

/// By which name somebody is meant.
///
/// See [identifier types](https://spec.matrix.org/v1.19/client-server-api/#identifier-types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// `m.id.user`: a localpart or a full user ID.
    User(String),
    /// An e-mail address, a phone number or anything else: this server knows nobody by them.
    Unknown,
}

/// A login with a password.
#[derive(Debug)]
pub struct LoginRequest {
    /// Who.
    pub identifier: Identifier,
    /// The password.
    pub password: Password,
    /// On which device.
    pub device: DeviceRequest,
}

impl AuthService {
    /// The user ID that a login is counted for, whether or not there is such a user.
    #[must_use]
    pub fn counted_for(&self, identifier: &Identifier) -> Option<OwnedUserId> {
        match identifier {
            // The last one is the folded one, so that a change of case is not a new count.
            Identifier::User(name) => {
                usernames::meant_user_ids(name, &self.settings.server_name).pop()
            }
            Identifier::Unknown => None,
        }
    }

    /// Logs a user in.
    ///
    /// An unknown user, a user without a password, and a wrong password take as long as a right
    /// one and cannot be told apart.
    ///
    /// # Errors
    ///
    /// [`AuthError::WrongCredentials`], [`AuthError::DeviceIdInvalid`], [`AuthError::Busy`], or
    /// the database's failure.
    pub async fn login(&self, request: LoginRequest) -> Result<LoggedIn, AuthError> {
        let user_id = self
            .check_password(&request.identifier, request.password)
            .await?;
        let session = self.prepare_session(user_id.clone(), request.device)?;
        if !self
            .devices
            .create_session(&user_id, session.stored)
            .await?
        {
            // Deactivated since the password was compared.
            return Err(AuthError::WrongCredentials);
        }
        // An existing device has new tokens now.
        self.sessions
            .forget(&user_id, Some(&session.told.device_id));
        Ok(session.told)
    }

    /// The user whose password this is.
    pub(crate) async fn check_password(
        &self,
        identifier: &Identifier,
        password: Password,
    ) -> Result<OwnedUserId, AuthError> {
        let mut known = None;
        if let Identifier::User(name) = identifier {
            for user_id in usernames::meant_user_ids(name, &self.settings.server_name) {
                known = self.accounts.account(&user_id).await?;
                if known.is_some() {
                    break;
                }
            }
        }
        let hash = known
            .as_ref()
            .filter(|account| !account.deactivated)
            .and_then(|account| account.password_hash.clone());
        let fits = self.hasher.verify(password, hash).await?;
        known
            .filter(|_| fits)
            .map(|account| account.user_id)
            .ok_or(AuthError::WrongCredentials)
    }
}
