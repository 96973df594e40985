//! Stages of user-interactive authentication that are completed on a page of this server's.
//!
//! See [fallback](https://spec.matrix.org/v1.19/client-server-api/#fallback).

use ruma::OwnedUserId;
use serde_json::Map;

use crate::{
    AuthError, AuthService, DUMMY, PASSWORD, REGISTRATION_TOKEN, UiaAttempt, UiaFailure,
    uia::is_next,
};

/// A session one of whose stages can be completed on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiaFallback {
    /// Who has to prove that they are who they are; `None` for a registration.
    pub user_id: Option<OwnedUserId>,
    /// Method and path of what was asked for, without the API version.
    pub endpoint: String,
    /// Whether the stage is completed already.
    pub completed: bool,
}

impl AuthService {
    /// The session, if `stage` is completed in it or can be now; `None` if the session is
    /// unknown or over, or has no such stage.
    ///
    /// # Errors
    ///
    /// The database's failure.
    pub async fn uia_fallback(
        &self,
        session_id: &str,
        stage: &str,
    ) -> Result<Option<UiaFallback>, AuthError> {
        let now_ms = self.clock.now_ms();
        let Some(session) = self.uia.uia_session(session_id, now_ms).await? else {
            return Ok(None);
        };
        let flows = match session.user_id {
            Some(_) => vec![vec![PASSWORD]],
            None => match self.registration_flows() {
                Ok(flows) => flows,
                Err(_) => return Ok(None),
            },
        };
        let completed = session.completed.iter().any(|done| done == stage);
        let offered = completed || is_next(&flows, &session.completed, stage);
        Ok(offered.then_some(UiaFallback {
            user_id: session.user_id,
            endpoint: session.endpoint,
            completed,
        }))
    }

    /// Completes a stage with what somebody has typed on its page: a password, a registration
    /// token, nothing. `None` if the session is not there for this, see [`Self::uia_fallback`].
    ///
    /// # Errors
    ///
    /// [`AuthError::PasswordUnusable`] for a password too long to be looked at,
    /// [`AuthError::Busy`], or the database's failure.
    pub async fn complete_stage(
        &self,
        session_id: &str,
        stage: &str,
        typed: &str,
    ) -> Result<Option<Result<(), UiaFailure>>, AuthError> {
        let Some(session) = self.uia_fallback(session_id, stage).await? else {
            return Ok(None);
        };
        if session.completed {
            return Ok(Some(Ok(())));
        }
        let mut attempt = Map::new();
        match stage {
            PASSWORD => {
                let user = session.user_id.as_ref().map(ToString::to_string);
                attempt.insert("user".to_owned(), user.into());
                attempt.insert("password".to_owned(), typed.into());
            }
            REGISTRATION_TOKEN => {
                attempt.insert("token".to_owned(), typed.into());
            }
            DUMMY => {}
            _ => return Ok(None),
        }
        let attempt = UiaAttempt(Some(attempt));
        match self
            .prove(stage, &attempt, session.user_id.as_deref())
            .await?
        {
            Ok(proof) => {
                self.uia.complete_stage(session_id, stage, proof).await?;
                Ok(Some(Ok(())))
            }
            Err(failure) => Ok(Some(Err(failure))),
        }
    }
}
