//! Why somebody was not let in.

use greenroom_storage::StorageError;

use crate::{passwords::PasswordProblem, uia::UiaChallenge, usernames::UsernameProblem};

/// A failure of authentication or registration. Each variant is a reason that a caller answers
/// differently.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The access token is not, or no longer, known.
    #[error("unknown access token")]
    UnknownToken,
    /// The access token has expired; the session goes on with a refresh or a new login.
    #[error("the access token has expired")]
    ExpiredToken,
    /// The refresh token is unknown, or was used up and replaced.
    #[error("unknown refresh token")]
    UnknownRefreshToken,
    /// The user does not exist, has no password, or the password is wrong: nobody learns which.
    #[error("invalid username or password")]
    WrongCredentials,
    /// Somebody is named by an address or a phone number: this server knows nobody by them.
    #[error("nobody is known here by that address or number")]
    UnknownThirdPartyId,
    /// The account was deactivated. Only said to somebody who is logged in as that user.
    #[error("the account has been deactivated")]
    Deactivated,
    /// Nobody can register here.
    #[error("registration is closed on this server")]
    RegistrationClosed,
    /// The user ID exists already, or did.
    #[error("that user ID is taken")]
    UsernameTaken,
    /// The localpart is kept for something else.
    #[error("that user ID is reserved")]
    UsernameReserved,
    /// The localpart cannot be part of a new user ID.
    #[error("that is not a valid username: {0}")]
    UsernameInvalid(UsernameProblem),
    /// The password cannot be used.
    #[error("that password cannot be used: {0}")]
    PasswordUnusable(PasswordProblem),
    /// The device ID cannot be used.
    #[error("a device ID has 1 to 255 bytes and no control characters")]
    DeviceIdInvalid,
    /// More has to be proven first.
    #[error("user-interactive authentication is needed")]
    Uia(Box<UiaChallenge>),
    /// So many passwords are being checked that this one would wait too long.
    #[error("too many logins are waiting")]
    Busy,
    /// The operating system gave no randomness, or a stored hash is damaged.
    #[error("authentication failed internally: {0}")]
    Internal(&'static str),
    /// The database did not do its part.
    #[error("could not read or write the account")]
    Storage(#[from] StorageError),
}
