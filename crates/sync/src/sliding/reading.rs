//! One reading of everything that is new to a connection.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use greenroom_events::Format;
use greenroom_model::{StreamPosition, SyncToken};
use greenroom_stream::{IgnoredUsers, SyncPresence};
use ruma::{
    DeviceId, UInt, UserId,
    api::client::filter::{FilterDefinition, RoomEventFilter},
    events::room::member::MembershipState,
};

use super::{
    account::UserData,
    answer::{E2eeAnswer, RoomAnswer, SlidingAnswer, ToDeviceAnswer},
    connections::Base,
    ephemeral::ShownTimelines,
    order::{InOrder, Listed, Rooms, merged},
    request::{MAX_TIMELINE, Rules},
    scope::Scoped,
    told::{Delta, Kind, RoomKey, Sent},
};
use crate::{
    CompiledFilter, SyncError, SyncRequest,
    index::{Members, User},
    service::{Inner, Reading},
};

/// One reading: whose, of what, from where to where.
pub(crate) struct Sliding<'a> {
    pub(super) service: &'a Inner,
    pub(super) user: Arc<User>,
    pub(super) rules: &'a Rules,
    pub(super) base: &'a Base,
    /// The user's rooms, as they are.
    pub(super) rooms: Rooms,
    /// Where the reading ends.
    pub(super) upto: SyncToken,
    /// Of whom the user wants to see nothing but state.
    pub(super) ignored: IgnoredUsers,
    /// What a reading of `/sync` needs to know of its request.
    pub(super) request: &'a SyncRequest,
}

/// What came of a reading.
pub(crate) struct Read {
    /// Without its position.
    pub(super) answer: SlidingAnswer,
    pub(super) delta: Delta,
}

/// A room, and what is noted of it: nothing is said if there is nothing to say.
pub(super) type RoomRead = (Option<RoomAnswer>, Sent);

impl Delta {
    /// Notes what is sent of a room.
    pub(super) fn send(&mut self, key: RoomKey, sent: Sent) {
        self.rooms.insert(key, sent);
    }
}

/// What `/sync` would be asked to read rooms for this user and device.
pub(super) fn as_sync_request(
    user_id: &UserId,
    device_id: &DeviceId,
    set_presence: SyncPresence,
) -> SyncRequest {
    SyncRequest {
        user_id: user_id.to_owned(),
        device_id: device_id.to_owned(),
        since: None,
        filter: None,
        full_state: false,
        use_state_after: true,
        set_presence,
        timeout: std::time::Duration::ZERO,
        r0: false,
    }
}

/// A filter that lets the last events through, so many.
fn last_events(limit: u32) -> Arc<CompiledFilter> {
    static FILTERS: LazyLock<Vec<Arc<CompiledFilter>>> =
        LazyLock::new(|| (0..=MAX_TIMELINE).map(filter).collect());
    let index = usize::try_from(limit).unwrap_or(usize::MAX);
    let known = FILTERS.get(index).map(Arc::clone);
    known.unwrap_or_else(|| filter(MAX_TIMELINE))
}

fn filter(limit: u32) -> Arc<CompiledFilter> {
    let mut timeline = RoomEventFilter::default();
    timeline.limit = Some(UInt::from(limit));
    let mut filter = FilterDefinition::default();
    filter.room.timeline = timeline;
    Arc::new(CompiledFilter::new(&filter))
}

