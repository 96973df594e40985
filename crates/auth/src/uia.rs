//! User-interactive authentication: proving again who one is, for one request.
//!
//! See [user-interactive authentication](https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api).

use greenroom_storage::UiaSession;
use hmac::{Hmac, Mac};
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::{AuthError, AuthService, Identifier, Password, Secret, service::after, tokens};

/// The stage that asks for the password of the requester.
pub const PASSWORD: &str = "m.login.password";
/// The stage that asks for nothing.
pub const DUMMY: &str = "m.login.dummy";
/// The stage that asks for a registration token.
pub const REGISTRATION_TOKEN: &str = "m.login.registration_token";

const SESSION_ID_BYTES: usize = 18;

const REFUSED_SESSION: UiaFailure = UiaFailure {
    errcode: "M_FORBIDDEN",
    error: "This authentication session is unknown, over, or was begun for another request.",
};
const WRONG_STAGE: UiaFailure = UiaFailure {
    errcode: "M_FORBIDDEN",
    error: "This is not the next stage of any flow.",
};
const WRONG_PASSWORD: UiaFailure = UiaFailure {
    errcode: "M_FORBIDDEN",
    error: "Invalid username or password.",
};
pub(crate) const WRONG_REGISTRATION_TOKEN: UiaFailure = UiaFailure {
    errcode: "M_FORBIDDEN",
    error: "This registration token is not valid.",
};

/// What the client still has to prove, as the body of a 401.
#[derive(Clone, Debug, PartialEq)]
pub struct UiaChallenge {
    /// The session to name with the next stage.
    pub session: String,
    /// The ways to complete it, each a list of stages in order.
    pub flows: Vec<Vec<&'static str>>,
    /// The stages completed so far.
    pub completed: Vec<String>,
    /// What a stage needs to know, by stage.
    pub params: Map<String, Value>,
    /// Why the last stage failed, if one did.
    pub failure: Option<UiaFailure>,
}

/// Why a stage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UiaFailure {
    /// The Matrix error code.
    pub errcode: &'static str,
    /// A sentence for people.
    pub error: &'static str,
}

/// What a request brings along to be let through: the `auth` object of its body. Its `Debug` form
/// does not show it.
#[derive(Clone, Default)]
pub struct UiaAttempt(pub Option<Map<String, Value>>);

impl std::fmt::Debug for UiaAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "UiaAttempt(…)"
        } else {
            "UiaAttempt(none)"
        })
    }
}

impl UiaAttempt {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.as_ref()?.get(key)?.as_str()
    }

    /// Whether it carries a password to be compared, which callers limit.
    #[must_use]
    pub fn tries_password(&self) -> bool {
        self.text("type") == Some(PASSWORD)
    }

    /// Whether the password stage means somebody by an address or a number.
    fn names_third_party(&self) -> bool {
        let Some(auth) = &self.0 else { return false };
        let holder = auth.get("identifier").and_then(Value::as_object);
        if let Some(kind) = holder.and_then(|identifier| identifier.get("type")) {
            return kind == "m.id.thirdparty" || kind == "m.id.phone";
        }
        let holder = holder.unwrap_or(auth);
        !auth.contains_key("user")
            && holder.contains_key("medium")
            && holder.contains_key("address")
    }

    /// By which name the password stage means somebody; `user` is how it was said before r0.4.
    fn identifier(&self) -> Identifier {
        let identifier = self.0.as_ref().and_then(|auth| auth.get("identifier"));
        let name = match identifier {
            Some(identifier) if identifier.get("type") == Some(&Value::from("m.id.user")) => {
                identifier.get("user").and_then(Value::as_str)
            }
            Some(_) => None,
            None => self.text("user"),
        };
        name.map_or(Identifier::Unknown, |name| {
            Identifier::User(name.to_owned())
        })
    }
}

/// The act that has to be authorized.
#[derive(Clone, Debug)]
pub struct UiaAct {
    /// Who wants it; `None` for a registration.
    pub user_id: Option<OwnedUserId>,
    /// Method and path, without the API version.
    pub endpoint: &'static str,
    /// A hash of the request without `auth`: what is authorized is this request and no other.
    pub(crate) request_hash: Vec<u8>,
}

/// What was proven on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UiaProof {
    pub(crate) registration_token: Option<String>,
}

/// A session while one request is looked at: from the database, or not stored yet.
struct Progress {
    session: UiaSession,
    stored: bool,
}

