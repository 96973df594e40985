//! What is unread in a room, for those who ask.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{OwnedEventId, RoomId, UserId};

use crate::Unanswered;

/// How many events notify and have not been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadCount {
    /// All of them.
    pub notifications: u64,
    /// Those among them that are highlighted.
    pub highlights: u64,
}

/// What is unread in a room. The parts are disjoint: every event is in the main timeline or in
/// one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The whole room, threads among it.
    pub room: UnreadCount,
    /// The main timeline alone.
    pub main: UnreadCount,
    /// The threads with something unread, by their roots.
    pub threads: BTreeMap<OwnedEventId, UnreadCount>,
    /// Where the counts last changed, as far as memory knows: who was told before has to be told.
    pub changed: StreamPosition,
}

/// A room's last events, as whoever asks has them in memory.
pub trait RecentEvents: Send + Sync {
    /// The room's events after `after` and not after `upto`, oldest first; `None` if memory does
    /// not have them all.
    fn between(&self, after: StreamPosition, upto: StreamPosition)
    -> Option<Vec<Arc<StoredEvent>>>;
}

/// Whose counts are asked for, and of which room.
#[derive(Clone, Copy)]
pub struct UnreadQuery<'a> {
    /// A joined member of the room.
    pub user_id: &'a UserId,
    /// The room.
    pub room_id: &'a RoomId,
    /// The user has been joined at least since here, without a break.
    pub joined_since: StreamPosition,
    /// Events up to here count.
    pub upto: StreamPosition,
    /// The room's last events, so that they need not be read again.
    pub recent: &'a dyn RecentEvents,
}

/// Who knows what is unread.
///
/// Who is never asked about costs nothing: events are judged when somebody asks. That comes at
/// once after the event, in the same sync, and what was judged before is remembered.
#[async_trait]
pub trait UnreadSource: Send + Sync {
    /// The unread counts of one room for one of its joined members.
    ///
    /// # Errors
    ///
    /// [`Unanswered`] if storage cannot be read now.
    async fn unread(&self, asked: UnreadQuery<'_>) -> Result<Unread, Unanswered>;
}
