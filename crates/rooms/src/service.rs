//! The way in: one value that holds what rooms need.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use greenroom_events::EventSigner;
use greenroom_model::{Clock, TokenSigner};
use greenroom_storage::{
    AccountDataStore, AccountStore, DirectoryStore, EventTimeStore, MemberStore, ProfileStore,
    RelationStore, ReportStore, RoomStore, SpaceStore, StateStore, TimelineStore, UpgradeStore,
};
use greenroom_stream::{ChangeStream, IgnoreSource};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedServerName, RoomId, RoomVersionId, ServerName,
    UInt, UserId, events::room::member::MembershipState,
};

use crate::{
    NotificationSettings, RoomError, SearchIndexer,
    actor::{Idle, Registry, Tools},
    hierarchy::Walks,
    relations::Annotations,
    wish::Wish,
};

/// Settings of rooms.
#[derive(Clone, Debug)]
pub struct RoomsSettings {
    /// The version of new rooms whose creators name none.
    pub default_room_version: RoomVersionId,
    /// How many threads serve room actors.
    pub arbiters: usize,
}

/// What rooms are built from.
pub struct Parts {
    /// The write side.
    pub rooms: Arc<dyn RoomStore>,
    /// One room in the place of another.
    pub upgrades: Arc<dyn UpgradeStore>,
    /// State, now and then.
    pub state: Arc<dyn StateStore>,
    /// Events in order.
    pub timeline: Arc<dyn TimelineStore>,
    /// Events by their time.
    pub times: Arc<dyn EventTimeStore>,
    /// What relates to events.
    pub relations: Arc<dyn RelationStore>,
    /// The index of words.
    pub search: Arc<SearchIndexer>,
    /// Who is where.
    pub members: Arc<dyn MemberStore>,
    /// Aliases and the directory.
    pub directory: Arc<dyn DirectoryStore>,
    /// What users report.
    pub reports: Arc<dyn ReportStore>,
    /// What rooms show to who is not in them.
    pub spaces: Arc<dyn SpaceStore>,
    /// Names and avatars for member events.
    pub profiles: Arc<dyn ProfileStore>,
    /// Who exists.
    pub accounts: Arc<dyn AccountStore>,
    /// What users want to be notified of, for those who follow a room to its replacement; `None`
    /// where nobody joins.
    pub notifications: Option<Arc<dyn NotificationSettings>>,
    /// Who wants no invites.
    pub account_data: Arc<dyn AccountDataStore>,
    /// Who ignores whom.
    pub ignored: Arc<dyn IgnoreSource>,
    /// How far readers may read.
    pub stream: ChangeStream,
    /// Signs events.
    pub signer: Arc<EventSigner>,
    /// Makes and checks pagination tokens.
    pub tokens: TokenSigner,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub settings: RoomsSettings,
}

/// All rooms of this server. Clones are handles to the same.
#[derive(Clone)]
pub struct Rooms {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    registry: Registry,
    walks: Walks,
    annotations: Annotations,
    /// The time that the last create event was given, in milliseconds since the Unix epoch.
    last_creation_ms: AtomicU64,
}

impl Rooms {
    /// Starts the threads that room actors live on. Needs a running actix system.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let tools = Tools {
            store: Arc::clone(&parts.rooms),
            upgrades: Arc::clone(&parts.upgrades),
            signer: Arc::clone(&parts.signer),
            clock: Arc::clone(&parts.clock),
            idle: Idle::default(),
        };
        let registry = Registry::start(tools, parts.settings.arbiters);
        Self {
            inner: Arc::new(Inner {
                parts,
                registry,
                walks: Walks::default(),
                annotations: Annotations::default(),
                last_creation_ms: AtomicU64::new(0),
            }),
        }
    }

    pub(crate) fn annotations(&self) -> &Annotations {
        &self.inner.annotations
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    pub(crate) fn walks(&self) -> &Walks {
        &self.inner.walks
    }

    /// The version of new rooms whose creators name none.
    #[must_use]
    pub fn default_room_version(&self) -> &RoomVersionId {
        &self.parts().settings.default_room_version
    }

    pub(crate) fn server_name(&self) -> OwnedServerName {
        self.parts().signer.server_name().to_owned()
    }

    pub(crate) fn is_local(&self, server_name: &ServerName) -> bool {
        self.parts().signer.server_name() == server_name
    }

    /// A time for a create event that no other create event has: now, or as little later as it
    /// takes.
    ///
    /// Since version 12 the ID of a room is the hash of its create event, and two that one user
    /// makes in the same millisecond would be the same event.
    pub(crate) fn creation_time(&self) -> MilliSecondsSinceUnixEpoch {
        let now = self.parts().clock.now_ms();
        let last = &self.inner.last_creation_ms;
        let time = |last: u64| now.max(last.saturating_add(1));
        let (Ok(before) | Err(before)) =
            last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(time(last))
            });
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(time(before)))
    }

    /// Has the room's actor append what is wished for. Resolves after the commit.
    pub(crate) async fn propose(
        &self,
        room_id: &RoomId,
        wish: Wish,
    ) -> Result<OwnedEventId, RoomError> {
        self.inner.registry.propose(room_id, wish).await
    }

    /// The user's membership in a room; `None` if there is no member event (or no such room).
    pub(crate) async fn membership(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<MembershipState>, RoomError> {
        let membership = self.parts().members.membership(room_id, user_id).await?;
        Ok(membership.map(|membership| membership.membership))
    }

    /// Refuses who is not joined, in the same words whether or not there is such a room.
    pub(crate) async fn require_joined(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<(), RoomError> {
        match self.membership(room_id, user_id).await? {
            Some(MembershipState::Join) => Ok(()),
            _ => Err(RoomError::NotInRoom),
        }
    }
}
