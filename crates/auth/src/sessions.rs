//! From an access token to who speaks: the database decides, memory remembers.

use std::sync::Arc;

use greenroom_model::Clock;
use greenroom_storage::{DeviceStore, Session};
use greenroom_stream::{Change, ChangeKind, ChangeObserver};
use ruma::{DeviceId, UserId};

use crate::{
    AuthError,
    session_cache::SessionCache,
    tokens::{self, TokenKind},
};

/// The sessions of this server.
///
/// Register it as a [`ChangeObserver`]: a token that was revoked is forgotten before whoever
/// revoked it has the answer.
pub struct Sessions {
    devices: Arc<dyn DeviceStore>,
    clock: Arc<dyn Clock>,
    cache: SessionCache,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("cached", &self.cache.len())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions read from `devices`, of which at most about `cached` are kept in memory.
    pub fn new(devices: Arc<dyn DeviceStore>, clock: Arc<dyn Clock>, cached: usize) -> Self {
        Self {
            devices,
            clock,
            cache: SessionCache::new(cached),
        }
    }

    /// Who speaks with this access token.
    ///
    /// # Errors
    ///
    /// [`AuthError::UnknownToken`] if it is none of ours or was revoked,
    /// [`AuthError::ExpiredToken`] if a refresh is due, or the database's failure.
    pub async fn authenticate(&self, access_token: &str) -> Result<Arc<Session>, AuthError> {
        let hash = tokens::parse(TokenKind::Access, access_token).ok_or(AuthError::UnknownToken)?;
        if let Some(session) = self.cache.lookup(hash) {
            return self.unexpired(session);
        }
        let epoch = self.cache.epoch();
        let session = self
            .devices
            .session(hash)
            .await?
            .ok_or(AuthError::UnknownToken)?;
        let session = self.unexpired(Arc::new(session))?;
        // Only a token that can be refreshed expires. Its first use means that the client has it:
        // from here on the refresh token that it was traded for is dead.
        if session.access_expires_ts_ms.is_some() {
            self.devices.confirm_refresh(hash).await?;
        }
        self.cache.insert(hash, Arc::clone(&session), epoch);
        Ok(session)
    }

    /// Forgets what memory holds of a user's device, or of all their devices.
    pub(crate) fn forget(&self, user_id: &UserId, device_id: Option<&DeviceId>) {
        self.cache.forget(user_id, device_id);
    }

    fn unexpired(&self, session: Arc<Session>) -> Result<Arc<Session>, AuthError> {
        match session.access_expires_ts_ms {
            Some(expiry) if expiry <= self.clock.now_ms() => Err(AuthError::ExpiredToken),
            Some(_) | None => Ok(session),
        }
    }
}

impl ChangeObserver for Sessions {
    fn changed(&self, changes: &[Change]) {
        for change in changes {
            if let ChangeKind::SessionsEnded { user_id, device_id } = &change.kind {
                self.forget(user_id, device_id.as_deref());
            }
        }
    }

    fn forget(&self) {
        self.cache.clear();
    }
}
