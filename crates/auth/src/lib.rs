//! Who you are: accounts, passwords, sessions and user-interactive authentication.
//!
//! The database is the truth, this crate decides, the HTTP layer translates.

mod accounts;
mod error;
#[cfg(test)]
mod fakes;
mod login;
mod passwords;
mod refresh;
mod register;
mod registration_tokens;
mod service;
#[cfg(test)]
mod service_tests;
mod session_cache;
mod sessions;
mod settings;
mod tokens;
mod uia;
mod uia_fallback;
#[cfg(test)]
mod uia_tests;
mod usernames;

pub use error::AuthError;
pub use login::{Identifier, LoginRequest};
pub use passwords::{MAX_PASSWORD_BYTES, Password, PasswordHasher, PasswordProblem};
pub use register::{RegisterRequest, Registered};
pub use service::{AuthService, DeviceRequest, LoggedIn};
pub use sessions::Sessions;
pub use settings::{AuthSettings, RegistrationMode, Secret};
pub use tokens::Token;
pub use uia::{DUMMY, PASSWORD, REGISTRATION_TOKEN, UiaAct, UiaAttempt, UiaChallenge, UiaFailure};
pub use uia_fallback::UiaFallback;
pub use usernames::{ReservedNames, UsernameProblem};