impl AuthService {
    /// The act of a logged-in user that `body`, which is without its `auth`, asks for. `endpoint`
    /// is method and path without the API version.
    #[must_use]
    pub fn uia_act(
        &self,
        user_id: &UserId,
        endpoint: &'static str,
        body: &Map<String, Value>,
    ) -> UiaAct {
        let mut mac = keyed_by(&self.uia_secret);
        absorb_object(&mut mac, body);
        UiaAct {
            user_id: Some(user_id.to_owned()),
            endpoint,
            request_hash: mac.finalize().into_bytes().to_vec(),
        }
    }

    /// Lets a request of a logged-in user through if it proves the user's password.
    ///
    /// # Errors
    ///
    /// [`AuthError::Uia`] with what is missing, [`AuthError::PasswordUnusable`] for a password
    /// too long to be looked at, [`AuthError::UnknownThirdPartyId`], [`AuthError::Busy`], or the
    /// database's failure.
    pub async fn authorize(&self, act: UiaAct, attempt: &UiaAttempt) -> Result<(), AuthError> {
        self.authorize_by(act, attempt, vec![vec![PASSWORD]])
            .await
            .map(drop)
    }

    /// Lets a request through that completes one of `flows`.
    pub(crate) async fn authorize_by(
        &self,
        act: UiaAct,
        attempt: &UiaAttempt,
        flows: Vec<Vec<&'static str>>,
    ) -> Result<UiaProof, AuthError> {
        let mut progress = match attempt.text("session") {
            Some(session_id) => match self.resume(session_id, &act).await? {
                Some(session) => Progress {
                    session,
                    stored: true,
                },
                None => return Err(self.begin(act, flows, Some(REFUSED_SESSION)).await?),
            },
            None => Progress {
                session: self.new_session(act.clone())?,
                stored: false,
            },
        };
        // Without a type it asks whether a stage was completed elsewhere, on a fallback page.
        let failure = match attempt.text("type") {
            Some(stage) if progress.session.completed.iter().any(|done| done == stage) => None,
            Some(stage) if is_next(&flows, &progress.session.completed, stage) => {
                match self.prove(stage, attempt, act.user_id.as_deref()).await? {
                    Ok(proof) => {
                        progress.complete(stage, proof);
                        None
                    }
                    Err(failure) => Some(failure),
                }
            }
            Some(_) => Some(WRONG_STAGE),
            None => None,
        };
        if !flows
            .iter()
            .any(|flow| is_complete(flow, &progress.session.completed))
        {
            return Err(self.challenge(progress, flows, failure).await?);
        }
        let proof = UiaProof {
            registration_token: progress.session.proof.take(),
        };
        if progress.stored && !self.uia.finish(&progress.session.session_id).await? {
            // Another request has used it up in the meantime.
            return Err(self.begin(act, flows, Some(REFUSED_SESSION)).await?);
        }
        Ok(proof)
    }

    /// The session of this ID if it was begun by the same user for the same request.
    async fn resume(
        &self,
        session_id: &str,
        act: &UiaAct,
    ) -> Result<Option<UiaSession>, AuthError> {
        let session = self
            .uia
            .uia_session(session_id, self.clock.now_ms())
            .await?;
        Ok(session.filter(|session| {
            session.user_id == act.user_id
                && session.endpoint == act.endpoint
                && session.request_hash == act.request_hash
        }))
    }

    fn new_session(&self, act: UiaAct) -> Result<UiaSession, AuthError> {
        Ok(UiaSession {
            session_id: tokens::random_text::<SESSION_ID_BYTES>()?,
            user_id: act.user_id,
            endpoint: act.endpoint.to_owned(),
            request_hash: act.request_hash,
            completed: Vec::new(),
            proof: None,
            expires_ts_ms: after(self.clock.now_ms(), self.settings.uia_session_lifetime),
        })
    }

    /// A new session with nothing proven.
    pub(crate) async fn begin(
        &self,
        act: UiaAct,
        flows: Vec<Vec<&'static str>>,
        failure: Option<UiaFailure>,
    ) -> Result<AuthError, AuthError> {
        let progress = Progress {
            session: self.new_session(act)?,
            stored: false,
        };
        self.challenge(progress, flows, failure).await
    }

