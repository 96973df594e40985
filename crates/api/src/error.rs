//! What a client sees when something goes wrong.

use std::{borrow::Cow, fmt, num::NonZeroU32, sync::LazyLock, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use greenroom_account::AccountError;
use greenroom_auth::{AuthError, PasswordProblem, UiaChallenge};
use greenroom_ephemeral::EphemeralError;
use greenroom_events::EventError;
use greenroom_push::{PushError, PusherError};
use greenroom_rooms::RoomError;
use greenroom_storage::StorageError;
use greenroom_sync::SyncError;
use serde_json::{Map, Value, json};

use crate::sparing_log::SparingLog;

/// How long a client waits before it tries again what the server could not do now.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(2);

/// Mistakes of ours differ, so that some of them are wanted in full.
static INTERNAL_ERRORS: LazyLock<SparingLog> = LazyLock::new(|| {
    const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
    SparingLog::new(AT_ONCE)
});
static UNAVAILABLE_DATABASE: LazyLock<SparingLog> =
    LazyLock::new(|| SparingLog::new(NonZeroU32::MIN));
static SILENT_ROOMS: LazyLock<SparingLog> = LazyLock::new(|| SparingLog::new(NonZeroU32::MIN));

/// An error answer: a status, a Matrix error code, a sentence, and what else the code asks for.
///
/// See [standard error response](https://spec.matrix.org/v1.19/client-server-api/#standard-error-response).
pub struct ApiError(Box<Answer>);

struct Answer {
    status: StatusCode,
    body: Map<String, Value>,
    retry_after: Option<Duration>,
    allow: Option<String>,
}

impl ApiError {
    /// An error with a Matrix error code and a sentence for people. The sentence must hold no
    /// secret and nothing of the server's inside.
    pub fn new(
        status: StatusCode,
        errcode: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut body = Map::new();
        body.insert("errcode".to_owned(), errcode.into());
        body.insert("error".to_owned(), message.into().into_owned().into());
        Self(Box::new(Answer {
            status,
            body,
            retry_after: None,
            allow: None,
        }))
    }

    /// 400 with one of the codes for what a client should have written differently.
    pub fn bad_request(errcode: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, errcode, message)
    }

    /// 400 `M_BAD_JSON`: JSON, but not of the shape that was asked for.
    pub fn bad_json(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_BAD_JSON", message)
    }

    /// 400 `M_NOT_JSON`.
    pub fn not_json(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_NOT_JSON", message)
    }

    /// 400 `M_INVALID_PARAM`: a parameter of the path or the query has a wrong value.
    pub fn invalid_param(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_INVALID_PARAM", message)
    }

    /// 400 `M_MISSING_PARAM`: a parameter of the query is missing.
    pub fn missing_param(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("M_MISSING_PARAM", message)
    }

    /// 403 `M_FORBIDDEN`.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", message)
    }

    /// 404 `M_NOT_FOUND`.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", message)
    }

    /// 413 `M_TOO_LARGE`.
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", message)
    }

    /// 404 `M_UNRECOGNIZED`: there is no such endpoint.
    #[must_use]
    pub fn unrecognized() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "M_UNRECOGNIZED",
            "There is no such endpoint.",
        )
    }

    /// 405 `M_UNRECOGNIZED`: the endpoint exists for other methods, listed in `allow`.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let mut error = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "M_UNRECOGNIZED",
            "This endpoint does not know this method.",
        );
        error.0.allow = Some(allow);
        error
    }

    /// 401 `M_MISSING_TOKEN`.
    pub fn missing_token(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", message)
    }

    /// 429 `M_LIMIT_EXCEEDED`: wait this long.
    #[must_use]
    pub fn limit_exceeded(retry_after: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "M_LIMIT_EXCEEDED",
            "Too many requests.",
        )
        .with_field("retry_after_ms", json!(whole_millis(retry_after)))
        .with_retry_after(retry_after)
    }

    /// 503 `M_UNKNOWN`: the server cannot do this now; the same request later may succeed.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", message)
            .with_retry_after(RETRY_UNAVAILABLE)
    }

    /// 500 `M_UNKNOWN` with a fixed sentence; the cause goes to the log and nowhere else.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        INTERNAL_ERRORS
            .write(|unwritten| tracing::error!(error = %cause, unwritten, "internal error"));
        Self::internal_silently()
    }

    /// The same for a cause that is in the log already.
    pub(crate) fn internal_silently() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "M_UNKNOWN",
            "Something went wrong on this server.",
        )
    }

    /// 403 `M_SERVER_NOT_TRUSTED`: an invite by an address would need an identity server, and this
    /// server trusts none.
    pub(crate) fn no_identity_server() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "M_SERVER_NOT_TRUSTED",
            "This server asks no identity server, so it can only invite by user ID.",
        )
    }

    /// 400 `M_UNSUPPORTED_ROOM_VERSION` for what is not even the name of a version.
    pub(crate) fn unsupported_room_version() -> Self {
        Self::bad_request(
            "M_UNSUPPORTED_ROOM_VERSION",
            "This server does not know this room version.",
        )
    }

    /// 401 with what user-interactive authentication still needs.
    #[must_use]
    pub fn uia(challenge: UiaChallenge) -> Self {
        let flows: Vec<Value> = challenge
            .flows
            .into_iter()
            .map(|stages| json!({ "stages": stages }))
            .collect();
        let mut body = Map::new();
        body.insert("flows".to_owned(), flows.into());
        body.insert("params".to_owned(), challenge.params.into());
        body.insert("session".to_owned(), challenge.session.into());
        if !challenge.completed.is_empty() {
            body.insert("completed".to_owned(), challenge.completed.into());
        }
        if let Some(failure) = challenge.failure {
            body.insert("errcode".to_owned(), failure.errcode.into());
            body.insert("error".to_owned(), failure.error.into());
        }
        Self(Box::new(Answer {
            status: StatusCode::UNAUTHORIZED,
            body,
            retry_after: None,
            allow: None,
        }))
    }

    /// Adds a field to the body, next to `errcode` and `error`.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: Value) -> Self {
        self.0.body.insert(name.to_owned(), value);
        self
    }

    /// Adds a `Retry-After` header, in whole seconds, at least one.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// The Matrix error code, if the answer has one.
    #[must_use]
    pub fn errcode(&self) -> Option<&str> {
        self.0.body.get("errcode").and_then(Value::as_str)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("status", &self.0.status)
            .field("body", &self.0.body)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            self.0.status.as_u16(),
            self.errcode().unwrap_or("without a code")
        )
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        if let Some(retry_after) = self.0.retry_after {
            response.insert_header((header::RETRY_AFTER, whole_seconds(retry_after)));
        }
        if let Some(allow) = &self.0.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        response.json(&self.0.body)
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// Rounded up, so that a client that waits this long does not come too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
        .max(1)
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => {
                UNAVAILABLE_DATABASE.write(
                    |unwritten| tracing::warn!(%error, unwritten, "the database is unavailable"),
                );
                Self::unavailable("The server's database is not available now. Try again soon.")
            }
            StorageError::Overloaded => {
                Self::unavailable("The server is too busy to do this now. Try again soon.")
            }
            // Whoever can meet a conflict or a stale head decides what it means. Here nobody did.
            StorageError::Conflict
            | StorageError::StaleHead
            | StorageError::DuplicateAnnotation
            | StorageError::Damaged(_)
            | StorageError::Failed(_) => Self::internal(&error),
        }
    }
}

