//! What push rules ask of rooms, kept until their state changes.

use std::sync::Arc;

use dashmap::DashMap;
use greenroom_model::{StoredEvent, StreamPosition};
use greenroom_storage::{MemberStore, StateStore, StorageError};
use ruma::{OwnedRoomId, RoomId};

use crate::room::{NotificationPower, RoomContext};

/// How many rooms are kept.
const KEPT: usize = 10_000;

#[derive(Debug, Default)]
struct Slot {
    /// Another one whenever the state has changed.
    edition: u64,
    context: Option<Arc<RoomContext>>,
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

    /// The room as it stands now.
    pub(crate) async fn context(
        &self,
        room_id: &RoomId,
        upto: StreamPosition,
    ) -> Result<Arc<RoomContext>, StorageError> {
        let edition = match self
            .known
            .get(room_id)
            .map(|slot| (slot.edition, slot.context.clone()))
        {
            Some((_, Some(context))) => return Ok(context),
            Some((edition, None)) => edition,
            // In the map before it is read: a change that comes in between finds it there.
            None => self.known.entry(room_id.to_owned()).or_default().edition,
        };
        let place = |event_type: &str| (event_type.to_owned(), String::new());
        let places = vec![place("m.room.create"), place("m.room.power_levels")];
        let state = self.state.state_entries_at(room_id, upto, places).await?;
        let find = |event_type: &str| state.iter().find(|event| event.event_type == event_type);
        let counts = self.members.member_counts(room_id).await?;
        let context = Arc::new(RoomContext {
            joined_members: counts.joined,
            power: NotificationPower::new(find("m.room.create"), find("m.room.power_levels")),
        });
        if let Some(mut slot) = self.known.get_mut(room_id)
            && slot.edition == edition
        {
            slot.context = Some(Arc::clone(&context));
        }
        Ok(context)
    }

    /// A state event was committed.
    pub(crate) fn changed(&self, event: &StoredEvent) {
        let matters = ["m.room.member", "m.room.power_levels", "m.room.create"];
        if matters.contains(&&*event.event_type)
            && let Some(mut slot) = self.known.get_mut(&event.room_id)
        {
            slot.edition += 1;
            slot.context = None;
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
