//! Read receipts and the fully read marker.
//!
//! See [receipts](https://spec.matrix.org/v1.19/client-server-api/#receipts) and [fully read
//! markers](https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers).

use std::sync::Arc;

use greenroom_events::{VisibilityHistory, relations::relation_of};
use greenroom_model::{Clock, MAX_HOPS, StoredEvent, rel_type};
use greenroom_storage::{
    MemberStore, Receipt, ReceiptStore, RoomMembership, StateStore, TimelineStore,
};
use ruma::{
    EventId, OwnedEventId, RoomId, UserId,
    events::{receipt::ReceiptThread, room::member::MembershipState},
};

use crate::EphemeralError;

const READ: &str = "m.read";
const READ_PRIVATE: &str = "m.read.private";
const FULLY_READ: &str = "m.fully_read";
const MAIN_THREAD: &str = "main";

/// Takes receipts from the joined members of rooms.
pub struct ReceiptService {
    receipts: Arc<dyn ReceiptStore>,
    timeline: Arc<dyn TimelineStore>,
    state: Arc<dyn StateStore>,
    members: Arc<dyn MemberStore>,
    clock: Arc<dyn Clock>,
}

/// Up to where a user has read, as `read_markers` takes it.
#[derive(Clone, Debug, Default)]
pub struct ReadMarkers {
    /// `m.fully_read`: everything up to here is done with.
    pub fully_read: Option<OwnedEventId>,
    /// `m.read`: others may know.
    pub read: Option<OwnedEventId>,
    /// `m.read.private`: nobody else may know.
    pub read_private: Option<OwnedEventId>,
}