impl From<SyncError> for ApiError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::UnknownToken | SyncError::NoSuchFilter | SyncError::BadRequest(_) => {
                Self::invalid_param(sentence(&error))
            }
            SyncError::UnknownPos => Self::bad_request("M_UNKNOWN_POS", sentence(&error)),
            SyncError::BadFilter(_) => Self::bad_json(sentence(&error)),
            // Not M_LIMIT_EXCEEDED: waiting does not help.
            SyncError::TooManyFilters => Self::bad_request(
                "M_UNKNOWN",
                "You have stored as many filters as one user may.",
            ),
            SyncError::NotInRoom => Self::forbidden(sentence(&error)),
            SyncError::Event(_) => Self::internal(&error),
            SyncError::Storage(cause) => cause.into(),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::UnknownToken => unknown_token("Unknown access token.", false),
            AuthError::ExpiredToken => unknown_token("The access token has expired.", true),
            AuthError::UnknownRefreshToken => unknown_token("Unknown refresh token.", true),
            AuthError::WrongCredentials => Self::forbidden("Invalid username or password."),
            AuthError::UnknownThirdPartyId => Self::forbidden(sentence(&error)),
            AuthError::Deactivated => Self::new(
                StatusCode::FORBIDDEN,
                "M_USER_DEACTIVATED",
                "This account has been deactivated.",
            ),
            AuthError::RegistrationClosed => {
                Self::forbidden("Registration is closed on this server.")
            }
            AuthError::UsernameTaken => {
                Self::bad_request("M_USER_IN_USE", "That user ID is already taken.")
            }
            AuthError::UsernameReserved => {
                Self::bad_request("M_EXCLUSIVE", "That user ID is reserved.")
            }
            AuthError::UsernameInvalid(_) => {
                Self::bad_request("M_INVALID_USERNAME", sentence(&error))
            }
            AuthError::PasswordUnusable(PasswordProblem::Empty) => {
                Self::bad_request("M_WEAK_PASSWORD", sentence(&error))
            }
            AuthError::PasswordUnusable(PasswordProblem::TooLong) | AuthError::DeviceIdInvalid => {
                Self::invalid_param(sentence(&error))
            }
            AuthError::Uia(challenge) => Self::uia(*challenge),
            AuthError::Busy => Self::unavailable("Too many logins are waiting. Try again soon."),
            AuthError::Internal(_) => Self::internal(&error),
            AuthError::Storage(cause) => cause.into(),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Forbidden => Self::forbidden(sentence(&error)),
            AccountError::NotFound { .. } => Self::not_found(sentence(&error)),
            AccountError::InvalidParam(_) => Self::invalid_param(sentence(&error)),
            AccountError::BadJson(_) => Self::bad_json(sentence(&error)),
            AccountError::ManagedByServer { .. } => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "M_BAD_JSON",
                sentence(&error),
            ),
            AccountError::ProfileTooLarge { .. } => {
                Self::bad_request("M_PROFILE_TOO_LARGE", sentence(&error))
            }
            AccountError::KeyTooLarge { .. } => {
                Self::bad_request("M_KEY_TOO_LARGE", sentence(&error))
            }
            AccountError::TooLarge { .. } => Self::too_large(sentence(&error)),
            AccountError::Storage(cause) => cause.into(),
        }
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::NoSuchRule => Self::not_found(sentence(&error)),
            PushError::InvalidParam(_) | PushError::UnknownToken => {
                Self::invalid_param(sentence(&error))
            }
            PushError::NoSuchNeighbor(_) => Self::bad_request("M_UNKNOWN", sentence(&error)),
            PushError::TooMany(_) | PushError::TooLarge { .. } => Self::too_large(sentence(&error)),
            PushError::Event(_) => Self::internal(&error),
            PushError::Unanswered(cause) => StorageError::Unavailable(cause.0).into(),
            PushError::Storage(cause) => cause.into(),
        }
    }
}

