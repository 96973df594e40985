//! The replacement of a room by another of a newer version.

use async_trait::async_trait;
use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{OwnedUserId, RoomId, UserId};

use crate::{Append, Committed, NewRoom, StorageError};

/// A room and the one that takes its place.
#[derive(Clone, Debug)]
pub struct RoomUpgrade {
    /// The last word in the room that is replaced: where to go.
    pub tombstone: Append,
    /// Its power levels from then on, built on the tombstone.
    pub levels: Option<Append>,
    /// Up to where its state was read when the new room was made of it.
    pub as_of: StreamPosition,
    /// The types of state that were read.
    pub state_types: Vec<String>,
    /// Who was banned from it then, in any order.
    pub banned: Vec<OwnedUserId>,
    /// The room that takes its place. Whether that is published is decided by the old one, and its
    /// `published` means nothing.
    pub replacement: NewRoom,
}

/// What an upgrade reads and writes beside what other acts do.
#[async_trait]
pub trait UpgradeStore: Send + Sync {
    /// The member events of those who are banned from a room, in stream order.
    async fn bans(&self, room_id: &RoomId) -> Result<Vec<StoredEvent>, StorageError>;

    /// Writes the new room, the last events of the old one, all its aliases' way to the new one and
    /// its place in the directory, as one act.
    ///
    /// It has its place in the queue when this returns, as with
    /// [`RoomStore::append`](crate::RoomStore::append): what was appended to the old room before is
    /// written before. The position is that of the tombstone.
    ///
    /// # Errors
    ///
    /// [`StorageError::Conflict`] if the old room's state of these types has changed since `as_of`,
    /// be it by a redaction, or others are banned from it;
    /// [`StorageError::StaleHead`] if an append that this one was built on has failed.
    /// Nothing was written then.
    fn upgrade_room(&self, upgrade: RoomUpgrade) -> Committed;

    /// Gives a user's tags of `from` to `to`, if that has none, and makes `to` a direct chat with
    /// whomever `from` is one with, as one act.
    async fn carry_labels(
        &self,
        user_id: &UserId,
        from: &RoomId,
        to: &RoomId,
    ) -> Result<(), StorageError>;
}
