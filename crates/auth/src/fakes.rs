//! The stores in memory, for tests.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use greenroom_model::TestClock;
use greenroom_storage::{
    Account, AccountStore, Device, DeviceStore, NewAccount, NewSession, Refresh, Registration,
    RegistrationToken, Session, StorageError, TokenHash, UiaSession, UiaStore,
};
use parking_lot::Mutex;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId, server_name};

use crate::{AuthService, AuthSettings, RegistrationMode, ReservedNames};

/// A service over empty stores, on a clock that stands still.
pub(crate) struct Fixture {
    pub(crate) auth: AuthService,
    pub(crate) clock: TestClock,
    pub(crate) stores: Arc<FakeStores>,
}

impl Fixture {
    pub(crate) fn new(registration: RegistrationMode) -> Self {
        let stores = Arc::new(FakeStores::default());
        let clock = TestClock::at(1_000_000);
        let settings = AuthSettings {
            registration,
            reserved_names: ReservedNames::new(["server".to_owned()]),
            ..AuthSettings::new(server_name!("localhost").to_owned())
        };
        let auth = AuthService::new(
            stores.clone(),
            stores.clone(),
            stores.clone(),
            Arc::new(clock.clone()),
            settings,
        )
        .unwrap();
        Self {
            auth,
            clock,
            stores,
        }
    }
}

#[derive(Default)]
pub(crate) struct FakeStores(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    accounts: BTreeMap<OwnedUserId, Account>,
    devices: BTreeMap<(OwnedUserId, OwnedDeviceId), FakeDevice>,
    tokens: BTreeMap<String, RegistrationToken>,
    uia: BTreeMap<String, UiaSession>,
}

#[derive(Clone)]
struct FakeDevice {
    session: NewSession,
    previous_refresh: Option<TokenHash>,
}

impl Tables {
    fn log_in(&mut self, user_id: &UserId, session: NewSession) {
        let key = (user_id.to_owned(), session.device_id.clone());
        self.devices.insert(
            key,
            FakeDevice {
                session,
                previous_refresh: None,
            },
        );
    }
}

impl FakeStores {
    pub(crate) fn uia_sessions(&self) -> usize {
        self.0.lock().uia.len()
    }

    pub(crate) fn accounts(&self) -> usize {
        self.0.lock().accounts.len()
    }

    pub(crate) fn password_hash(&self, user_id: &UserId) -> Option<String> {
        self.0.lock().accounts.get(user_id)?.password_hash.clone()
    }
}

#[async_trait]
impl AccountStore for FakeStores {
    async fn register(
        &self,
        account: NewAccount,
        session: Option<NewSession>,
        registration_token: Option<String>,
    ) -> Result<Registration, StorageError> {
        let mut tables = self.0.lock();
        if tables.accounts.contains_key(&account.user_id) {
            return Ok(Registration::UserIdTaken);
        }
        if let Some(token) = registration_token {
            let now_ms = account.created_ts_ms;
            let good = tables.tokens.get_mut(&token).filter(|row| {
                row.uses_allowed.is_none_or(|allowed| row.uses < allowed)
                    && row.expires_ts_ms.is_none_or(|expiry| now_ms < expiry)
            });
            let Some(row) = good else {
                return Ok(Registration::TokenRefused);
            };
            row.uses += 1;
        }
        if let Some(session) = session {
            tables.log_in(&account.user_id, session);
        }
        let row = Account {
            user_id: account.user_id.clone(),
            password_hash: account.password_hash,
            admin: account.admin,
            deactivated: false,
            created_ts_ms: account.created_ts_ms,
        };
        tables.accounts.insert(account.user_id, row);
        Ok(Registration::Done)
    }

    async fn account(&self, user_id: &UserId) -> Result<Option<Account>, StorageError> {
        Ok(self.0.lock().accounts.get(user_id).cloned())
    }

    async fn set_password(
        &self,
        user_id: &UserId,
        password_hash: String,
        end_sessions: bool,
        keep_device: Option<&DeviceId>,
    ) -> Result<bool, StorageError> {
        let mut tables = self.0.lock();
        let account = tables
            .accounts
            .get_mut(user_id)
            .filter(|account| !account.deactivated);
        let Some(account) = account else {
            return Ok(false);
        };
        account.password_hash = Some(password_hash);
        if end_sessions {
            tables.devices.retain(|(owner, device_id), _| {
                owner != user_id || Some(&**device_id) == keep_device
            });
        }
        Ok(true)
    }

    async fn deactivate(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let mut tables = self.0.lock();
        let account = tables
            .accounts
            .get_mut(user_id)
            .filter(|account| !account.deactivated);
        let Some(account) = account else {
            return Ok(false);
        };
        account.deactivated = true;
        account.password_hash = None;
        tables.devices.retain(|(owner, _), _| owner != user_id);
        Ok(true)
    }

