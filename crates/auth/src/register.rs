//! Making an account.

use greenroom_storage::{NewAccount, Registration};
use ruma::{OwnedUserId, UserId};

use crate::{
    AuthError, AuthService, DeviceRequest, LoggedIn, Password, RegistrationMode, UiaAct,
    UiaAttempt, uia, usernames,
};

const ENDPOINT: &str = "POST /register";
/// How often a random name may turn out to be taken. There are 26^12 of them.
const RANDOM_NAME_ATTEMPTS: usize = 3;

/// A wish for an account.
#[derive(Debug, Default)]
pub struct RegisterRequest {
    /// The localpart; `None` for a random one.
    pub username: Option<String>,
    /// The password; `None` for an account that cannot log in by one.
    pub password: Option<Password>,
    /// Whether the account is made without a session.
    pub inhibit_login: bool,
    /// The device of the first session.
    pub device: DeviceRequest,
    /// What was proven so far.
    pub auth: UiaAttempt,
}

/// An account that was made.
#[derive(Debug)]
pub struct Registered {
    /// The user.
    pub user_id: OwnedUserId,
    /// The first session, unless none was wanted.
    pub session: Option<LoggedIn>,
}

impl AuthService {
    /// Registers an account, once the stages of its flow are completed.
    ///
    /// # Errors
    ///
    /// [`AuthError::RegistrationClosed`]; [`AuthError::UsernameInvalid`],
    /// [`AuthError::UsernameReserved`], [`AuthError::UsernameTaken`] and
    /// [`AuthError::DeviceIdInvalid`], before anything has to be proven; [`AuthError::Uia`] with what has to be; [`AuthError::Busy`]; the database's failure.
    pub async fn register(&self, request: RegisterRequest) -> Result<Registered, AuthError> {
        let flows = self.registration_flows()?;
        let user_id = match &request.username {
            Some(username) => Some(self.available_user_id(username).await?),
            None => None,
        };
        // Before anything has to be proven, too: a session that was completed for it would be lost.
        request.device.check()?;
        // Clients ask for the flows before the user has filled in the form, so the session is not
        // bound to the body. Nothing is lost: whoever registers can choose the body anyhow.
        let act = UiaAct {
            user_id: None,
            endpoint: ENDPOINT,
            request_hash: Vec::new(),
        };
        let proof = self
            .authorize_by(act.clone(), &request.auth, flows.clone())
            .await?;
        let wish = Wish {
            user_id,
            password_hash: self.hash(request.password).await?,
            admin: false,
            session: (!request.inhibit_login).then_some(request.device),
            registration_token: proof.registration_token,
        };
        match self.make_account(wish).await? {
            Made::Done(registered) => Ok(registered),
            Made::Taken => Err(AuthError::UsernameTaken),
            // Used up or deleted since it was looked at.
            Made::TokenRefused => Err(self
                .begin(act, flows, Some(uia::WRONG_REGISTRATION_TOKEN))
                .await?),
        }
    }

    /// Makes an account without asking for anything: for the operator.
    ///
    /// # Errors
    ///
    /// [`AuthError::UsernameInvalid`], [`AuthError::UsernameTaken`], [`AuthError::Busy`], or the
    /// database's failure.
    pub async fn create_account(
        &self,
        username: &str,
        password: Option<Password>,
        admin: bool,
    ) -> Result<OwnedUserId, AuthError> {
        let reserved = crate::ReservedNames::default();
        let user_id = usernames::new_user_id(username, &self.settings.server_name, &reserved)?;
        let wish = Wish {
            user_id: Some(user_id.clone()),
            password_hash: self.hash(password).await?,
            admin,
            session: None,
            registration_token: None,
        };
        match self.make_account(wish).await? {
            Made::Done(registered) => Ok(registered.user_id),
            Made::Taken | Made::TokenRefused => Err(AuthError::UsernameTaken),
        }
    }

    /// The user ID that `username` would get.
    ///
    /// # Errors
    ///
    /// [`AuthError::RegistrationClosed`], [`AuthError::UsernameInvalid`],
    /// [`AuthError::UsernameReserved`], [`AuthError::UsernameTaken`], or the database's failure.
    pub async fn username_is_available(&self, username: &str) -> Result<OwnedUserId, AuthError> {
        self.registration_flows()?;
        self.available_user_id(username).await
    }

    async fn available_user_id(&self, username: &str) -> Result<OwnedUserId, AuthError> {
        let settings = &self.settings;
        let user_id =
            usernames::new_user_id(username, &settings.server_name, &settings.reserved_names)?;
        match self.accounts.account(&user_id).await? {
            Some(_) => Err(AuthError::UsernameTaken),
            None => Ok(user_id),
        }
    }

    pub(crate) fn registration_flows(&self) -> Result<Vec<Vec<&'static str>>, AuthError> {
        match self.settings.registration {
            RegistrationMode::Open => Ok(vec![vec![uia::DUMMY]]),
            RegistrationMode::Token => Ok(vec![vec![uia::REGISTRATION_TOKEN]]),
            RegistrationMode::Closed => Err(AuthError::RegistrationClosed),
        }
    }

    async fn hash(&self, password: Option<Password>) -> Result<Option<String>, AuthError> {
        match password {
            Some(password) => self.hasher.hash(password).await.map(Some),
            None => Ok(None),
        }
    }

    async fn make_account(&self, wish: Wish) -> Result<Made, AuthError> {
        for _ in 0..RANDOM_NAME_ATTEMPTS {
            let user_id = match &wish.user_id {
                Some(user_id) => user_id.clone(),
                None => usernames::random_user_id(&self.settings.server_name)?,
            };
            match self.try_account(&user_id, &wish).await? {
                // Only a name that nobody has chosen is worth another attempt.
                Made::Taken if wish.user_id.is_none() => {}
                made @ (Made::Done(_) | Made::Taken | Made::TokenRefused) => return Ok(made),
            }
        }
        Ok(Made::Taken)
    }

    async fn try_account(&self, user_id: &UserId, wish: &Wish) -> Result<Made, AuthError> {
        let account = NewAccount {
            user_id: user_id.to_owned(),
            password_hash: wish.password_hash.clone(),
            admin: wish.admin,
            created_ts_ms: self.clock.now_ms(),
        };
        let session = wish
            .session
            .clone()
            .map(|device| self.prepare_session(user_id.to_owned(), device))
            .transpose()?;
        let (stored, told) = match session {
            Some(session) => (Some(session.stored), Some(session.told)),
            None => (None, None),
        };
        let token = wish.registration_token.clone();
        Ok(
            match self.accounts.register(account, stored, token).await? {
                Registration::Done => Made::Done(Registered {
                    user_id: user_id.to_owned(),
                    session: told,
                }),
                Registration::UserIdTaken => Made::Taken,
                Registration::TokenRefused => Made::TokenRefused,
            },
        )
    }
}

struct Wish {
    user_id: Option<OwnedUserId>,
    password_hash: Option<String>,
    admin: bool,
    session: Option<DeviceRequest>,
    registration_token: Option<String>,
}

enum Made {
    Done(Registered),
    Taken,
    TokenRefused,
}