impl Sliding<'_> {
    /// The same room as `/sync` reads it, for who has it up to a position.
    pub(super) fn like_sync(&self, after: Option<StreamPosition>, limit: u32) -> Reading<'_> {
        let since = after.map(|position| SyncToken {
            position,
            ..self.upto
        });
        Reading {
            service: self.service,
            user: Arc::clone(&self.user),
            request: self.request,
            filter: last_events(limit),
            since,
            upto: self.upto,
            format: Format::SYNC,
            introduced: Members::default(),
            ignored: self.ignored.clone(),
        }
    }

    /// What was sent of a room, with this answer or before.
    pub(super) fn sent(&self, key: RoomKey, delta: &Delta) -> Option<Sent> {
        let before = || self.base.told.rooms.get(&key);
        delta.rooms.get(&key).or_else(before).cloned()
    }

    /// Reads everything that is new. `None` if memory has run ahead of where the reading ends:
    /// then it has to be done again.
    pub(super) async fn read(&self) -> Result<Option<Read>, SyncError> {
        let told = &self.base.told;
        let mut delta = Delta {
            position: self.upto.position,
            elsewhere: told.elsewhere.clone(),
            ..Delta::default()
        };
        let gone = self.gone_rooms().await?;
        let data = self.user_data().await?;
        let in_order = self.shown_rooms(&gone, &data);
        let scope = self.scope(&in_order, &data).await?;
        if self.user.newest_membership() > self.upto.position {
            return Ok(None);
        }
        delta.elsewhere.gone = gone;
        delta.elsewhere.required = scope.required;
        delta.elsewhere.direct = Arc::clone(&data.direct);
        let mut answer = SlidingAnswer {
            txn_id: self.rules.txn_id.clone(),
            lists: scope.lists,
            ..SlidingAnswer::default()
        };
        let mut shown = HashMap::new();
        for scoped in &scope.rooms {
            if !self.is_due(scoped, &data) {
                continue;
            }
            let read = self.room(scoped, &data, &mut delta, &mut shown).await?;
            let (room, sent) = read;
            if let Some(room) = room {
                answer.rooms.insert(scoped.listed.room_id.clone(), room);
            }
            delta.send(scoped.listed.key, sent);
        }
        let extensions = &mut answer.extensions;
        extensions.account_data = self.account_data(&scope.rooms, &mut delta).await?;
        extensions.receipts = self.receipts(&scope.rooms, &shown, &mut delta).await?;
        extensions.typing = self.typing(&scope.rooms, &mut delta)?;
        // What the encryption of messages needs is not served yet: there is nothing to deliver.
        extensions.to_device = self.rules.to_device.then(|| ToDeviceAnswer {
            next_batch: self.service.parts.tokens.sync(
                &self.user.user_id,
                SyncToken {
                    position: self.upto.position,
                    ..SyncToken::default()
                },
            ),
        });
        extensions.e2ee = self.rules.e2ee.then(E2eeAnswer::default);
        Ok(Some(Read { answer, delta }))
    }

    /// The rooms that the request may be about, for lists in order: all but invites that are not
    /// wanted, or are by users who are ignored.
    fn shown_rooms(&self, gone: &[Arc<Listed>], data: &UserData) -> InOrder {
        let in_order = match self.rules.lists.is_empty() {
            true => self.subscribed_rooms(gone),
            false => merged(&self.rooms.in_order, gone),
        };
        let is_unwanted = |it: &Arc<Listed>| {
            it.membership == MembershipState::Invite
                && (data.blocks_invites || self.ignored.contains(&it.sender))
        };
        if !self.rooms.has_invites || !in_order.iter().any(is_unwanted) {
            return in_order;
        }
        let wanted = in_order.iter().filter(|it| !is_unwanted(it));
        Arc::new(wanted.cloned().collect())
    }

    /// The rooms that are subscribed to. Those that the user is in are found without looking at
    /// all the others.
    fn subscribed_rooms(&self, gone: &[Arc<Listed>]) -> InOrder {
        let subscriptions = &self.rules.subscriptions;
        let here = subscriptions
            .keys()
            .filter_map(|room_id| self.rooms.get(room_id));
        let gone = gone
            .iter()
            .filter(|it| subscriptions.contains_key(&it.room_id));
        Arc::new(here.chain(gone).cloned().collect())
    }

    /// Whether there may be something new in a room: a comparison in memory.
    fn is_due(&self, scoped: &Scoped, data: &UserData) -> bool {
        let listed = &scoped.listed;
        let Some(sent) = self.base.told.rooms.get(&listed.key) else {
            return true;
        };
        let Some(room) = &listed.room else {
            return sent.upto < listed.position;
        };
        let config = &scoped.config;
        let same_required = std::ptr::eq(sent.required.as_ptr(), Arc::as_ptr(&config.required));
        sent.kind != Kind::Joined
            || room.newest_event() > sent.upto
            || room.newest_receipt() > sent.counted
            || config.limit > sent.shown
            || !same_required && wants_more(sent, scoped)
            || !Arc::ptr_eq(&self.base.told.elsewhere.direct, &data.direct)
                && sent.said.is_direct != data.direct.contains(&listed.room_id)
    }

    async fn room(
        &self,
        scoped: &Scoped,
        data: &UserData,
        delta: &mut Delta,
        shown: &mut ShownTimelines,
    ) -> Result<RoomRead, SyncError> {
        let sent = self.base.told.rooms.get(&scoped.listed.key);
        match (&scoped.listed.membership, &scoped.listed.room) {
            (_, Some(room)) => self.joined(scoped, room, sent, data, delta, shown).await,
            (MembershipState::Invite | MembershipState::Knock, None) => {
                self.outside(scoped, sent).await
            }
            (_, None) => self.gone(scoped, sent).await,
        }
    }
}

/// Whether more of the state is wanted than was when the room was sent.
fn wants_more(sent: &Sent, scoped: &Scoped) -> bool {
    let known = sent.required.upgrade();
    known.is_none_or(|known| !scoped.config.required.is_within(&known))
}
