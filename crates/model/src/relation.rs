//! Events that relate to other events, and what a server sums up of them.

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId};
use sha2::{Digest, Sha256};

use crate::{StoredEvent, StreamPosition};

/// What an event says that it relates to: a well-formed `m.relates_to` with a `rel_type`. See [event
/// relationships](https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The event it relates to, which need not exist.
    pub target: OwnedEventId,
    /// How: `m.thread`, `m.replace`, anything. At most 255 bytes.
    pub rel_type: String,
    /// Of an annotation, what it says of its target.
    pub key: Option<String>,
    /// Whether it has the form of an edit: new content for what is not state.
    pub is_edit: bool,
}

/// How many relations are followed to find the thread that an event is in: what the specification
/// recommends.
pub const MAX_HOPS: usize = 3;

/// The ways to relate to an event that mean something to a server.
pub mod rel_type {
    /// Of a reaction to what it is about.
    pub const ANNOTATION: &str = "m.annotation";
    /// Of what only refers to another event.
    pub const REFERENCE: &str = "m.reference";
    /// Of an edit to what it takes the place of.
    pub const REPLACE: &str = "m.replace";
    /// Of a reply in a thread to the thread's root.
    pub const THREAD: &str = "m.thread";
}

/// Finds what relates to an event: a short hash of a room and of an event's ID.
///
/// Since the room is in it, events of other rooms that name the same event are not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKey([u8; 16]);

impl TargetKey {
    /// The key of an event in a room, whether it exists or not.
    #[must_use]
    pub fn new(room_id: &RoomId, event_id: &EventId) -> Self {
        Self(short_hash([room_id.as_str(), event_id.as_str()]))
    }

    /// The bytes as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An annotation's key as it is compared: keys may be as long as an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AnnotationKey([u8; 16]);

impl AnnotationKey {
    /// The hash of a key.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(short_hash([key]))
    }

    /// The bytes as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 128 bits: nobody finds two texts with the same ones.
fn short_hash<const N: usize>(parts: [&str; N]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = from;
    }
    short
}

/// An event whose relations are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its room.
    pub room_id: OwnedRoomId,
    /// Its ID.
    pub event_id: OwnedEventId,
    /// Where it stands.
    pub position: StreamPosition,
    /// Its type.
    pub event_type: String,
    /// Its sender.
    pub sender: OwnedUserId,
    /// Whether it can be edited: it is no edit itself, and not redacted.
    pub editable: bool,
    /// Whether it can be the root of a thread: it relates to nothing itself.
    pub threadable: bool,
}

impl Target {
    /// How its relations are found.
    #[must_use]
    pub fn key(&self) -> TargetKey {
        TargetKey::new(&self.room_id, &self.event_id)
    }
}

/// What a server sums up, for one reader, of the events that relate to an event. See
/// [aggregations](https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aggregations {
    /// Its newest valid edit.
    pub edit: Option<StoredEvent>,
    /// The thread that it is the root of.
    pub thread: Option<Thread>,
    /// The events that refer to it, oldest first.
    pub references: Vec<OwnedEventId>,
}

impl Aggregations {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edit.is_none() && self.thread.is_none() && self.references.is_empty()
    }
}

/// A thread as one reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The newest reply.
    pub latest: StoredEvent,
    /// How many replies there are.
    pub count: u64,
    /// Whether the reader sent the root or a reply.
    pub participated: bool,
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id};

    use super::*;

    #[test]
    fn an_event_of_another_room_is_another_target() {
        let key = TargetKey::new(room_id!("!a:b"), event_id!("$c"));
        assert_eq!(key, TargetKey::new(room_id!("!a:b"), event_id!("$c")));
        assert_ne!(key, TargetKey::new(room_id!("!b:b"), event_id!("$c")));
        assert_ne!(key, TargetKey::new(room_id!("!a:b"), event_id!("$d")));
        assert_ne!(AnnotationKey::new("a"), AnnotationKey::new("a\0"));
    }
}
