//! Changing and ending an account.

use ruma::{DeviceId, OwnedUserId, UserId};

use crate::{AuthError, AuthService, Password, usernames};

impl AuthService {
    /// Gives an account a new password. If `end_sessions` is set, all of its sessions but the one
    /// on `keep_device` end in the same act.
    ///
    /// The caller has made sure that whoever asks may do this.
    ///
    /// # Errors
    ///
    /// [`AuthError::Deactivated`] if there is no such active account, [`AuthError::Busy`], or the
    /// database's failure.
    pub async fn change_password(
        &self,
        user_id: &UserId,
        new_password: Password,
        end_sessions: bool,
        keep_device: Option<&DeviceId>,
    ) -> Result<(), AuthError> {
        let hash = self.hasher.hash(new_password).await?;
        let changed = self
            .accounts
            .set_password(user_id, hash, end_sessions, keep_device)
            .await?;
        self.sessions.forget(user_id, None);
        if changed {
            Ok(())
        } else {
            Err(AuthError::Deactivated)
        }
    }

    /// Deactivates an account for good: its sessions end, its password and data go, its user ID
    /// stays taken.
    ///
    /// The caller has made sure that whoever asks may do this.
    ///
    /// # Errors
    ///
    /// [`AuthError::Deactivated`] if there is no such active account, or the database's failure.
    pub async fn deactivate(&self, user_id: &UserId) -> Result<(), AuthError> {
        let deactivated = self.accounts.deactivate(user_id).await?;
        self.sessions.forget(user_id, None);
        if deactivated {
            Ok(())
        } else {
            Err(AuthError::Deactivated)
        }
    }

    /// The active account that `name` (a localpart or a full user ID) means: for the operator.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn active_user(&self, name: &str) -> Result<Option<OwnedUserId>, AuthError> {
        for user_id in usernames::meant_user_ids(name, &self.settings.server_name) {
            if let Some(account) = self.accounts.account(&user_id).await? {
                return Ok((!account.deactivated).then_some(account.user_id));
            }
        }
        Ok(None)
    }
}
