//! Trading a refresh token for a new pair.
//!
//! See [refreshing access tokens](https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens).

use greenroom_storage::Refresh;

use crate::{
    AuthError, AuthService, LoggedIn,
    service::after,
    tokens::{self, TokenKind},
};

impl AuthService {
    /// A new access token and a new refresh token for the old refresh token.
    ///
    /// The old refresh token stays good until one of the new ones is used, so a client that lost
    /// the answer can ask again. The old access token is dead at once.
    ///
    /// # Errors
    ///
    /// [`AuthError::UnknownRefreshToken`] if it is none of ours, or was replaced and the pair that
    /// replaced it has been used: then somebody holds a copy, and the device is logged out.
    pub async fn refresh(&self, refresh_token: &str) -> Result<LoggedIn, AuthError> {
        let old = tokens::parse(TokenKind::Refresh, refresh_token)
            .ok_or(AuthError::UnknownRefreshToken)?;
        let access_token = tokens::generate(TokenKind::Access)?;
        let new_refresh_token = tokens::generate(TokenKind::Refresh)?;
        let lifetime = self.settings.refreshable_token_lifetime;
        let now_ms = self.clock.now_ms();
        let outcome = self
            .devices
            .refresh(
                old,
                access_token.hash(),
                Some(after(now_ms, lifetime)),
                new_refresh_token.hash(),
                now_ms,
            )
            .await?;
        match outcome {
            Refresh::Done(session) => {
                self.sessions
                    .forget(&session.user_id, Some(&session.device_id));
                Ok(LoggedIn {
                    user_id: session.user_id,
                    device_id: session.device_id,
                    access_token,
                    refresh_token: Some(new_refresh_token),
                    expires_in: Some(lifetime),
                })
            }
            // The store announces the sessions that end with a reused token.
            Refresh::Unknown | Refresh::Reused => Err(AuthError::UnknownRefreshToken),
        }
    }
}
