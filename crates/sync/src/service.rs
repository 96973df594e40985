//! `/sync` itself: read, and if there is nothing, wait and read again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use greenroom_events::Format;
use greenroom_model::{Clock, StreamPosition, SyncToken, TokenSigner};
use greenroom_storage::{
    AccountDataStore, DirectoryStore, FilterStore, MemberStore, ProfileStore, ReceiptStore,
    RelationStore, SlidingStore, StateStore, TimelineStore,
};
use greenroom_stream::{
    BuiltinAccountData, ChangeObserver, ChangeStream, IgnoreSource, IgnoredUsers, PresenceSource,
    SyncPresence, TypingSource, TypingUsers, UnreadSource,
};
use ruma::{OwnedDeviceId, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::{
    CompiledFilter, FilterChoice, SyncAnswer, SyncError,
    filter::Filters,
    hub::{Cue, HubHandle},
    index::{Index, Members, User},
    sections::Read,
    sliding::Connections,
};

/// Settings of sync.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// How many syncs of one device may wait at once; one more answers the oldest.
    pub parked_per_device: usize,
    /// The longest that a sync waits.
    pub max_timeout: Duration,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            parked_per_device: 8,
            max_timeout: Duration::from_mins(5),
        }
    }
}

/// What sync is built from.
pub struct Parts {
    /// Who is where.
    pub members: Arc<dyn MemberStore>,
    /// Events in order.
    pub timeline: Arc<dyn TimelineStore>,
    /// What relates to events.
    pub relations: Arc<dyn RelationStore>,
    /// State, now and then.
    pub state: Arc<dyn StateStore>,
    /// Account data.
    pub account_data: Arc<dyn AccountDataStore>,
    /// Account data that everyone has.
    pub builtin_account_data: Arc<dyn BuiltinAccountData>,
    /// Receipts.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Names and avatars, which presence events carry.
    pub profiles: Arc<dyn ProfileStore>,
    /// Which rooms are published.
    pub directory: Arc<dyn DirectoryStore>,
    /// What sliding sync asks.
    pub sliding: Arc<dyn SlidingStore>,
    /// Filters.
    pub filters: Arc<dyn FilterStore>,
    /// Who ignores whom.
    pub ignored: Arc<dyn IgnoreSource>,
    /// Who knows what is unread.
    pub unread: Arc<dyn UnreadSource>,
    /// Who types.
    pub typing: Arc<dyn TypingSource>,
    /// Who is online.
    pub presence: Arc<dyn PresenceSource>,
    /// What has changed.
    pub stream: ChangeStream,
    /// Makes and checks tokens.
    pub tokens: TokenSigner,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Becomes true when the server goes down: waiting requests are answered at once.
    pub shutdown: watch::Receiver<bool>,
    /// Settings.
    pub settings: SyncSettings,
}

/// A sync that a client asks for.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// Who.
    pub user_id: OwnedUserId,
    /// On which device.
    pub device_id: OwnedDeviceId,
    /// Where the last one ended.
    pub since: Option<String>,
    /// What is wanted.
    pub filter: Option<FilterChoice>,
    /// Whether the whole state of all rooms is wanted.
    pub full_state: bool,
    /// Whether state is wanted as of the end of the timeline.
    pub use_state_after: bool,
    /// How the user wants to be seen.
    pub set_presence: SyncPresence,
    /// How long to wait for something to come.
    pub timeout: Duration,
    /// Whether the client is one of the first API: it gets all sections, empty or not, and member
    /// events with `membership` at the top.
    pub r0: bool,
}

impl SyncRequest {
    /// The members that the device has been told of, if its filter leaves redundant ones out.
    fn introduced(&self, user: &User, filter: &Arc<CompiledFilter>, since: SyncToken) -> Members {
        match filter.leaves_out_redundant_members() {
            true => user.introduced.after(&self.device_id, filter, since),
            false => Members::default(),
        }
    }

    /// The answer to send. Whom the device will know then is kept for its next request.
    fn answered(
        &self,
        user: &User,
        filter: &Arc<CompiledFilter>,
        before: &Members,
        read: Read,
    ) -> SyncAnswer {
        if filter.leaves_out_redundant_members() {
            let members = before.and(read.members);
            user.introduced
                .answered(&self.device_id, filter, read.upto, members);
        }
        read.answer
    }
}