impl From<PusherError> for ApiError {
    fn from(error: PusherError) -> Self {
        match error {
            PusherError::Missing(_) => Self::missing_param(sentence(&error)),
            PusherError::Invalid(_) | PusherError::Kind => Self::invalid_param(sentence(&error)),
            // Not M_LIMIT_EXCEEDED: waiting does not help.
            PusherError::TooMany => Self::bad_request("M_UNKNOWN", sentence(&error)),
            PusherError::LoggedOut => unknown_token("Unknown access token.", false),
            PusherError::Storage(cause) => cause.into(),
        }
    }
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::NotInRoom | RoomError::Forbidden(_) => Self::forbidden(sentence(&error)),
            RoomError::NoSuchRoom
            | RoomError::NoSuchEvent
            | RoomError::NoSuchState
            | RoomError::NoSuchAlias
            | RoomError::NoSuchUser(_)
            | RoomError::NotLocal(_) => Self::not_found(sentence(&error)),
            RoomError::StillInRoom | RoomError::NestedThread => {
                Self::bad_request("M_UNKNOWN", sentence(&error))
            }
            RoomError::DuplicateAnnotation => {
                Self::bad_request("M_DUPLICATE_ANNOTATION", sentence(&error))
            }
            RoomError::InviteBlocked(_) => {
                Self::new(StatusCode::FORBIDDEN, "M_INVITE_BLOCKED", sentence(&error))
            }
            RoomError::Event(cause) => Self::from(&*cause),
            RoomError::BadState(_) => {
                Self::new(StatusCode::FORBIDDEN, "M_BAD_STATE", sentence(&error))
            }
            RoomError::BadAlias(_) => Self::bad_request("M_BAD_ALIAS", sentence(&error)),
            RoomError::AliasTaken(_) => {
                Self::new(StatusCode::CONFLICT, "M_UNKNOWN", sentence(&error))
            }
            RoomError::UnsupportedVersion(_) => {
                Self::bad_request("M_UNSUPPORTED_ROOM_VERSION", sentence(&error))
            }
            RoomError::InvalidRoomState(_) => {
                Self::bad_request("M_INVALID_ROOM_STATE", sentence(&error))
            }
            RoomError::InvalidParam(_) => Self::invalid_param(sentence(&error)),
            RoomError::Busy => Self::unavailable("This room is too busy now. Try again soon."),
            RoomError::Stopped => {
                SILENT_ROOMS
                    .write(|unwritten| tracing::warn!(%error, unwritten, "a room does not answer"));
                Self::unavailable("This room does not answer now. Try again soon.")
            }
            // It is in the log already.
            RoomError::Panicked => Self::internal_silently(),
            RoomError::Storage(cause) => cause.into(),
        }
    }
}

