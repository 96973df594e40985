//! The parts, built in the order in which they need each other.

use std::{sync::Arc, time::Duration};

use actix_web::web;
use greenroom_account::{
    AccountDataService, AccountDataSettings, FanOutSettings, IgnoreLists, ProfileFanOut,
    ProfileService, ProfileSettings, TagService, UserDirectory,
};
use greenroom_api::{ApiSettings, RateLimits};
use greenroom_auth::{AuthService, AuthSettings, RegistrationMode, Sessions};
use greenroom_ephemeral::{
    PresenceReach, PresenceSettings, PresenceTracker, ReceiptService, TypingSettings, TypingTracker,
};
use greenroom_events::{EventSigner, RoomVersion};
use greenroom_model::{Clock, SystemClock, TokenSigner};
use greenroom_push::{PushService, Pushers};
use greenroom_rooms::{Rooms, RoomsSettings, SearchIndexer};
use greenroom_storage::StorageError;
use greenroom_storage_sql::{DatabaseUrl, Db, DbOptions};
use greenroom_stream::ChangeStream;
use greenroom_sync::{SyncService, SyncSettings};

use super::{
    ServeError,
    hooks::{MemberEvents, PushRulesForAll, RoomRules},
    keys, outbound,
};
use crate::{
    admin::Operator,
    config::{Config, Presence, Registration},
    data_dir::DataDir,
    shutdown::Shutdown,
};

/// See [`DbOptions`]. In `docs/configuration.md` too.
const SCRUB_AFTER: Duration = Duration::from_secs(30);

/// What the processes of an operator and of the server have in common: the database, opened.
pub(crate) fn open_database(config: &Config, data_dir: &DataDir) -> Result<Db, ServeError> {
    let url = database_url(config, data_dir)?;
    let options = DbOptions {
        url,
        server_name: config.server_name.to_string(),
        // A read is short and mostly in memory: a few more threads than cores keep the cores busy
        // while one of them waits for the disk.
        readers: (config.workers + 2).max(4),
        scrub_after: SCRUB_AFTER,
        on_disk_failure: Box::new(|what| {
            tracing::error!(
                what,
                "the database has failed under a write: exiting, so that nothing is acknowledged \
                 that may be lost; check the disk, then start again"
            );
            std::process::exit(74); // EX_IOERR
        }),
    };
    Db::open(options, ChangeStream::new()).map_err(|cause| ServeError::Database {
        database: config.database_url.to_string(),
        cause,
    })
}

/// Where the database is. A SQLite file is made beforehand, so that only its owner can read it.
fn database_url(config: &Config, data_dir: &DataDir) -> Result<DatabaseUrl, ServeError> {
    let url = DatabaseUrl::parse(&config.database_url.expose()).map_err(|cause| {
        ServeError::Database {
            database: config.database_url.to_string(),
            cause: StorageError::Failed(cause),
        }
    })?;
    if let DatabaseUrl::Sqlite(path) = &url
        && path.parent() == Some(data_dir.path())
        && let Some(name) = path.file_name().and_then(|name| name.to_str())
    {
        data_dir.private_file(name)?;
    }
    Ok(url)
}

/// The database and what acts of an operator need, for a command that has the data directory to itself: its caller holds the
/// lock. Needs a running actix system.
pub(crate) fn administration(
    config: &Config,
    data_dir: &DataDir,
) -> Result<(Db, Operator), ServeError> {
    let database = open_database(config, data_dir)?;
    let auth = Arc::new(auth_service(config, &database)?);
    let signer = Arc::new(keys::signer(data_dir, &config.server_name)?);
    let ignored = Arc::new(IgnoreLists::new(database.shared()));
    // Not run: what an operator does is indexed when the server runs again.
    let search = indexer(&database);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rooms = rooms(&database, signer, &ignored, &search, &clock, 1, None);
    Ok((database, Operator { auth, rooms }))
}

/// Has the index of words follow the stream.
fn indexer(database: &Db) -> Arc<SearchIndexer> {
    let stream = database.stream().clone();
    Arc::new(SearchIndexer::new(database.shared(), stream))
}

fn rooms(
    database: &Db,
    signer: Arc<EventSigner>,
    ignored: &Arc<IgnoreLists>,
    search: &Arc<SearchIndexer>,
    clock: &Arc<dyn Clock>,
    arbiters: usize,
    push: Option<&PushService>,
) -> Rooms {
    Rooms::start(greenroom_rooms::Parts {
        rooms: database.shared(),
        upgrades: database.shared(),
        notifications: push.map(|push| Arc::new(RoomRules(push.clone())) as _),
        account_data: database.shared(),
        state: database.shared(),
        timeline: database.shared(),
        times: database.shared(),
        relations: database.shared(),
        search: Arc::clone(search),
        members: database.shared(),
        directory: database.shared(),
        reports: database.shared(),
        spaces: database.shared(),
        profiles: database.shared(),
        accounts: database.shared(),
        ignored: Arc::clone(ignored) as _,
        stream: database.stream().clone(),
        tokens: keys::token_signer(&signer),
        signer,
        clock: Arc::clone(clock),
        settings: RoomsSettings {
            default_room_version: RoomVersion::DEFAULT,
            arbiters,
        },
    })
}