    /// Stores how far the client has come, and says what is missing.
    async fn challenge(
        &self,
        progress: Progress,
        flows: Vec<Vec<&'static str>>,
        failure: Option<UiaFailure>,
    ) -> Result<AuthError, AuthError> {
        let Progress { session, stored } = progress;
        if !stored {
            self.uia.start(session.clone(), self.clock.now_ms()).await?;
        } else if let Some(stage) = session.completed.last() {
            // Completing a stage twice changes nothing.
            self.uia
                .complete_stage(&session.session_id, stage, session.proof.clone())
                .await?;
        }
        Ok(AuthError::Uia(Box::new(UiaChallenge {
            session: session.session_id,
            flows,
            completed: session.completed,
            params: Map::new(),
            failure,
        })))
    }

    /// Tries one stage. What it has proven is what a later step needs of it.
    pub(crate) async fn prove(
        &self,
        stage: &str,
        attempt: &UiaAttempt,
        user_id: Option<&UserId>,
    ) -> Result<Result<Option<String>, UiaFailure>, AuthError> {
        match stage {
            DUMMY => Ok(Ok(None)),
            PASSWORD => self.prove_password(attempt, user_id).await,
            REGISTRATION_TOKEN => {
                let token = attempt.text("token").unwrap_or_default();
                let good = self.registration_token_is_good(token).await?;
                Ok(good
                    .then(|| Some(token.to_owned()))
                    .ok_or(WRONG_REGISTRATION_TOKEN))
            }
            _ => Ok(Err(WRONG_STAGE)),
        }
    }

    async fn prove_password(
        &self,
        attempt: &UiaAttempt,
        user_id: Option<&UserId>,
    ) -> Result<Result<Option<String>, UiaFailure>, AuthError> {
        if attempt.names_third_party() {
            return Err(AuthError::UnknownThirdPartyId);
        }
        let password = attempt.text("password").unwrap_or_default();
        if password.is_empty() {
            return Ok(Err(WRONG_PASSWORD));
        }
        let password = Password::new(password.to_owned())?;
        match self.check_password(&attempt.identifier(), password).await {
            // The right password of somebody else proves nothing.
            Ok(proven) if Some(&*proven) == user_id => Ok(Ok(None)),
            Ok(_) | Err(AuthError::WrongCredentials) => Ok(Err(WRONG_PASSWORD)),
            Err(error) => Err(error),
        }
    }
}

impl Progress {
    fn complete(&mut self, stage: &str, proof: Option<String>) {
        self.session.completed.push(stage.to_owned());
        if proof.is_some() {
            self.session.proof = proof;
        }
    }
}

/// Whether `stage` comes next in a flow that begins with what is completed.
pub(crate) fn is_next(flows: &[Vec<&'static str>], completed: &[String], stage: &str) -> bool {
    flows.iter().any(|flow| {
        flow.get(completed.len()) == Some(&stage)
            && flow
                .iter()
                .zip(completed)
                .all(|(stage, completed)| stage == completed)
    })
}

fn is_complete(flow: &[&'static str], completed: &[String]) -> bool {
    flow.iter()
        .all(|stage| completed.iter().any(|completed| completed == stage))
}

fn keyed_by(secret: &Secret) -> Hmac<Sha256> {
    // A key shorter than a block is filled up with zeros.
    let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (to, from) in key.iter_mut().zip(&secret.0) {
        *to = *from;
    }
    Hmac::new(&key)
}

/// The same for two bodies that mean the same, in whatever order their keys stand.
fn absorb_object(mac: &mut Hmac<Sha256>, object: &Map<String, Value>) {
    let mut fields: Vec<_> = object.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    mac.update(b"{");
    for (key, value) in fields {
        absorb_text(mac, key);
        absorb(mac, value);
    }
    mac.update(b"}");
}

/// Recurses as deep as the value nests, which the JSON parser has bounded.
fn absorb(mac: &mut Hmac<Sha256>, value: &Value) {
    match value {
        Value::Null => mac.update(b"n"),
        Value::Bool(value) => mac.update(if *value { b"t" } else { b"f" }),
        Value::Number(number) => {
            mac.update(b"#");
            absorb_text(mac, &number.to_string());
        }
        Value::String(text) => {
            mac.update(b"s");
            absorb_text(mac, text);
        }
        Value::Array(items) => {
            mac.update(b"[");
            for item in items {
                absorb(mac, item);
            }
            mac.update(b"]");
        }
        Value::Object(object) => absorb_object(mac, object),
    }
}

/// With its length, so that where one text ends is not a matter of what is in it.
fn absorb_text(mac: &mut Hmac<Sha256>, text: &str) {
    mac.update(&(text.len() as u64).to_be_bytes());
    mac.update(text.as_bytes());
}