    async fn create_registration_token(
        &self,
        token: RegistrationToken,
    ) -> Result<(), StorageError> {
        self.0.lock().tokens.insert(token.token.clone(), token);
        Ok(())
    }

    async fn registration_token(
        &self,
        token: &str,
    ) -> Result<Option<RegistrationToken>, StorageError> {
        Ok(self.0.lock().tokens.get(token).cloned())
    }

    async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, StorageError> {
        Ok(self.0.lock().tokens.values().cloned().collect())
    }

    async fn delete_registration_token(&self, token: &str) -> Result<bool, StorageError> {
        Ok(self.0.lock().tokens.remove(token).is_some())
    }
}

#[async_trait]
impl DeviceStore for FakeStores {
    async fn create_session(
        &self,
        user_id: &UserId,
        session: NewSession,
    ) -> Result<bool, StorageError> {
        let mut tables = self.0.lock();
        if tables
            .accounts
            .get(user_id)
            .is_none_or(|account| account.deactivated)
        {
            return Ok(false);
        }
        tables.log_in(user_id, session);
        Ok(true)
    }

    async fn session(&self, access_token: TokenHash) -> Result<Option<Session>, StorageError> {
        let tables = self.0.lock();
        let found = tables
            .devices
            .iter()
            .find(|(_, it)| it.session.access_token == access_token);
        Ok(found.map(|((user_id, device_id), device)| Session {
            user_id: user_id.clone(),
            device_id: device_id.clone(),
            access_expires_ts_ms: device.session.access_expires_ts_ms,
            admin: tables
                .accounts
                .get(user_id)
                .is_some_and(|account| account.admin),
        }))
    }

    async fn refresh(
        &self,
        refresh_token: TokenHash,
        access_token: TokenHash,
        access_expires_ts_ms: Option<u64>,
        new_refresh_token: TokenHash,
        _: u64,
    ) -> Result<Refresh, StorageError> {
        let mut tables = self.0.lock();
        let found = tables.devices.iter_mut().find(|(_, device)| {
            device.session.refresh_token == Some(refresh_token)
                || device.previous_refresh == Some(refresh_token)
        });
        let Some(((user_id, device_id), device)) = found else {
            return Ok(Refresh::Unknown);
        };
        device.previous_refresh = Some(refresh_token);
        device.session.refresh_token = Some(new_refresh_token);
        device.session.access_token = access_token;
        device.session.access_expires_ts_ms = access_expires_ts_ms;
        Ok(Refresh::Done(Session {
            user_id: user_id.clone(),
            device_id: device_id.clone(),
            access_expires_ts_ms,
            admin: false,
        }))
    }

    async fn confirm_refresh(&self, access_token: TokenHash) -> Result<(), StorageError> {
        let mut tables = self.0.lock();
        for device in tables.devices.values_mut() {
            if device.session.access_token == access_token {
                device.previous_refresh = None;
            }
        }
        Ok(())
    }

    async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>, StorageError> {
        let tables = self.0.lock();
        let own = tables
            .devices
            .iter()
            .filter(|((owner, _), _)| owner == user_id);
        Ok(own
            .map(|((_, device_id), device)| Device {
                device_id: device_id.clone(),
                display_name: device.session.display_name.clone(),
                created_ts_ms: device.session.created_ts_ms,
            })
            .collect())
    }

    async fn delete_device(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
    ) -> Result<bool, StorageError> {
        let key = (user_id.to_owned(), device_id.to_owned());
        Ok(self.0.lock().devices.remove(&key).is_some())
    }

    async fn delete_devices(&self, user_id: &UserId) -> Result<(), StorageError> {
        self.0
            .lock()
            .devices
            .retain(|(owner, _), _| owner != user_id);
        Ok(())
    }
}

#[async_trait]
impl UiaStore for FakeStores {
    async fn start(&self, session: UiaSession, now_ms: u64) -> Result<(), StorageError> {
        let mut tables = self.0.lock();
        tables
            .uia
            .retain(|_, session| session.expires_ts_ms > now_ms);
        tables.uia.insert(session.session_id.clone(), session);
        Ok(())
    }

    async fn uia_session(
        &self,
        session_id: &str,
        now_ms: u64,
    ) -> Result<Option<UiaSession>, StorageError> {
        let tables = self.0.lock();
        Ok(tables
            .uia
            .get(session_id)
            .filter(|it| it.expires_ts_ms > now_ms)
            .cloned())
    }

    async fn complete_stage(
        &self,
        session_id: &str,
        stage: &str,
        proof: Option<String>,
    ) -> Result<(), StorageError> {
        if let Some(session) = self.0.lock().uia.get_mut(session_id) {
            if !session.completed.iter().any(|completed| completed == stage) {
                session.completed.push(stage.to_owned());
            }
            session.proof = proof.or(session.proof.take());
        }
        Ok(())
    }

    async fn finish(&self, session_id: &str) -> Result<bool, StorageError> {
        Ok(self.0.lock().uia.remove(session_id).is_some())
    }
}