/// Sync. Clones are handles to the same.
#[derive(Clone)]
pub struct SyncService {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) index: Arc<Index>,
    pub(crate) filters: Filters,
    pub(crate) connections: Arc<Connections>,
    pub(crate) hub: HubHandle,
    /// Which process counts typing and presence.
    pub(crate) boot: u32,
}

/// One reading: whose, from where to where, what of it.
pub(crate) struct Reading<'a> {
    pub(crate) service: &'a Inner,
    pub(crate) user: Arc<User>,
    pub(crate) request: &'a SyncRequest,
    pub(crate) filter: Arc<CompiledFilter>,
    /// Where the last answer ended; `None` for an initial sync.
    pub(crate) since: Option<SyncToken>,
    /// Where this one ends.
    pub(crate) upto: SyncToken,
    pub(crate) format: Format,
    /// The members that the client has been told of, where members are lazy-loaded.
    pub(crate) introduced: Members,
    /// Of whom the user wants to see nothing but state.
    pub(crate) ignored: IgnoredUsers,
}

impl Reading<'_> {
    /// The position after which things are new; the start for an initial sync.
    pub(crate) fn after(&self) -> StreamPosition {
        self.since
            .map_or(StreamPosition::START, |since| since.position)
    }

    /// Whether the client may believe of anybody that they type: it was told so by a process that
    /// is gone.
    pub(crate) fn typing_is_stale(&self) -> bool {
        self.since
            .is_some_and(|since| since.typers && since.boot != self.service.boot)
    }

    /// Who types in a room, if the client has to be told.
    pub(crate) fn new_typing(&self, room_id: &RoomId) -> Option<TypingUsers> {
        let typing = self.typing(room_id);
        if self.typing_is_stale() {
            return Some(typing.unwrap_or_default());
        }
        let after = self.since.map_or(0, |since| since.typing);
        typing.filter(|typing| typing.counter > after)
    }

    /// Who types in a room, of those whom the user does not ignore.
    pub(crate) fn typing(&self, room_id: &RoomId) -> Option<TypingUsers> {
        let mut typing = self.service.parts.typing.typing(room_id)?;
        typing.user_ids.retain(|user| !self.ignored.contains(user));
        Some(typing)
    }
}

/// Tells presence that a sync has ended, however it ends.
pub(crate) struct Present<'a> {
    presence: &'a dyn PresenceSource,
    user_id: &'a UserId,
    as_what: SyncPresence,
}

impl<'a> Present<'a> {
    pub(crate) fn begin(service: &'a Inner, request: &'a SyncRequest) -> Option<Self> {
        let presence = &*service.parts.presence;
        presence.enabled().then(|| {
            presence.synced(&request.user_id, request.set_presence.clone());
            Self {
                presence,
                user_id: &request.user_id,
                as_what: request.set_presence.clone(),
            }
        })
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.presence.sync_ended(self.user_id, self.as_what.clone());
    }
}

