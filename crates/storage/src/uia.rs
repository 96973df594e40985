//! Sessions of user-interactive authentication.

use async_trait::async_trait;
use ruma::OwnedUserId;

use crate::StorageError;

/// A user-interactive authentication under way. See [user-interactive
/// authentication](https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiaSession {
    /// The session ID handed to the client: at least 128 random bits.
    pub session_id: String,
    /// Who started it; `None` before there is a user (registration).
    pub user_id: Option<OwnedUserId>,
    /// Method and path, without the API version: a session is good for one endpoint.
    pub endpoint: String,
    /// A hash of the request without `auth`: a session is good for one request.
    pub request_hash: Vec<u8>,
    /// The stages completed so far, in order.
    pub completed: Vec<String>,
    /// What a stage has proven and a later step needs (the registration token).
    pub proof: Option<String>,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_ts_ms: u64,
}

/// Sessions of user-interactive authentication. They are in the database so that any process that
/// serves it can go on with them.
#[async_trait]
pub trait UiaStore: Send + Sync {
    /// Starts a session, and forgets those that have expired by `now_ms`.
    async fn start(&self, session: UiaSession, now_ms: u64) -> Result<(), StorageError>;

    /// The session, if it has not expired by `now_ms`.
    async fn uia_session(
        &self,
        session_id: &str,
        now_ms: u64,
    ) -> Result<Option<UiaSession>, StorageError>;

    /// Adds a completed stage (and its proof); completing a stage twice changes nothing.
    async fn complete_stage(
        &self,
        session_id: &str,
        stage: &str,
        proof: Option<String>,
    ) -> Result<(), StorageError>;

    /// Ends the session: it authorizes one act. False if somebody else has ended it before.
    async fn finish(&self, session_id: &str) -> Result<bool, StorageError>;
}