impl ReceiptService {
    /// A service over these stores.
    #[must_use]
    pub fn new(
        receipts: Arc<dyn ReceiptStore>,
        timeline: Arc<dyn TimelineStore>,
        state: Arc<dyn StateStore>,
        members: Arc<dyn MemberStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            receipts,
            timeline,
            state,
            members,
            clock,
        }
    }

    /// Says that a user has read up to an event of a room, in all of it or in one thread.
    ///
    /// `receipt_type` is `m.read`, `m.read.private` or `m.fully_read`, which is no receipt but the
    /// read marker.
    ///
    /// # Errors
    ///
    /// [`EphemeralError::NotJoined`], [`EphemeralError::UnknownEvent`] for an event that is not in
    /// this room or not for them to see, [`EphemeralError::InvalidParam`] for another type, or for a thread that the
    /// event is not in.
    pub async fn set_receipt(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        receipt_type: &str,
        event_id: &EventId,
        thread: &ReceiptThread,
    ) -> Result<(), EphemeralError> {
        let thread_id = thread_id(thread)?;
        let markers = match receipt_type {
            READ => ReadMarkers {
                read: Some(event_id.to_owned()),
                ..Default::default()
            },
            READ_PRIVATE => ReadMarkers {
                read_private: Some(event_id.to_owned()),
                ..Default::default()
            },
            FULLY_READ if thread_id.is_some() => {
                return invalid("m.fully_read has no thread_id");
            }
            FULLY_READ => ReadMarkers {
                fully_read: Some(event_id.to_owned()),
                ..Default::default()
            },
            _ => return invalid("receipt_type must be m.read, m.read.private or m.fully_read"),
        };
        self.set(user_id, room_id, markers, thread_id).await
    }

    /// Sets the read marker and receipts of the whole room at once, all or none.
    ///
    /// # Errors
    ///
    /// [`EphemeralError::NotJoined`], [`EphemeralError::UnknownEvent`] if one of the events is not
    /// in this room or not for them to see.
    pub async fn set_read_markers(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        markers: ReadMarkers,
    ) -> Result<(), EphemeralError> {
        self.set(user_id, room_id, markers, None).await
    }

    async fn set(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        markers: ReadMarkers,
        thread_id: Option<String>,
    ) -> Result<(), EphemeralError> {
        let membership = self.members.membership(room_id, user_id).await?;
        let membership = membership.filter(|member| member.membership == MembershipState::Join);
        let Some(membership) = membership else {
            return Err(EphemeralError::NotJoined);
        };
        let ReadMarkers {
            fully_read,
            read,
            read_private,
        } = markers;
        if let Some(event_id) = &fully_read {
            self.visible_event(room_id, &membership, user_id, event_id)
                .await?;
        }
        let ts_ms = self.clock.now_ms();
        let mut receipts = Vec::new();
        for (receipt_type, event_id) in [(READ, read), (READ_PRIVATE, read_private)] {
            let Some(event_id) = event_id else { continue };
            let event = self
                .visible_event(room_id, &membership, user_id, &event_id)
                .await?;
            if let Some(thread_id) = &thread_id {
                self.check_thread(room_id, &event, thread_id).await?;
            }
            receipts.push(Receipt {
                user_id: user_id.to_owned(),
                receipt_type: receipt_type.to_owned(),
                thread_id: thread_id.clone(),
                event_id,
                event_position: event.position,
                ts_ms,
            });
        }
        if receipts.is_empty() && fully_read.is_none() {
            return Ok(());
        }
        Ok(self
            .receipts
            .set_receipts(room_id, user_id, receipts, fully_read)
            .await?)
    }

    /// The event, if it is in this room and the reader may see it. That it exists elsewhere, or was
    /// sent when they might not see it, is nobody's business here.
    async fn visible_event(
        &self,
        room_id: &RoomId,
        membership: &RoomMembership,
        user_id: &UserId,
        event_id: &EventId,
    ) -> Result<StoredEvent, EphemeralError> {
        let event = self.timeline.event(event_id).await?;
        let event = event.filter(|event| event.room_id == room_id);
        let event = event.ok_or(EphemeralError::UnknownEvent)?;
        // Who is joined sees everything since; only of what was before has the room to be asked.
        if event.position < membership.position {
            let (visibility, memberships) = self.state.reader_history(room_id, user_id).await?;
            let history = VisibilityHistory::new(user_id, &visibility, &memberships);
            if !history.allows(&event) {
                return Err(EphemeralError::UnknownEvent);
            }
        }
        Ok(event)
    }

    /// An event is in the thread that it, or what it relates to, names; a thread's root is in the
    /// main timeline, and may also be read as the beginning of its thread.
    async fn check_thread(
        &self,
        room_id: &RoomId,
        event: &StoredEvent,
        thread_id: &str,
    ) -> Result<(), EphemeralError> {
        if event.event_id == thread_id {
            return Ok(());
        }
        let root = self.thread_root(room_id, event).await?;
        let matches = match &root {
            Some(root) => root == thread_id,
            None => thread_id == MAIN_THREAD,
        };
        if matches {
            Ok(())
        } else {
            invalid("the event is not in the thread of thread_id")
        }
    }

    /// The root of the thread an event is in; `None` for the main timeline.
    async fn thread_root(
        &self,
        room_id: &RoomId,
        event: &StoredEvent,
    ) -> Result<Option<OwnedEventId>, EphemeralError> {
        let mut relation = relation_of(event);
        for _ in 0..MAX_HOPS {
            let Some(related) = relation else {
                return Ok(None);
            };
            if related.rel_type == rel_type::THREAD {
                return Ok(Some(related.target));
            }
            let parent = self.timeline.event(&related.target).await?;
            let parent = parent.filter(|parent| parent.room_id == room_id);
            relation = parent.as_ref().and_then(relation_of);
        }
        Ok(None)
    }
}

fn thread_id(thread: &ReceiptThread) -> Result<Option<String>, EphemeralError> {
    match thread {
        ReceiptThread::Unthreaded => Ok(None),
        ReceiptThread::Main => Ok(Some(MAIN_THREAD.to_owned())),
        ReceiptThread::Thread(root) => Ok(Some(root.to_string())),
        _ => invalid("thread_id must be main or the event ID of a thread's root"),
    }
}

fn invalid<T>(reason: &str) -> Result<T, EphemeralError> {
    Err(EphemeralError::InvalidParam(reason.to_owned()))
}

#[cfg(test)]
mod tests;