impl From<&EventError> for ApiError {
    fn from(error: &EventError) -> Self {
        match error {
            EventError::TooLarge { .. } => Self::too_large(sentence(error)),
            EventError::BadJson(_) => Self::bad_json(sentence(error)),
            EventError::InvalidParam(_) => Self::invalid_param(sentence(error)),
            EventError::Forbidden(_) => Self::forbidden(sentence(error)),
            EventError::Broken(_) => Self::internal(error),
        }
    }
}

impl From<EphemeralError> for ApiError {
    fn from(error: EphemeralError) -> Self {
        match error {
            EphemeralError::AnotherUser
            | EphemeralError::NotJoined
            | EphemeralError::PresenceHidden => Self::forbidden(sentence(&error)),
            EphemeralError::UnknownEvent => Self::not_found(sentence(&error)),
            EphemeralError::InvalidParam(_) => Self::invalid_param(sentence(&error)),
            EphemeralError::Storage(cause) => cause.into(),
        }
    }
}

fn unknown_token(message: &'static str, soft_logout: bool) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", message)
        .with_field("soft_logout", soft_logout.into())
}

/// An error's text as a sentence. A name such as `m.push_rules` at its beginning stays as it is.
pub(crate) fn sentence(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let is_name = |word: &str| word.contains(['.', '_', '`']);
    if text.split(' ').next().is_some_and(is_name) {
        return format!("{text}.");
    }
    let mut chars = text.chars();
    let first = chars
        .next()
        .map(|first| first.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

#[cfg(test)]
mod tests;
