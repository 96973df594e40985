//! Who you are: accounts, passwords, sessions and user-interactive authentication.
//!
//! The database is the truth, this crate decides, the HTTP layer translates.

mod error;
mod passwords;
mod session_cache;
mod sessions;
mod tokens;
mod uia;
mod usernames;

pub use error::AuthError;
pub use passwords::{MAX_PASSWORD_BYTES, Password, PasswordHasher, PasswordProblem};
pub use sessions::Sessions;
pub use tokens::Token;
pub use uia::{UiaChallenge, UiaFailure};
pub use usernames::{ReservedNames, UsernameProblem};