fn sync_settings(config: &Config) -> SyncSettings {
    SyncSettings {
        parked_per_device: config.limits.parked_syncs_per_device,
        max_timeout: Duration::from_mins(5),
    }
}

fn auth_service(config: &Config, database: &Db) -> Result<AuthService, ServeError> {
    let mut settings = AuthSettings::new(config.server_name.clone());
    settings.registration = match config.registration {
        Registration::Open => RegistrationMode::Open,
        Registration::Token => RegistrationMode::Token,
        Registration::Closed => RegistrationMode::Closed,
    };
    let (accounts, devices, uia) = (database.shared(), database.shared(), database.shared());
    Ok(AuthService::new(
        accounts,
        devices,
        uia,
        Arc::new(SystemClock),
        settings,
    )?)
}

/// Carries changed profiles into rooms.
fn fan_out(database: &Db, rooms: &Rooms) -> Arc<ProfileFanOut> {
    Arc::new(ProfileFanOut::new(
        database.shared(),
        database.shared(),
        Arc::new(MemberEvents(rooms.clone())),
        FanOutSettings::default(),
    ))
}

fn typing(database: &Db, clock: &Arc<dyn Clock>) -> Arc<TypingTracker> {
    Arc::new(TypingTracker::new(
        database.shared(),
        database.stream().clone(),
        Arc::clone(clock),
        TypingSettings::default(),
    ))
}

fn presence(config: &Config, database: &Db, clock: &Arc<dyn Clock>) -> Arc<PresenceTracker> {
    Arc::new(PresenceTracker::new(
        database.shared(),
        database.shared(),
        database.stream().clone(),
        Arc::clone(clock),
        PresenceSettings {
            reach: match config.presence {
                Presence::Off => PresenceReach::Off,
                Presence::Local => PresenceReach::Local,
                Presence::On => PresenceReach::On,
            },
            ..PresenceSettings::default()
        },
    ))
}

fn push(
    database: &Db,
    ignored: &Arc<IgnoreLists>,
    tokens: &TokenSigner,
    clock: &Arc<dyn Clock>,
) -> PushService {
    PushService::new(greenroom_push::Parts {
        unread: database.shared(),
        account_data: database.shared(),
        timeline: database.shared(),
        relations: database.shared(),
        state: database.shared(),
        members: database.shared(),
        ignored: Arc::clone(ignored) as _,
        stream: database.stream().clone(),
        tokens: tokens.clone(),
        clock: Arc::clone(clock),
    })
}

fn receipts(database: &Db, clock: &Arc<dyn Clock>) -> ReceiptService {
    ReceiptService::new(
        database.shared(),
        database.shared(),
        database.shared(),
        database.shared(),
        Arc::clone(clock),
    )
}

/// Every part of a running server.
pub(crate) struct Parts {
    clock: Arc<dyn Clock>,
    auth: web::Data<AuthService>,
    pub(crate) rooms: Rooms,
    pub(crate) sync: SyncService,
    pub(crate) typing: Arc<TypingTracker>,
    pub(crate) presence: Arc<PresenceTracker>,
    pub(crate) fan_out: Arc<ProfileFanOut>,
    pub(crate) push: PushService,
    pub(crate) pushers: Arc<Pushers>,
    pub(crate) search: Arc<SearchIndexer>,
    receipts: web::Data<ReceiptService>,
    profiles: web::Data<ProfileService>,
    directory: web::Data<UserDirectory>,
    account_data: web::Data<AccountDataService>,
    tags: web::Data<TagService>,
}

