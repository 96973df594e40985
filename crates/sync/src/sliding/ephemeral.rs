//! The extensions for receipts and typing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use greenroom_model::StreamPosition;
use greenroom_storage::Receipt;
use ruma::{OwnedEventId, RoomId};

use super::{
    answer::EventByRoom,
    order::Listed,
    reading::Sliding,
    scope::Scoped,
    told::{AsItIs, Delta, RoomKey, Sent},
};
use crate::{
    SyncError,
    index::Room,
    sections::{receipt_event, typing_event},
};

/// A timeline that stands by itself in an answer.
pub(super) struct Shown {
    /// The boundary before its first event.
    pub(super) start: StreamPosition,
    pub(super) events: HashSet<OwnedEventId>,
}

/// The timelines that stand by themselves in an answer.
pub(super) type ShownTimelines = HashMap<RoomKey, Shown>;

impl Sliding<'_> {
    /// Receipts: those for the events of a timeline, and the user's own; after that, new ones.
    pub(super) async fn receipts(
        &self,
        scoped: &[Scoped],
        shown: &ShownTimelines,
        delta: &mut Delta,
    ) -> Result<Option<EventByRoom>, SyncError> {
        let Some(scope) = &self.rules.receipts else {
            return Ok(None);
        };
        let mut rooms = BTreeMap::new();
        for scoped in scoped.iter().filter(|scoped| scoped.is_in(scope)) {
            let listed = &scoped.listed;
            let Some(room) = &listed.room else { continue };
            let Some(sent) = self.sent(listed.key, delta) else {
                continue;
            };
            let shown = shown.get(&listed.key);
            if shown.is_none() && room.newest_receipt() <= sent.receipts {
                continue;
            }
            let receipts = self.new_receipts(listed, room, &sent, shown).await?;
            if !receipts.is_empty() {
                rooms.insert(listed.room_id.clone(), receipt_event(receipts)?);
            }
            let receipts = self.upto.position;
            delta.send(listed.key, Sent { receipts, ..sent });
        }
        Ok(EventByRoom::some(rooms))
    }

    async fn new_receipts(
        &self,
        listed: &Listed,
        room: &Arc<Room>,
        sent: &Sent,
        shown: Option<&Shown>,
    ) -> Result<Vec<Receipt>, SyncError> {
        let (room_id, user_id) = (&room.room_id, &self.user.user_id);
        let upto = self.upto.position;
        let parts = &self.service.parts;
        let reading = self.like_sync(None, 0);
        let read = async |after| {
            reading
                .receipts(room_id, listed.joined_since, after, upto)
                .await
        };
        let is_first = sent.receipts == StreamPosition::START;
        let mut found = Vec::new();
        if is_first {
            found.extend(parts.sliding.own_receipts(room_id, user_id).await?);
        } else if room.newest_receipt() > sent.receipts {
            found.extend(read(sent.receipts).await?);
        }
        if let Some(shown) = shown {
            // Nobody has read an event before it was there.
            let of_timeline = read(shown.start).await?;
            let is_shown = |it: &Receipt| shown.events.contains(&it.event_id);
            for receipt in of_timeline.into_iter().filter(is_shown) {
                if !found.contains(&receipt) {
                    found.push(receipt);
                }
            }
        }
        Ok(found)
    }

    /// Who types where that has changed, and in rooms that are new to the client.
    pub(super) fn typing(
        &self,
        scoped: &[Scoped],
        delta: &mut Delta,
    ) -> Result<Option<EventByRoom>, SyncError> {
        let Some(scope) = &self.rules.typing else {
            return Ok(None);
        };
        let told = &self.base.told.elsewhere;
        let mut typed_in: HashMap<RoomKey, u64> = told.typed_in.iter().copied().collect();
        // A room may come under the request long after somebody began to type in it.
        let busy = self.service.parts.typing.rooms(scoped.len());
        let busy: Option<HashSet<RoomKey, AsItIs>> =
            busy.map(|rooms| rooms.iter().map(|room_id| RoomKey::new(room_id)).collect());
        let may_be_busy = |key| busy.as_ref().is_none_or(|busy| busy.contains(key));
        if typed_in.is_empty() && busy.as_ref().is_some_and(HashSet::is_empty) {
            return Ok(None);
        }
        let mut rooms = BTreeMap::new();
        for scoped in scoped {
            let listed = &scoped.listed;
            let was_told = typed_in.get(&listed.key).copied();
            let is_due = was_told.is_some() || may_be_busy(&listed.key);
            if !is_due || listed.room.is_none() || !scoped.is_in(scope) {
                continue;
            }
            let (counter, now) = self.typing_in(&listed.room_id);
            // Who did not know that anybody typed need not hear that nobody does.
            let is_due = match now.is_empty() {
                true => was_told.is_some(),
                false => was_told != Some(counter),
            };
            if !is_due {
                continue;
            }
            match now.is_empty() {
                true => typed_in.remove(&listed.key),
                false => typed_in.insert(listed.key, counter),
            };
            rooms.insert(listed.room_id.clone(), typing_event(now, None)?);
        }
        let mut typed_in: Vec<_> = typed_in.into_iter().collect();
        typed_in.sort_unstable();
        delta.elsewhere.typed_in = typed_in.into();
        Ok(EventByRoom::some(rooms))
    }

    /// Who types in a room, and since which count.
    fn typing_in(&self, room_id: &RoomId) -> (u64, Vec<ruma::OwnedUserId>) {
        let typing = self.like_sync(None, 0).typing(room_id);
        typing.map_or_else(
            || (0, Vec::new()),
            |typing| (typing.counter, typing.user_ids),
        )
    }
}
