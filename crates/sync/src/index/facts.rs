//! What was read for one user about the rooms they are in, for as long as it holds.

use std::{collections::HashMap, sync::Arc};

use greenroom_events::VisibilityHistory;
use greenroom_model::StreamPosition;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, RoomId};

use crate::{Summary, sliding::Hero};

/// What depends on a room's state alone, as of one edition of it.
#[derive(Debug, Default)]
struct Facts {
    edition: u64,
    history: Option<Arc<VisibilityHistory>>,
    summary: Option<Summary>,
    heroes: Option<Arc<[Hero]>>,
    /// There were no receipts for the user while the newest of the room stood here.
    no_receipts: Option<StreamPosition>,
}

/// Facts by room.
#[derive(Debug, Default)]
pub(crate) struct KnownFacts(Mutex<HashMap<OwnedRoomId, Facts>>);

impl KnownFacts {
    /// What the user may see of the room.
    pub(crate) fn history(&self, room_id: &RoomId, edition: u64) -> Option<Arc<VisibilityHistory>> {
        self.read(room_id, edition, |facts| facts.history.clone())
    }

    /// How the room is named and counted for the user.
    pub(crate) fn summary(&self, room_id: &RoomId, edition: u64) -> Option<Summary> {
        self.read(room_id, edition, |facts| facts.summary.clone())
    }

    /// The members that the room is named after, as they are called in it.
    pub(crate) fn heroes(&self, room_id: &RoomId, edition: u64) -> Option<Arc<[Hero]>> {
        self.read(room_id, edition, |facts| facts.heroes.clone())
    }

    /// Keeps what was read after the room was asked for this edition.
    pub(crate) fn keep_heroes(&self, room_id: &RoomId, edition: u64, heroes: Arc<[Hero]>) {
        self.write(room_id, edition, |facts| facts.heroes = Some(heroes));
    }

    /// Keeps what was read while the room was in this edition.
    pub(crate) fn keep_history(
        &self,
        room_id: &RoomId,
        edition: u64,
        history: Arc<VisibilityHistory>,
    ) {
        self.write(room_id, edition, |facts| facts.history = Some(history));
    }

    /// Keeps what was read while the room was in this edition.
    pub(crate) fn keep_summary(&self, room_id: &RoomId, edition: u64, summary: Summary) {
        self.write(room_id, edition, |facts| facts.summary = Some(summary));
    }

    /// Whether there are no receipts for the user, the newest of the room standing at `newest`.
    pub(crate) fn has_no_receipts(
        &self,
        room_id: &RoomId,
        edition: u64,
        newest: StreamPosition,
    ) -> bool {
        self.read(room_id, edition, |facts| facts.no_receipts) == Some(newest)
    }

    /// Keeps that there were none.
    pub(crate) fn keep_no_receipts(&self, room_id: &RoomId, edition: u64, newest: StreamPosition) {
        self.write(room_id, edition, |facts| facts.no_receipts = Some(newest));
    }

    /// The user is no longer in the room.
    pub(super) fn forget(&self, room_id: &RoomId) {
        self.0.lock().remove(room_id);
    }

    fn read<T>(
        &self,
        room_id: &RoomId,
        edition: u64,
        read: impl FnOnce(&Facts) -> Option<T>,
    ) -> Option<T> {
        let facts = self.0.lock();
        read(
            facts
                .get(room_id)
                .filter(|facts| facts.edition == edition)?,
        )
    }

    fn write(&self, room_id: &RoomId, edition: u64, write: impl FnOnce(&mut Facts)) {
        let mut all = self.0.lock();
        let facts = all.entry(room_id.to_owned()).or_default();
        if facts.edition != edition {
            *facts = Facts {
                edition,
                ..Facts::default()
            };
        }
        write(facts);
    }
}
