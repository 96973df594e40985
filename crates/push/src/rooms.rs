//! What push rules ask of rooms, kept until their state changes.

use std::sync::Arc;

use dashmap::DashMap;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{MemberStore, StateStore, StorageError};
use ruma::{OwnedRoomId, RoomId};
use tokio::sync::OnceCell;

use crate::room::{NotificationPower, RoomContext};

/// How many rooms are kept.
const KEPT: usize = 10_000;

/// Later than anything that was committed.
pub(crate) const NEWEST: StreamPosition = StreamPosition(i64::MAX);

/// A room as it stands.
#[derive(Debug)]
pub(crate) struct RoomNow {
    /// Without power levels: few events make a rule ask for them.
    pub(crate) powerless: RoomContext,
    /// With power levels, once somebody has asked, and the event that set them: what came before
    /// was sent under others.
    power: OnceCell<(RoomContext, StreamPosition)>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Another one whenever the state has changed.
    edition: u64,
    now: Option<Arc<RoomNow>>,
}

/// Rooms as push rules look at them.
pub(crate) struct Rooms {
    state: Arc<dyn StateStore>,
    members: Arc<dyn MemberStore>,
    known: DashMap<OwnedRoomId, Slot>,
}

impl Rooms {
    pub(crate) fn new(state: Arc<dyn StateStore>, members: Arc<dyn MemberStore>) -> Self {
        Self {
            state,
            members,
            known: DashMap::new(),
        }
    }

    /// The room as it stands now: after everything that was committed, whether readers may see it
    /// yet or not. So no change that was announced before the question is missed.
    pub(crate) async fn now(&self, room_id: &RoomId) -> Result<Arc<RoomNow>, StorageError> {
        let edition = match self
            .known
            .get(room_id)
            .map(|slot| (slot.edition, slot.now.clone()))
        {
            Some((_, Some(now))) => return Ok(now),
            Some((edition, None)) => edition,
            // In the map before it is read: a change that comes in between finds it there.
            None => self.known.entry(room_id.to_owned()).or_default().edition,
        };
        let counts = self.members.member_counts(room_id).await?;
        let now = Arc::new(RoomNow {
            powerless: RoomContext {
                joined_members: counts.joined,
                ..RoomContext::default()
            },
            power: OnceCell::new(),
        });
        if let Some(mut slot) = self.known.get_mut(room_id)
            && slot.edition == edition
        {
            slot.now = Some(Arc::clone(&now));
        }
        Ok(now)
    }

    /// The room with the power levels that stand, if they are those that stood at a position too.
    pub(crate) async fn with_power<'n>(
        &self,
        now: &'n RoomNow,
        room_id: &RoomId,
        at: StreamPosition,
    ) -> Result<Option<&'n RoomContext>, StorageError> {
        let read = async || {
            let (power, since) = self.power_at(room_id, NEWEST).await?;
            Ok::<_, StorageError>((now.powerless.with(power), since))
        };
        let (context, since) = now.power.get_or_try_init(read).await?;
        Ok((*since <= at).then_some(context))
    }

    /// Who could trigger which notifications at a position, and since when.
    pub(crate) async fn power_at(
        &self,
        room_id: &RoomId,
        at: StreamPosition,
    ) -> Result<(NotificationPower, StreamPosition), StorageError> {
        let place = |event_type: &str| (event_type.to_owned(), String::new());
        let places = vec![place("m.room.create"), place("m.room.power_levels")];
        let state = self.state.state_entries_at(room_id, at, places).await?;
        let find = |event_type: &str| state.iter().find(|event| event.event_type == event_type);
        let power = NotificationPower::new(find("m.room.create"), find("m.room.power_levels"));
        let since = state.iter().map(|event| event.position).max();
        Ok((power, since.unwrap_or_default()))
    }

    /// A state event was committed.
    pub(crate) fn changed(&self, event: &StoredEvent) {
        let matters = ["m.room.member", "m.room.power_levels", "m.room.create"];
        if matters.contains(&&*event.event_type)
            && let Some(mut slot) = self.known.get_mut(&event.room_id)
        {
            slot.edition += 1;
            slot.now = None;
        }
    }

    /// Forgets all, where that is too many.
    pub(crate) fn sweep(&self) {
        if self.known.len() > KEPT {
            self.known.clear();
        }
    }

    pub(crate) fn forget(&self) {
        self.known.clear();
    }
}
