//! The service that the HTTP layer and the command line ask.

use std::{fmt, sync::Arc, time::Duration};

use greenroom_model::Clock;
use greenroom_storage::{AccountStore, DeviceStore, NewSession, UiaStore};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::{
    AuthError, AuthSettings, PasswordHasher, Secret, Sessions, Token,
    tokens::{self, TokenKind},
};

/// The longest device ID in bytes.
const MAX_DEVICE_ID_BYTES: usize = 255;
/// The longest device name in characters; the rest is cut off.
const MAX_DISPLAY_NAME_CHARS: usize = 256;
const DEVICE_ID_LETTERS: usize = 10;

/// Accounts, logins and user-interactive authentication. Its methods are in the modules by the
/// names of what they do: `register`, `login`, `refresh`, `uia`, `accounts`,
/// `registration_tokens`.
pub struct AuthService {
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) devices: Arc<dyn DeviceStore>,
    pub(crate) uia: Arc<dyn UiaStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) hasher: PasswordHasher,
    pub(crate) uia_secret: Secret,
    pub(crate) settings: AuthSettings,
}

impl fmt::Debug for AuthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The device that a client wants to log in as.
#[derive(Clone, Debug, Default)]
pub struct DeviceRequest {
    /// Its ID; `None` to be given one.
    pub device_id: Option<OwnedDeviceId>,
    /// Its name, if the device is new.
    pub display_name: Option<String>,
    /// Whether the client can refresh its access token.
    pub refresh_token: bool,
}

impl DeviceRequest {
    /// Whether there can be such a device.
    pub(crate) fn check(&self) -> Result<(), AuthError> {
        match &self.device_id {
            Some(device_id) if !is_device_id(device_id) => Err(AuthError::DeviceIdInvalid),
            Some(_) | None => Ok(()),
        }
    }
}

/// A session that was made: what the client is told.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The user.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The token that goes with every request.
    pub access_token: Token,
    /// The token that buys the next pair, for clients that asked for one.
    pub refresh_token: Option<Token>,
    /// How long the access token lives; `None` for as long as the session.
    pub expires_in: Option<Duration>,
}

/// A session that is not stored yet, in both of its forms.
pub(crate) struct PreparedSession {
    pub(crate) stored: NewSession,
    pub(crate) told: LoggedIn,
}

impl AuthService {
    /// The service over these stores.
    ///
    /// Register [`Self::sessions`] as an observer of the change stream.
    ///
    /// # Errors
    ///
    /// If the operating system gives no randomness.
    pub fn new(
        accounts: Arc<dyn AccountStore>,
        devices: Arc<dyn DeviceStore>,
        uia: Arc<dyn UiaStore>,
        clock: Arc<dyn Clock>,
        settings: AuthSettings,
    ) -> Result<Self, AuthError> {
        let sessions = Arc::new(Sessions::new(
            Arc::clone(&devices),
            Arc::clone(&clock),
            settings.cached_sessions,
        ));
        let hasher = PasswordHasher::new(
            settings.password_hashes_at_once,
            settings.password_hashes_waiting,
        );
        let uia_secret = match &settings.uia_secret {
            Some(secret) => secret.clone(),
            None => Secret(tokens::random_bytes()?),
        };
        Ok(Self {
            accounts,
            devices,
            uia,
            clock,
            sessions,
            hasher,
            uia_secret,
            settings,
        })
    }

    /// The sessions: who speaks with which access token.
    #[must_use]
    pub fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    /// What was set.
    #[must_use]
    pub fn settings(&self) -> &AuthSettings {
        &self.settings
    }

    /// Makes tokens for a device, and stores nothing.
    pub(crate) fn prepare_session(
        &self,
        user_id: OwnedUserId,
        device: DeviceRequest,
    ) -> Result<PreparedSession, AuthError> {
        device.check()?;
        let device_id = match device.device_id {
            Some(device_id) => device_id,
            None => random_device_id()?,
        };
        let display_name = device
            .display_name
            .map(|name| name.chars().take(MAX_DISPLAY_NAME_CHARS).collect());
        let now_ms = self.clock.now_ms();
        let access_token = tokens::generate(TokenKind::Access)?;
        let refresh_token = device
            .refresh_token
            .then(|| tokens::generate(TokenKind::Refresh))
            .transpose()?;
        let expires_in = device
            .refresh_token
            .then_some(self.settings.refreshable_token_lifetime);
        Ok(PreparedSession {
            stored: NewSession {
                device_id: device_id.clone(),
                display_name,
                access_token: access_token.hash(),
                access_expires_ts_ms: expires_in.map(|lifetime| after(now_ms, lifetime)),
                refresh_token: refresh_token.as_ref().map(Token::hash),
                created_ts_ms: now_ms,
            },
            told: LoggedIn {
                user_id,
                device_id,
                access_token,
                refresh_token,
                expires_in,
            },
        })
    }

    /// Ends one session.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn logout(&self, user_id: &UserId, device_id: &DeviceId) -> Result<(), AuthError> {
        // False means that another request has logged the device out before: it is out.
        self.devices.delete_device(user_id, device_id).await?;
        self.sessions.forget(user_id, Some(device_id));
        Ok(())
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn logout_all(&self, user_id: &UserId) -> Result<(), AuthError> {
        self.devices.delete_devices(user_id).await?;
        self.sessions.forget(user_id, None);
        Ok(())
    }
}

/// `lifetime` after `now_ms`, in milliseconds since the Unix epoch.
pub(crate) fn after(now_ms: u64, lifetime: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX))
}

fn is_device_id(device_id: &DeviceId) -> bool {
    let text = device_id.as_str();
    (1..=MAX_DEVICE_ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn random_device_id() -> Result<OwnedDeviceId, AuthError> {
    let letters: String = tokens::random_bytes::<DEVICE_ID_LETTERS>()?
        .into_iter()
        .map(|byte| char::from(b'A' + byte % 26))
        .collect();
    Ok(letters.into())
}