impl SyncService {
    /// Starts the hub. Needs a running actix system.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let hub = HubHandle::start(parts.settings.parked_per_device, parts.shutdown.clone());
        let index = Index::new(
            Arc::clone(&parts.members),
            Arc::clone(&parts.timeline),
            parts.stream.clone(),
            hub.clone(),
        );
        let filters = Filters::new(Arc::clone(&parts.filters));
        let boot = rand::random::<u32>();
        let inner = Inner {
            parts,
            index: Arc::new(index),
            filters,
            connections: Arc::new(Connections::new(boot)),
            hub,
            boot,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What has to hear of every committed change.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn ChangeObserver> {
        Arc::new(crate::index::IndexObserver::new(
            Arc::clone(&self.inner.index),
            Arc::clone(&self.inner.connections),
        ))
    }

    /// Forgets users who have not synced for a while. Call it every few minutes.
    pub fn sweep(&self) {
        self.inner.index.sweep();
        self.inner.connections.sweep();
    }

    /// Answers a sync, at the latest when its timeout is over.
    ///
    /// # Errors
    ///
    /// [`SyncError::UnknownToken`] for a since token of the future, of another user or server;
    /// [`SyncError::NoSuchFilter`], [`SyncError::BadFilter`].
    pub async fn sync(&self, request: &SyncRequest) -> Result<SyncAnswer, SyncError> {
        let service = &*self.inner;
        let filter = service
            .filters
            .compiled(&request.user_id, request.filter.as_ref())
            .await?;
        let since = request
            .since
            .as_deref()
            .map(|token| service.since(&request.user_id, token))
            .transpose()?;
        let mut user = service.index.user(&request.user_id).await?;
        // Once the user is in memory: their own presence is then noted before the first reading.
        let _present = Present::begin(service, request);
        let patience = request.timeout.min(service.parts.settings.max_timeout);
        let until = Instant::now() + patience;
        let introduced = match since {
            Some(since) => request.introduced(&user, &filter, since),
            None => Members::default(),
        };
        loop {
            let seen = user.cue();
            let reading = Reading {
                service,
                user: Arc::clone(&user),
                request,
                filter: Arc::clone(&filter),
                since,
                upto: service.now_for(&user).await,
                format: filter.format(if request.r0 {
                    Format::SYNC_R0
                } else {
                    Format::SYNC
                }),
                introduced: introduced.clone(),
                ignored: service.parts.ignored.ignored_by(&user.user_id).await?,
            };
            // Boxed, so that a request that only waits does not keep the room for reading.
            let Some(read) = reading.read().boxed().await? else {
                continue;
            };
            if user.is_forgotten() {
                user = service.index.user(&request.user_id).await?;
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if since.is_none() || request.full_state || left.is_zero() || !read.answer.is_empty() {
                return Ok(request.answered(&user, &filter, &introduced, read));
            }
            // Nothing is in it but the token: up to there, nothing has happened.
            let nothing = read;
            let cue = service
                .hub
                .park(Arc::clone(&user), request.device_id.clone(), seen, left)
                .await;
            if cue == Cue::Answer {
                return Ok(request.answered(&user, &filter, &introduced, nothing));
            }
        }
    }

    /// Stores a filter and gives its ID.
    ///
    /// # Errors
    ///
    /// [`SyncError::BadFilter`], [`SyncError::TooManyFilters`].
    pub async fn store_filter(
        &self,
        user_id: &UserId,
        filter: Box<RawValue>,
    ) -> Result<String, SyncError> {
        self.inner.filters.store(user_id, filter).await
    }

    /// A stored filter.
    ///
    /// # Errors
    ///
    /// [`SyncError::NoSuchFilter`].
    pub async fn filter(
        &self,
        user_id: &UserId,
        filter_id: &str,
    ) -> Result<Box<RawValue>, SyncError> {
        self.inner.filters.read(user_id, filter_id).await
    }
}

impl Inner {
    /// The end of everything, as of now. The counters are read before what they count, so that
    /// nothing falls between; and whether somebody types before the counter, which then counts
    /// who stopped meanwhile.
    pub(crate) fn now(&self, user: &User) -> SyncToken {
        let typers = self.somebody_types(user);
        SyncToken {
            typers,
            typing: self.parts.typing.counter(),
            presence: self.index.presence_told(),
            boot: self.boot,
            position: self.parts.stream.position(),
        }
    }

    /// The end of everything, where what memory knows of the user's rooms is true there.
    ///
    /// Memory runs ahead of the announced position for a moment: a room that was just left would
    /// be missing although it belongs to the answer. That moment is waited for.
    pub(crate) async fn now_for(&self, user: &User) -> SyncToken {
        let mut turns = 0;
        loop {
            let now = self.now(user);
            if user.newest_membership() <= now.position {
                return now;
            }
            turns += 1;
            if turns % 16 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether somebody types in a room of the user's.
    fn somebody_types(&self, user: &User) -> bool {
        /// In no more rooms than this, they are looked at, and not all of the user's.
        const FEW: usize = 50;
        let typing = &*self.parts.typing;
        if let Some(rooms) = typing.rooms(FEW) {
            return user.is_in_one_of(&rooms);
        }
        let mut somebody = false;
        user.each_room(|room_id, standing| {
            somebody = somebody
                || standing.room.is_some()
                    && typing
                        .typing(room_id)
                        .is_some_and(|typing| !typing.user_ids.is_empty());
        });
        somebody
    }

    /// Reads a since token.
    pub(crate) fn since(&self, user_id: &UserId, token: &str) -> Result<SyncToken, SyncError> {
        let mut since = self
            .parts
            .tokens
            .read_sync(user_id, token)
            .map_err(|_| SyncError::UnknownToken)?;
        if since.position > self.parts.stream.position() {
            return Err(SyncError::UnknownToken);
        }
        if since.boot != self.boot {
            // Another process counted: what it counted is told again.
            since.typing = 0;
            since.presence = 0;
        }
        Ok(since)
    }
}
