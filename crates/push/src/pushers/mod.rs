//! Pushers: what notifies a user is sent to the gateways of their apps.
//!
//! A pusher has a place in the stream, stored with it: everything up to there has been sent or is
//! not to be sent. What comes after is judged by the user's rules when it is committed, or, when
//! memory has it no longer (after a start, a failure, a flood), when it is read again. So there is
//! nothing to write when a message is sent; a notification is noted when its gateway has taken it,
//! and a crash repeats at most those that were not yet noted.
//!
//! See [push notifications](https://spec.matrix.org/v1.19/client-server-api/#push-notifications)
//! and the [push gateway API](https://spec.matrix.org/v1.19/push-gateway-api/).

mod account;
mod backoff;
mod catch_up;
mod context;
mod dispatch;
mod error;
mod feed;
mod gateway;
mod hosts;
mod notification;
mod serve;
mod slot;
mod wish;

use std::{fmt, sync::Arc};

use greenroom_model::Clock;
use greenroom_outbound::Outbound;
use greenroom_storage::{MemberStore, Pusher, PusherStore, SetPusher, StateStore, TimelineStore};
use greenroom_stream::{ChangeObserver, ChangeStream, IgnoreSource};
use parking_lot::Mutex;
use ruma::{DeviceId, UserId};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use self::{
    context::Context,
    dispatch::Dispatcher,
    feed::{Feed, Note},
    hosts::Hosts,
    wish::Wish,
};

use crate::PushService;

pub use error::PusherError;
pub use wish::PusherWish;

/// How many pushers a user can have.
const MAX_PER_USER: u64 = 100;

/// What pushers are made of.
pub struct PusherParts {
    /// Where they are kept.
    pub pushers: Arc<dyn PusherStore>,
    /// Who is in which room.
    pub members: Arc<dyn MemberStore>,
    /// Events.
    pub timeline: Arc<dyn TimelineStore>,
    /// What rooms are called, and who may see what.
    pub state: Arc<dyn StateStore>,
    /// What notifies, and what is unread.
    pub push: PushService,
    /// Whom users ignore.
    pub ignores: Arc<dyn IgnoreSource>,
    /// The way to gateways.
    pub outbound: Outbound,
    /// The stream that is followed.
    pub stream: ChangeStream,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Sets, lists and serves pushers.
pub struct Pushers {
    context: Arc<Context>,
    feed: Arc<Feed>,
    /// Taken by the one [`Self::run`].
    notes: Mutex<Option<mpsc::Receiver<Note>>>,
}

impl fmt::Debug for Pushers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushers").finish_non_exhaustive()
    }
}

/// A pusher as its user sees it.
#[derive(Clone, Debug, Serialize)]
pub struct PusherView {
    app_id: String,
    pushkey: String,
    kind: &'static str,
    app_display_name: String,
    device_display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_tag: Option<String>,
    lang: String,
    data: Box<RawValue>,
}

impl From<Pusher> for PusherView {
    fn from(pusher: Pusher) -> Self {
        Self {
            app_id: pusher.id.app_id,
            pushkey: pusher.id.pushkey,
            kind: wish::HTTP,
            app_display_name: pusher.app_display_name,
            device_display_name: pusher.device_display_name,
            profile_tag: pusher.profile_tag,
            lang: pusher.lang,
            data: pusher.data,
        }
    }
}

impl Pushers {
    /// Pushers over these parts. Nobody is served before [`Self::run`].
    #[must_use]
    pub fn new(parts: PusherParts) -> Self {
        let (feed, notes) = Feed::new();
        let feed = Arc::new(feed);
        Self {
            context: Arc::new(Context::new(parts, Arc::clone(&feed), Hosts::new())),
            feed,
            notes: Mutex::new(Some(notes)),
        }
    }

    /// Who has to be told of changes.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn ChangeObserver> {
        Arc::clone(&self.feed) as _
    }

    /// Serves everybody's pushers until `shutdown` turns true or its sender is gone; then gives
    /// requests that are under way a moment to be answered, and notes how far everybody has been
    /// served. To be called once.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        let Some(notes) = self.notes.lock().take() else {
            return;
        };
        Dispatcher::new(Arc::clone(&self.context))
            .run(notes, shutdown)
            .await;
    }

    /// Sets or deletes a pusher of a user, for the device that asks.
    ///
    /// # Errors
    ///
    /// [`PusherError`] if the wish cannot be carried out.
    pub async fn set(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
        wish: PusherWish,
    ) -> Result<(), PusherError> {
        let store = &self.context.pushers;
        match wish.checked(user_id, device_id, self.context.clock.now_ms())? {
            Wish::Set { pusher, append } => {
                // Before the writer is asked: see there.
                self.feed.somebody();
                let position = self.context.stream.position();
                let set = store.set_pusher(*pusher, position, append, MAX_PER_USER);
                let removed = match set.await? {
                    SetPusher::Done { removed } => removed,
                    SetPusher::NoSuchDevice => return Err(PusherError::LoggedOut),
                    SetPusher::TooMany => return Err(PusherError::TooMany),
                };
                for other in removed {
                    self.feed.pushers_changed(&other);
                }
            }
            Wish::Delete(id) => {
                store.delete_pusher(&id, None).await?;
            }
        }
        self.feed.pushers_changed(user_id);
        Ok(())
    }

    /// A user's pushers.
    ///
    /// # Errors
    ///
    /// [`PusherError::Storage`] if they cannot be read.
    pub async fn list(&self, user_id: &UserId) -> Result<Vec<PusherView>, PusherError> {
        let pushers = self.context.pushers.pushers_of(user_id).await?;
        Ok(pushers
            .into_iter()
            .map(|(pusher, _)| pusher.into())
            .collect())
    }
}
