//! The way through a tree of spaces: depth first, each room once, no further than asked.

use std::{collections::HashMap, sync::Arc};

use greenroom_model::StreamPosition;
use greenroom_storage::{RoomPreview, SpaceStore, StorageError};
use ruma::{OwnedRoomId, OwnedUserId, RoomId};

use super::children::{Child, children};
use crate::preview::may_see;

/// How many children a space has at most; what lists more is cut, the newest first.
const MAX_CHILDREN: u64 = 20_000;

/// What a walk is about: the same for all of its pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Terms {
    pub(super) user_id: OwnedUserId,
    pub(super) root: OwnedRoomId,
    /// Spaces have the children that they had here: who turns pages sees one tree.
    pub(super) at: StreamPosition,
    /// How many steps down from the root rooms are at most.
    pub(super) max_depth: u32,
    pub(super) suggested_only: bool,
}

/// A walk as far as it has come: all of it follows from its terms and what their user may see, so
/// it can be forgotten and walked again.
#[derive(Debug)]
pub(super) struct Walk {
    terms: Terms,
    /// In the order of the tree.
    met: Vec<Met>,
    /// The rooms that were met, and how far down each was when its children were looked at.
    depths: HashMap<OwnedRoomId, u32>,
    /// What is to be met, the next one last.
    ahead: Vec<(OwnedRoomId, u32)>,
    /// Whether children have been left out because they were too far down.
    cut: bool,
}

/// A room that a walk came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) room_id: OwnedRoomId,
    /// Whether it had been met before, further down, where some of what is below it was left out.
    pub(super) again: bool,
}

impl Walk {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            ahead: vec![(terms.root.clone(), 0)],
            terms,
            met: Vec::new(),
            depths: HashMap::new(),
            cut: false,
        }
    }

    /// A walk that holds `number` rooms more than it has come by.
    #[cfg(test)]
    pub(super) fn held_up(terms: Terms, number: usize) -> Self {
        let mut walk = Self::new(terms);
        let elsewhere = |number| ruma::RoomId::parse(format!("!elsewhere{number}:b")).ok();
        walk.depths.extend(
            (0..number)
                .filter_map(elsewhere)
                .map(|room_id| (room_id, 0)),
        );
        walk
    }

    /// The room at a place of the walk, if it has come so far.
    pub(super) fn met(&self, place: usize) -> Option<&Met> {
        self.met.get(place)
    }

    /// How much it holds in memory, in rooms.
    pub(super) fn size(&self) -> usize {
        self.met.len() + self.depths.len() + self.ahead.len()
    }

    /// What will be asked for behind `place`, roughly in that order.
    pub(super) fn upcoming(&self, place: usize) -> impl Iterator<Item = &RoomId> {
        let known = self.met.iter().skip(place).map(|met| &*met.room_id);
        known.chain(self.ahead.iter().rev().map(|(room_id, _)| &**room_id))
    }

    /// Goes on to the next room. False if there is none.
    ///
    /// A room is left behind only when all that can fail is done: whoever comes next goes on from
    /// where the walk stands.
    pub(super) async fn step(&mut self, look: &mut Look) -> Result<bool, StorageError> {
        loop {
            let Some((room_id, depth)) = self.ahead.last().cloned() else {
                return Ok(false);
            };
            let before = self.depths.get(&room_id).copied();
            let again = match before {
                // What is below it has been looked at, as far as ever.
                Some(before) if depth >= before || !self.cut => {
                    self.ahead.pop();
                    continue;
                }
                Some(_) => true,
                None => false,
            };
            let upcoming = self.upcoming(self.met.len());
            let is_space = look
                .at(&room_id, upcoming)
                .await?
                .is_some_and(|preview| is_space(&preview));
            let below = if is_space && depth < self.terms.max_depth {
                look.children(&room_id).await?
            } else {
                Arc::default()
            };
            self.ahead.pop();
            self.cut |= is_space && depth >= self.terms.max_depth;
            // Where there is nothing below it, it is never looked at again.
            let depth_looked_at = if is_space { depth } else { 0 };
            self.depths.insert(room_id.clone(), depth_looked_at);
            let next = below.iter().rev().map(|child| child.room_id.clone());
            let next = next.filter(|child| {
                let before = self.depths.get(child);
                before.is_none_or(|before| self.cut && depth + 1 < *before)
            });
            self.ahead.extend(next.map(|child| (child, depth + 1)));
            self.met.push(Met { room_id, again });
            return Ok(true);
        }
    }
}

pub(super) fn is_space(preview: &RoomPreview) -> bool {
    preview.room.room_type.as_deref() == Some("m.space")
}

/// What one request has read: rooms in batches, the children of a space once.
pub(super) struct Look {
    spaces: Arc<dyn SpaceStore>,
    terms: Terms,
    batch: usize,
    rooms: HashMap<OwnedRoomId, Option<Arc<RoomPreview>>>,
    /// Of the last space asked about.
    last: Option<(OwnedRoomId, Arc<Vec<Child>>)>,
}

impl Look {
    /// Reads `batch` rooms at once.
    pub(super) fn new(spaces: Arc<dyn SpaceStore>, terms: Terms, batch: usize) -> Self {
        Self {
            spaces,
            terms,
            batch,
            rooms: HashMap::new(),
            last: None,
        }
    }

    /// A room as its reader may see it; `None` if they may not. Where it was not read yet, those in
    /// `upcoming` are read with it.
    pub(super) async fn at(
        &mut self,
        room_id: &RoomId,
        upcoming: impl Iterator<Item = &RoomId>,
    ) -> Result<Option<Arc<RoomPreview>>, StorageError> {
        if let Some(known) = self.rooms.get(room_id) {
            return Ok(known.clone());
        }
        let mut wanted = vec![room_id.to_owned()];
        let others = upcoming.filter(|other| *other != room_id && !self.rooms.contains_key(*other));
        // Twins among them cost a place in the batch, and that is all.
        wanted.extend(others.take(self.batch).map(ToOwned::to_owned));
        let found = self
            .spaces
            .room_previews(wanted.clone(), Some(&self.terms.user_id))
            .await?;
        self.rooms
            .extend(wanted.into_iter().map(|room_id| (room_id, None)));
        let seen = found.into_iter().filter(may_see);
        self.rooms
            .extend(seen.map(|preview| (preview.room.room_id.clone(), Some(Arc::new(preview)))));
        Ok(self.rooms.get(room_id).cloned().flatten())
    }

    /// The children of a space, as far as the walk is about them.
    pub(super) async fn children(
        &mut self,
        room_id: &RoomId,
    ) -> Result<Arc<Vec<Child>>, StorageError> {
        if let Some((last, children)) = &self.last
            && last == room_id
        {
            return Ok(Arc::clone(children));
        }
        let events = self
            .spaces
            .space_children(room_id, self.terms.at, MAX_CHILDREN)
            .await?;
        let children = Arc::new(children(&events, self.terms.suggested_only));
        self.last = Some((room_id.to_owned(), Arc::clone(&children)));
        Ok(children)
    }
}
