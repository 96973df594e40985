//! What an operator can set about accounts.

use std::time::Duration;

use ruma::OwnedServerName;

use crate::ReservedNames;

/// Who can register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Anybody.
    Open,
    /// Whoever has a registration token.
    Token,
    /// Nobody: accounts are made by the operator.
    #[default]
    Closed,
}

/// A secret of this server. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Settings of accounts and sessions.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// The name of this server, after the colon in its users' IDs.
    pub server_name: OwnedServerName,
    /// Who can register.
    pub registration: RegistrationMode,
    /// Localparts that nobody can register.
    pub reserved_names: ReservedNames,
    /// How long an access token lives if the client can refresh it. Others do not expire.
    pub refreshable_token_lifetime: Duration,
    /// How long somebody may take for user-interactive authentication.
    pub uia_session_lifetime: Duration,
    /// What requests are hashed with while somebody authenticates for them: a stored hash of a new
    /// password must be of no use to who reads the database alone. `None` for a random one: then a
    /// restart makes whoever is in the middle of it begin again.
    pub uia_secret: Option<Secret>,
    /// How many passwords are hashed at once, each on one core and in 19 MiB.
    pub password_hashes_at_once: usize,
    /// How many more may wait for that.
    pub password_hashes_waiting: usize,
    /// About how many sessions are kept in memory.
    pub cached_sessions: usize,
}

impl AuthSettings {
    /// The defaults for a server of this name: registration closed, access tokens that can be
    /// refreshed live an hour, half of the cores hash passwords.
    #[must_use]
    pub fn new(server_name: OwnedServerName) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            server_name,
            registration: RegistrationMode::default(),
            reserved_names: ReservedNames::default(),
            refreshable_token_lifetime: Duration::from_hours(1),
            uia_session_lifetime: Duration::from_mins(15),
            uia_secret: None,
            password_hashes_at_once: (cores / 2).max(1),
            password_hashes_waiting: 256,
            cached_sessions: 50_000,
        }
    }
}