impl Parts {
    /// Builds the parts and connects them to the change stream. Needs a running actix system.
    ///
    /// # Errors
    ///
    /// If there is no signing key and none can be made, or the certificates for requests to the
    /// outside cannot be used.
    pub(crate) fn start(
        config: &Config,
        data_dir: &DataDir,
        database: &Db,
        shutdown: &Shutdown,
    ) -> Result<Self, ServeError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stream = database.stream().clone();
        let signer = Arc::new(keys::signer(data_dir, &config.server_name)?);
        let tokens = keys::token_signer(&signer);
        let auth = web::Data::new(auth_service(config, database)?);
        let typing = typing(database, &clock);
        let presence = presence(config, database, &clock);
        let ignored = Arc::new(IgnoreLists::new(database.shared()));
        let search = indexer(database);
        let push = push(database, &ignored, &tokens, &clock);
        let pushers = outbound::pushers(config, database, &push, &ignored, &clock)?;
        let workers = config.workers;
        let rooms = rooms(
            database,
            signer,
            &ignored,
            &search,
            &clock,
            workers,
            Some(&push),
        );
        let sync = SyncService::start(greenroom_sync::Parts {
            members: database.shared(),
            timeline: database.shared(),
            relations: database.shared(),
            state: database.shared(),
            account_data: database.shared(),
            builtin_account_data: Arc::new(PushRulesForAll),
            receipts: database.shared(),
            profiles: database.shared(),
            directory: database.shared(),
            sliding: database.shared(),
            filters: database.shared(),
            ignored: Arc::clone(&ignored) as _,
            unread: push.unread_source(),
            typing: Arc::clone(&typing) as _,
            presence: Arc::clone(&presence) as _,
            stream: stream.clone(),
            tokens,
            clock: Arc::clone(&clock),
            shutdown: shutdown.signal().into_watch(),
            settings: sync_settings(config),
        });
        let fan_out = fan_out(database, &rooms);
        stream.observe(vec![
            // A token that was revoked is dead before anybody is told that it is.
            auth.sessions() as _,
            ignored as _,
            push.observer(),
            pushers.observer(),
            sync.observer(),
            Arc::clone(&typing) as _,
            Arc::clone(&presence) as _,
            Arc::clone(&fan_out) as _,
            Arc::clone(&search) as _,
        ]);
        let settings = AccountDataSettings::default();
        Ok(Self {
            receipts: web::Data::new(receipts(database, &clock)),
            directory: web::Data::new(UserDirectory::new(database.shared(), database.shared())),
            profiles: web::Data::new(ProfileService::new(
                database.shared(),
                ProfileSettings::default(),
            )),
            account_data: web::Data::new(AccountDataService::new(
                database.shared(),
                Arc::new(PushRulesForAll),
                settings.clone(),
            )),
            tags: web::Data::new(TagService::new(database.shared(), settings)),
            clock,
            auth,
            rooms,
            sync,
            typing,
            presence,
            fan_out,
            push,
            pushers,
            search,
        })
    }

    /// Now, in seconds since the Unix epoch.
    pub(crate) fn now_s(&self) -> i64 {
        i64::try_from(self.clock.now_ms() / 1000).unwrap_or(i64::MAX)
    }

    /// What acts of an operator need.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            auth: self.auth.clone().into_inner(),
            rooms: self.rooms.clone(),
        }
    }

    /// What the endpoints ask for.
    pub(crate) fn app_data(&self, config: &Config, base_url: String) -> AppData {
        AppData {
            settings: web::Data::new(ApiSettings {
                server_name: config.server_name.clone(),
                public_base_url: Some(base_url),
                body_limit_bytes: config.limits.request_body_bytes,
                trusted_proxies: config.trusted_proxies.clone(),
            }),
            limits: web::Data::new(RateLimits::new(config.rate_limits.as_ref())),
            auth: self.auth.clone(),
            sessions: web::Data::from(self.auth.sessions()),
            rooms: web::Data::new(self.rooms.clone()),
            sync: web::Data::new(self.sync.clone()),
            typing: web::Data::from(Arc::clone(&self.typing)),
            presence: web::Data::from(Arc::clone(&self.presence)),
            receipts: self.receipts.clone(),
            profiles: self.profiles.clone(),
            directory: self.directory.clone(),
            account_data: self.account_data.clone(),
            tags: self.tags.clone(),
            push: web::Data::new(self.push.clone()),
            pushers: web::Data::from(Arc::clone(&self.pushers)),
        }
    }
}

/// The application data of every worker: handles to the same parts.
#[derive(Clone)]
pub(crate) struct AppData {
    settings: web::Data<ApiSettings>,
    limits: web::Data<RateLimits>,
    auth: web::Data<AuthService>,
    sessions: web::Data<Sessions>,
    rooms: web::Data<Rooms>,
    sync: web::Data<SyncService>,
    typing: web::Data<TypingTracker>,
    presence: web::Data<PresenceTracker>,
    receipts: web::Data<ReceiptService>,
    profiles: web::Data<ProfileService>,
    directory: web::Data<UserDirectory>,
    account_data: web::Data<AccountDataService>,
    tags: web::Data<TagService>,
    push: web::Data<PushService>,
    pushers: web::Data<Pushers>,
}

impl AppData {
    /// Hands the parts to a worker.
    pub(crate) fn configure(self, cfg: &mut web::ServiceConfig) {
        cfg.app_data(self.settings)
            .app_data(self.limits)
            .app_data(self.auth)
            .app_data(self.sessions)
            .app_data(self.rooms)
            .app_data(self.sync)
            .app_data(self.typing)
            .app_data(self.presence)
            .app_data(self.receipts)
            .app_data(self.profiles)
            .app_data(self.directory)
            .app_data(self.account_data)
            .app_data(self.tags)
            .app_data(self.push)
            .app_data(self.pushers);
    }
}
