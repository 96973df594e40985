//! Events that relate to others. Written only by appends.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use greenroom_model::{Aggregations, StoredEvent, StreamPosition, Target};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};

use crate::{Direction, StorageError};

/// How many steps an event may be away from one that it relates to indirectly.
pub const RECURSION_DEPTH: u64 = 3;

/// For whom relations are summed up.
#[derive(Clone, Debug)]
pub struct RelationReader {
    /// The reader.
    pub user_id: OwnedUserId,
    /// Whom they ignore.
    pub ignored: Option<Arc<HashSet<OwnedUserId>>>,
    /// What of the room they may see, oldest first: from behind the first position of each stretch
    /// up to and with its second.
    pub visible: Vec<(StreamPosition, StreamPosition)>,
}

impl RelationReader {
    /// Whether an event at this position, by this sender, counts.
    #[must_use]
    pub fn counts(&self, position: StreamPosition, sender: &str) -> bool {
        self.sees(position) && !self.ignores(sender)
    }

    /// Whether the reader may see an event at this position.
    #[must_use]
    pub fn sees(&self, position: StreamPosition) -> bool {
        let mut visible = self.visible.iter();
        visible.any(|(after, upto)| *after < position && position <= *upto)
    }

    /// Whether the reader ignores this user.
    #[must_use]
    pub fn ignores(&self, sender: &str) -> bool {
        let ignored = self.ignored.as_ref();
        ignored.is_some_and(|users| {
            <&UserId>::try_from(sender).is_ok_and(|sender| users.contains(sender))
        })
    }
}

/// Which events that relate to an event are wanted.
#[derive(Clone, Debug)]
pub struct RelatingQuery {
    /// The room of all of them.
    pub room_id: OwnedRoomId,
    /// The event that they relate to.
    pub target: OwnedEventId,
    /// How they relate to it, if that matters.
    pub rel_type: Option<String>,
    /// Their type, if that matters. Only looked at with a `rel_type`.
    pub event_type: Option<String>,
    /// Whether those are wanted too that relate to it by way of at most [`RECURSION_DEPTH`] − 1
    /// others, which must all be of the types that are wanted.
    pub recurse: bool,
    /// Only those after this position.
    pub after: StreamPosition,
    /// Only those at or before this position.
    pub upto: StreamPosition,
    /// Which of them first.
    pub direction: Direction,
    /// How many at most.
    pub limit: u64,
}

/// Which threads of a room are wanted.
#[derive(Clone, Debug)]
pub struct ThreadsQuery {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Only those whose newest reply is at or before this position.
    pub upto: StreamPosition,
    /// Only those in which this user has sent the root or a reply.
    pub participant: Option<OwnedUserId>,
    /// How many at most.
    pub limit: u64,
}

/// Threads, those with the newest replies first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadsPage {
    /// Their roots, which need not exist.
    pub roots: Vec<OwnedEventId>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<StreamPosition>,
}

/// Events that relate to others, and what is summed up of them.
#[async_trait]
pub trait RelationStore: Send + Sync {
    /// What is summed up of the relations to each of these events, for one reader. Those with
    /// nothing to tell are left out; the newest replies of threads are in it beside them.
    async fn aggregations(
        &self,
        targets: Vec<Target>,
        reader: RelationReader,
    ) -> Result<HashMap<OwnedEventId, Aggregations>, StorageError>;

    /// The IDs of those of these events that something is summed up with, whoever may see it.
    async fn summed(&self, targets: Vec<Target>) -> Result<HashSet<OwnedEventId>, StorageError>;

    /// The events that relate to an event, in the order of the direction.
    async fn relating_events(&self, query: RelatingQuery)
    -> Result<Vec<StoredEvent>, StorageError>;

    /// The threads of a room, whoever may see them.
    async fn threads(&self, query: ThreadsQuery) -> Result<ThreadsPage, StorageError>;

    /// Whether the user has sent an annotation of this type with this key to an event of the room.
    async fn has_annotated(
        &self,
        room_id: &RoomId,
        target: &EventId,
        sender: &UserId,
        event_type: &str,
        key: &str,
    ) -> Result<bool, StorageError>;
}
