//! Tokens that allow to register: made by the operator, handed to people.
//!
//! See [token-authenticated registration](https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration).

use std::time::Duration;

use greenroom_storage::{RegistrationToken, StorageError};

use crate::{AuthError, AuthService, RegistrationMode, service::after, tokens};

const MAX_TOKEN_CHARS: usize = 64;
const RANDOM_TOKEN_BYTES: usize = 16;

impl AuthService {
    /// Whether a registration token would allow a registration now.
    ///
    /// # Errors
    ///
    /// [`AuthError::RegistrationClosed`] if no token would, or the database's failure.
    pub async fn registration_token_is_valid(&self, token: &str) -> Result<bool, AuthError> {
        match self.settings.registration {
            RegistrationMode::Open | RegistrationMode::Token => {
                self.registration_token_is_good(token).await
            }
            RegistrationMode::Closed => Err(AuthError::RegistrationClosed),
        }
    }

    /// Makes a registration token for `uses` registrations (`None`: any number) that is good for
    /// `lifetime` (`None`: forever), and returns it.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn create_registration_token(
        &self,
        uses: Option<u64>,
        lifetime: Option<Duration>,
    ) -> Result<String, AuthError> {
        let token = tokens::random_text::<RANDOM_TOKEN_BYTES>()?;
        let expires_ts_ms = lifetime.map(|lifetime| after(self.clock.now_ms(), lifetime));
        let row = RegistrationToken {
            token: token.clone(),
            uses_allowed: uses,
            uses: 0,
            expires_ts_ms,
        };
        self.accounts.create_registration_token(row).await?;
        Ok(token)
    }

    /// All registration tokens.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, StorageError> {
        self.accounts.registration_tokens().await
    }

    /// Deletes a registration token. False if there is none.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn delete_registration_token(&self, token: &str) -> Result<bool, StorageError> {
        self.accounts.delete_registration_token(token).await
    }

    /// Looks only: the use is counted by the registration itself, in the same act.
    pub(crate) async fn registration_token_is_good(&self, token: &str) -> Result<bool, AuthError> {
        if !is_opaque_identifier(token) {
            return Ok(false);
        }
        let Some(row) = self.accounts.registration_token(token).await? else {
            return Ok(false);
        };
        let left = row.uses_allowed.is_none_or(|allowed| row.uses < allowed);
        let in_time = row
            .expires_ts_ms
            .is_none_or(|expiry| self.clock.now_ms() < expiry);
        Ok(left && in_time)
    }
}

/// See [opaque identifiers](https://spec.matrix.org/v1.19/appendices/#opaque-identifiers).
fn is_opaque_identifier(token: &str) -> bool {
    (1..=MAX_TOKEN_CHARS).contains(&token.len())
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::Fixture;

    #[tokio::test]
    async fn b57_a_token_is_good_in_its_time_and_for_its_uses() {
        let fixture = Fixture::new(RegistrationMode::Token);
        let auth = &fixture.auth;
        let hour = auth
            .create_registration_token(None, Some(Duration::from_hours(1)))
            .await;
        let (hour, none) = (
            hour.unwrap(),
            auth.create_registration_token(Some(0), None).await,
        );
        assert!(auth.registration_token_is_valid(&hour).await.unwrap());
        assert!(
            !auth
                .registration_token_is_valid(&none.unwrap())
                .await
                .unwrap()
        );
        for unknown in ["", "unknown", "a b", &"x".repeat(65)] {
            assert!(
                !auth.registration_token_is_valid(unknown).await.unwrap(),
                "{unknown:?}"
            );
        }
        fixture.clock.advance(3_600_000);
        assert!(!auth.registration_token_is_valid(&hour).await.unwrap());
    }
}
