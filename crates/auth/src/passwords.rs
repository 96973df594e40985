//! Passwords: argon2id on a bounded pool.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{AuthError, tokens};

/// The longest password in bytes. Argon2 would read a megabyte of it as gladly; nobody types one.
pub const MAX_PASSWORD_BYTES: usize = 512;

const MEMORY_KIB: u32 = 19 * 1024;
const ITERATIONS: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// What an unknown user's password is compared with, so that the answer takes as long as for a
/// known one. No password has this hash.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$R3JlZW5yb29tTm9ib2R5cw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordProblem {
    /// It has no characters.
    Empty,
    /// It has more than [`MAX_PASSWORD_BYTES`].
    TooLong,
}

impl fmt::Display for PasswordProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => write!(f, "it is longer than {MAX_PASSWORD_BYTES} bytes"),
        }
    }
}

/// A password in the clear, checked for length. Its `Debug` form does not show it.
pub struct Password(String);

impl Password {
    /// Accepts a password for hashing.
    ///
    /// # Errors
    ///
    /// [`AuthError::PasswordUnusable`].
    pub fn new(password: String) -> Result<Self, AuthError> {
        match password.len() {
            0 => Err(AuthError::PasswordUnusable(PasswordProblem::Empty)),
            1..=MAX_PASSWORD_BYTES => Ok(Self(password)),
            _ => Err(AuthError::PasswordUnusable(PasswordProblem::TooLong)),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashes and compares passwords, a few at a time.
///
/// One hash takes about 20 ms of a core and 19 MiB. However many ask, no more than `at_once` run,
/// and no more than `waiting` wait for them; the next one is [`AuthError::Busy`].
#[derive(Debug)]
pub struct PasswordHasher {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl PasswordHasher {
    /// A hasher that runs `at_once` (at least 1) hashes and lets `waiting` more queue up.
    #[must_use]
    pub fn new(at_once: usize, waiting: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(at_once + waiting)),
        }
    }

    /// The hash of a password, in PHC format, with a salt of its own.
    ///
    /// # Errors
    ///
    /// [`AuthError::Busy`] if too many are waiting.
    pub async fn hash(&self, password: Password) -> Result<String, AuthError> {
        let salt = tokens::random_bytes::<SALT_BYTES>()?;
        self.run(move || {
            argon2()?
                .hash_password_with_salt(password.0.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|_| AuthError::Internal("argon2 could not hash"))
        })
        .await
    }

    /// Whether a password fits `hash`. Without a hash the answer is no, after as long a time.
    ///
    /// # Errors
    ///
    /// [`AuthError::Busy`] if too many are waiting, [`AuthError::Internal`] if `hash` is not one.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
    ) -> Result<bool, AuthError> {
        self.run(move || {
            let parsed = PasswordHash::new(hash.as_deref().unwrap_or(NOBODYS_HASH))
                .map_err(|_| AuthError::Internal("a stored password hash is damaged"))?;
            // The parameters are the hash's own: old hashes stay valid when ours grow.
            let fits = argon2()?
                .verify_password(password.0.as_bytes(), &parsed)
                .is_ok();
            Ok(fits && hash.is_some())
        })
        .await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that hashes passwords, bounded by its own semaphores"
    )]
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| AuthError::Busy)?;
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| AuthError::Busy)?;
        tokio::task::spawn_blocking(move || {
            let outcome = work();
            // Held to the end of the work, also if nobody waits for it any more.
            drop((running, admitted));
            outcome
        })
        .await
        .unwrap_or(Err(AuthError::Internal("the password hasher stopped")))
    }
}

fn argon2() -> Result<Argon2<'static>, AuthError> {
    let params = Params::new(MEMORY_KIB, ITERATIONS, LANES, None)
        .map_err(|_| AuthError::Internal("argon2 refused its parameters"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hasher = PasswordHasher::new(1, 4);
        let hash = hasher.hash(password("wordpass")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            hasher
                .verify(password("wordpass"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify(password("Wordpass"), Some(hash))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn without_a_hash_no_password_fits_and_work_is_done_all_the_same() {
        PasswordHash::new(NOBODYS_HASH).unwrap();
        let hasher = PasswordHasher::new(1, 4);
        assert!(!hasher.verify(password("x"), None).await.unwrap());
    }

    #[tokio::test]
    async fn one_too_many_is_turned_away() {
        let hasher = PasswordHasher::new(1, 0);
        let held = Arc::clone(&hasher.admitted).try_acquire_owned().unwrap();
        assert!(matches!(
            hasher.hash(password("x")).await,
            Err(AuthError::Busy)
        ));
        drop(held);
        assert!(hasher.hash(password("x")).await.is_ok());
    }

    #[test]
    fn b50_a_megabyte_is_refused_before_it_is_hashed() {
        let refused = Password::new("x".repeat(1_000_000)).unwrap_err();
        assert!(matches!(
            refused,
            AuthError::PasswordUnusable(PasswordProblem::TooLong)
        ));
        assert!(Password::new("x".repeat(MAX_PASSWORD_BYTES)).is_ok());
        assert!(Password::new(String::new()).is_err());
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert_eq!(format!("{:?}", password("hunter2")), "Password(…)");
    }
}
