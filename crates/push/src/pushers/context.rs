//! What all pushers are served with.

use std::sync::Arc;

use futures_util::FutureExt as _;
use greenroom_model::{Clock, StoredEvent, StreamPosition};
use greenroom_outbound::Outbound;
use greenroom_storage::{MemberStore, PusherStore, StateStore, StorageError, TimelineStore};
use greenroom_stream::{ChangeStream, IgnoreSource, Unanswered, UnreadSource};
use ruma::{RoomId, UserId};
use tokio::sync::Semaphore;

use super::{PusherParts, account::Account, feed::Feed, hosts::Hosts, slot::Notifying};
use crate::{PushError, PushService, rooms::NEWEST};

/// How many pushers read at once what they have missed: others want to read too.
const CATCHING_UP: usize = 2;

/// Something here did not work; the gateway is not to blame.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// What all pushers are served with.
pub(super) struct Context {
    pub(super) pushers: Arc<dyn PusherStore>,
    pub(super) members: Arc<dyn MemberStore>,
    pub(super) timeline: Arc<dyn TimelineStore>,
    pub(super) state: Arc<dyn StateStore>,
    push: PushService,
    pub(super) unread: Arc<dyn UnreadSource>,
    pub(super) ignores: Arc<dyn IgnoreSource>,
    pub(super) outbound: Outbound,
    pub(super) stream: ChangeStream,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) feed: Arc<Feed>,
    pub(super) hosts: Hosts,
    pub(super) catching_up: Semaphore,
}

impl Context {
    pub(super) fn new(parts: PusherParts, feed: Arc<Feed>, hosts: Hosts) -> Self {
        Self {
            pushers: parts.pushers,
            members: parts.members,
            timeline: parts.timeline,
            state: parts.state,
            unread: parts.push.unread_source(),
            push: parts.push,
            ignores: parts.ignores,
            outbound: parts.outbound,
            stream: parts.stream,
            clock: parts.clock,
            feed,
            hosts,
            catching_up: Semaphore::new(CATCHING_UP),
        }
    }

    /// The events in these places of a room's state.
    pub(super) async fn state_now(
        &self,
        room_id: &RoomId,
        keys: Vec<(String, String)>,
    ) -> Result<Vec<StoredEvent>, Trouble> {
        let now = self.stream.position();
        Ok(self.state.state_entries_at(room_id, now, keys).await?)
    }

    /// An event with how it notifies a user, if it does.
    pub(super) async fn judge(
        &self,
        account: &Account,
        event: &Arc<StoredEvent>,
    ) -> Result<Option<Notifying>, Trouble> {
        let verdict = self.push.verdict(&account.user_id, event).await?;
        Ok(verdict
            .filter(|verdict| verdict.notifies)
            .map(|verdict| Notifying {
                event: Arc::clone(event),
                verdict,
            }))
    }

    /// The same without waiting for anything; `None` if that is not possible.
    pub(super) fn judge_at_once(
        &self,
        account: &Account,
        event: &Arc<StoredEvent>,
    ) -> Option<Result<Option<Notifying>, Trouble>> {
        // Whoever judges for many is not to be told that it has done enough: that looks like waiting.
        tokio::task::unconstrained(self.judge(account, event)).now_or_never()
    }

    /// Reads what there is to know of a room, so that everybody's rules can judge its events at
    /// once.
    pub(super) async fn prepare(&self, room_id: &RoomId) -> Result<(), Trouble> {
        let rooms = &self.push.inner.rooms;
        let now = rooms.now(room_id).await?;
        rooms.with_power(&now, room_id, NEWEST).await?;
        Ok(())
    }

    /// Returns when a user's rules are in memory and nobody is changing them.
    pub(super) async fn rules_settled(&self, user_id: &UserId) -> Result<(), Trouble> {
        let push = &self.push.inner;
        let user = push.user(user_id);
        drop(push.rules_of(&user).await?);
        Ok(())
    }

    /// Whether the event at a position of a room is unread by a user who joined it there.
    pub(super) async fn is_unread(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        joined_since: StreamPosition,
        at: StreamPosition,
    ) -> Result<bool, Trouble> {
        let push = &self.push.inner;
        Ok(push.is_unread(user_id, room_id, joined_since, at).await?)
    }

    /// What a user has not read in a room that they have joined there, in its order.
    pub(super) async fn unread_positions(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        joined_since: StreamPosition,
    ) -> Result<Vec<StreamPosition>, Trouble> {
        let push = &self.push.inner;
        Ok(push
            .unread_positions(user_id, room_id, joined_since)
            .await?)
    }

    /// Where the stream stands.
    pub(super) fn now(&self) -> StreamPosition {
        self.stream.position()
    }
}
