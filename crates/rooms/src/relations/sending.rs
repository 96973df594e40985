//! What may not be sent for what it relates to.

use std::hash::{BuildHasher, RandomState};

use greenroom_events::{
    Draft,
    relations::{relation_in, relation_of},
};
use greenroom_model::{Relation, rel_type};
use ruma::{OwnedEventId, RoomId};
use tokio::sync::{Mutex, MutexGuard};

use crate::{RoomError, Rooms, wish::TransactionUse};

/// How many annotations that have nothing in common may be on their way at once, at most.
const LANES: usize = 64;

/// Lets identical annotations be sent one after the other, so that the second is refused before the
/// room's actor builds upon it: what is built upon one that the database refuses has to be built
/// again.
pub(crate) struct Annotations {
    hasher: RandomState,
    lanes: [Mutex<()>; LANES],
}

impl Default for Annotations {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            lanes: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Annotations {
    /// To be held until the annotation is committed; `None` for everything else.
    pub(crate) async fn enter(&self, draft: &Draft) -> Option<MutexGuard<'_, ()>> {
        let relation = relation_in(
            &draft.event_type,
            draft.state_key.as_deref(),
            &draft.content,
        )?;
        let key = relation.key?;
        let identity = (relation.target, &draft.sender, &draft.event_type, key);
        let lane = self.hasher.hash_one(identity) % LANES as u64;
        let lane = usize::try_from(lane)
            .ok()
            .and_then(|lane| self.lanes.get(lane))?;
        Some(lane.lock().await)
    }
}

impl Rooms {
    /// Looks at what a draft relates to. Gives the event that the same request has made before, if
    /// what it relates to would not let it be sent again.
    ///
    /// What was sent at the same moment is not seen here; of two annotations the database refuses
    /// one.
    pub(crate) async fn check_relation(
        &self,
        room_id: &RoomId,
        draft: &Draft,
        transaction: Option<&TransactionUse>,
    ) -> Result<Option<OwnedEventId>, RoomError> {
        let state_key = draft.state_key.as_deref();
        let Some(relation) = relation_in(&draft.event_type, state_key, &draft.content) else {
            return Ok(None);
        };
        let Some(refusal) = self.relation_refused(room_id, draft, &relation).await? else {
            return Ok(None);
        };
        if let Some(used) = transaction
            && let Some(event_id) = self.parts().rooms.event_of_transaction(used.key).await?
        {
            return Ok(Some(event_id));
        }
        // What is in a room is nobody's business who is not.
        self.require_joined(room_id, &draft.sender).await?;
        Err(refusal)
    }

    async fn relation_refused(
        &self,
        room_id: &RoomId,
        draft: &Draft,
        relation: &Relation,
    ) -> Result<Option<RoomError>, RoomError> {
        if relation.rel_type == rel_type::THREAD {
            let root = self.parts().timeline.event(&relation.target).await?;
            let root = root.filter(|root| root.room_id == room_id);
            let is_child = root.is_some_and(|root| relation_of(&root).is_some());
            return Ok(is_child.then_some(RoomError::NestedThread));
        }
        let Some(key) = &relation.key else {
            return Ok(None);
        };
        let known = self
            .parts()
            .relations
            .has_annotated(
                room_id,
                &relation.target,
                &draft.sender,
                &draft.event_type,
                key,
            )
            .await?;
        Ok(known.then_some(RoomError::DuplicateAnnotation))
    }
}
