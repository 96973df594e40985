//! Accounts and the tokens that allow to register one.

use async_trait::async_trait;
use ruma::{OwnedUserId, UserId};

use crate::{NewSession, StorageError};

/// A local account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The full user ID.
    pub user_id: OwnedUserId,
    /// The argon2id hash in PHC format; `None` if the account has no password.
    pub password_hash: Option<String>,
    /// Whether the account administers this server.
    pub admin: bool,
    /// Whether the account was deactivated: its ID is never given out again.
    pub deactivated: bool,
    /// When it was registered, in milliseconds since the Unix epoch.
    pub created_ts_ms: u64,
}

/// An account to be created.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The full user ID.
    pub user_id: OwnedUserId,
    /// The argon2id hash in PHC format; `None` for an account without a password.
    pub password_hash: Option<String>,
    /// Whether the account administers this server.
    pub admin: bool,
    /// Now, in milliseconds since the Unix epoch.
    pub created_ts_ms: u64,
}

/// How a registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The account exists now, with its first session if one was asked for.
    Done,
    /// The user ID is taken (also by a deactivated account); nothing was written.
    UserIdTaken,
    /// The registration token is unknown, expired or used up; nothing was written.
    TokenRefused,
}

/// A token that allows a number of registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// The token as handed to people: 1 to 64 characters of `[A-Za-z0-9._~-]`.
    pub token: String,
    /// How many registrations it allows; `None` for any number.
    pub uses_allowed: Option<u64>,
    /// How many it has served.
    pub uses: u64,
    /// When it stops working, in milliseconds since the Unix epoch; `None` for never.
    pub expires_ts_ms: Option<u64>,
}

/// Accounts, passwords and registration tokens.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Creates an account and, in the same act, its first session, and uses up one use of
    /// `registration_token` if one is given. The check and the use of the token are one: a token
    /// for one account makes one account however many ask at once.
    async fn register(
        &self,
        account: NewAccount,
        session: Option<NewSession>,
        registration_token: Option<String>,
    ) -> Result<Registration, StorageError>;

    /// The account, also if it is deactivated.
    async fn account(&self, user_id: &UserId) -> Result<Option<Account>, StorageError>;

    /// Replaces the password. Sessions other than those on `keep_device` end in the same act if
    /// `end_sessions` is set. False if there is no such active account.
    async fn set_password(
        &self,
        user_id: &UserId,
        password_hash: String,
        end_sessions: bool,
        keep_device: Option<&ruma::DeviceId>,
    ) -> Result<bool, StorageError>;

    /// Deactivates the account: password, profile, devices, tokens, account data and aliases'
    /// ownership go; the ID stays taken. False if there is no such active account.
    async fn deactivate(&self, user_id: &UserId) -> Result<bool, StorageError>;

    /// Creates a registration token. [`StorageError::Conflict`] if it exists.
    async fn create_registration_token(&self, token: RegistrationToken)
    -> Result<(), StorageError>;

    /// The registration token, also if it is used up or expired.
    async fn registration_token(
        &self,
        token: &str,
    ) -> Result<Option<RegistrationToken>, StorageError>;

    /// All registration tokens, ordered by token.
    async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, StorageError>;

    /// Deletes a registration token. False if there is none.
    async fn delete_registration_token(&self, token: &str) -> Result<bool, StorageError>;
}
