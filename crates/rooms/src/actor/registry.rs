//! Where the room actors are: started on demand on a fixed set of arbiters, replaced when they
//! end.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use actix::{Actor, Addr, Arbiter, ArbiterHandle, MailboxError};
use dashmap::DashMap;
use greenroom_storage::StorageError;
use ruma::{OwnedEventId, OwnedRoomId, RoomId};

use super::{Accepted, Failed, Propose, RoomActor, Tools};
use crate::{RoomError, wish::Wish};

/// How many requests may wait for one room before more are refused.
const MAX_WAITING: usize = 2048;
/// How often a wish is tried again that failed through no fault of its own: what it was built on
/// did not come to be, or the actor had just stopped.
const TRIES: usize = 8;

static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A number for a newly loaded head, greater than all before in this process.
pub(crate) fn next_generation() -> u64 {
    GENERATION.fetch_add(1, Ordering::Relaxed)
}

/// Where a room's actor is.
#[derive(Clone)]
pub(crate) struct Place {
    address: Addr<RoomActor>,
    waiting: Arc<AtomicUsize>,
}

impl Place {
    /// Resolves after the commit.
    async fn propose(&self, wish: &Arc<Wish>) -> Result<OwnedEventId, RoomError> {
        let accepted = match self.address.send(Propose(Arc::clone(wish))).await {
            Ok(accepted) => accepted?,
            Err(MailboxError::Closed | MailboxError::Timeout) => return Err(RoomError::Stopped),
        };
        let append = match accepted {
            Accepted::Done(event_id) => return Ok(event_id),
            Accepted::InFlight(append) => append,
        };
        let outcome = append.outcome().await;
        if outcome.is_err() {
            // Before whoever tries again asks again.
            let failed = Failed {
                generation: append.generation,
                transaction: wish.transaction.as_ref().map(|used| used.key),
            };
            // One that has stopped has nothing to forget.
            let _ = self.address.send(failed).await;
        }
        outcome
    }

    /// Whether it is this actor's.
    pub(super) fn is(&self, actor: &Addr<RoomActor>) -> bool {
        self.address == *actor
    }
}

/// The rooms that have an actor. An actor that ends takes its place away.
pub(crate) type Places = Arc<DashMap<OwnedRoomId, Place>>;

/// Counts a request in for as long as it waits.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn enter(count: &Arc<AtomicUsize>) -> Result<Self, RoomError> {
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(RoomError::Busy);
        }
        Ok(Self(Arc::clone(count)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All room actors of this process.
pub(crate) struct Registry {
    tools: Arc<Tools>,
    places: Places,
    arbiters: Vec<ArbiterHandle>,
}

impl Registry {
    /// Starts `arbiters` threads for room actors. Needs a running actix system.
    pub(crate) fn start(tools: Tools, arbiters: usize) -> Self {
        let arbiters = (0..arbiters.max(1))
            .map(|_| Arbiter::new().handle())
            .collect();
        Self {
            tools: Arc::new(tools),
            places: Places::default(),
            arbiters,
        }
    }

    /// Has the room's actor append what is wished for. Resolves after the commit.
    pub(crate) async fn propose(
        &self,
        room_id: &RoomId,
        wish: Wish,
    ) -> Result<OwnedEventId, RoomError> {
        let wish = Arc::new(wish);
        let mut outcome = Err(RoomError::Stopped);
        for _ in 0..TRIES {
            let place = self.place(room_id).await?;
            let _waiting = Waiting::enter(&place.waiting)?;
            outcome = place.propose(&wish).await;
            if !matches!(
                outcome,
                Err(RoomError::Stopped | RoomError::Storage(StorageError::StaleHead))
            ) {
                break;
            }
        }
        self.seen_before(&wish, outcome).await
    }

    /// A wish that failed may be the retry of one that was done long ago: its answer is the same
    /// as then, even if the room would not allow it now.
    async fn seen_before(
        &self,
        wish: &Wish,
        outcome: Result<OwnedEventId, RoomError>,
    ) -> Result<OwnedEventId, RoomError> {
        let (Err(error), Some(used)) = (&outcome, &wish.transaction) else {
            return outcome;
        };
        if matches!(error, RoomError::Storage(StorageError::Unavailable(_))) {
            return outcome;
        }
        match self.tools.store.event_of_transaction(used.key).await? {
            Some(event_id) => Ok(event_id),
            None => outcome,
        }
    }

    /// How many rooms have an actor.
    #[cfg(test)]
    pub(super) fn place_count(&self) -> usize {
        self.places.len()
    }

    /// The room's actor, started if there is none.
    async fn place(&self, room_id: &RoomId) -> Result<Place, RoomError> {
        if let Some(place) = self
            .places
            .get(room_id)
            .filter(|place| place.address.connected())
        {
            return Ok(place.clone());
        }
        if self.places.contains_key(room_id) {
            // It went without taking its place away: it broke, perhaps with appends on their way.
            // They are committed or refused before its successor reads the head.
            self.tools.store.settle().await?;
        }
        let place = self
            .places
            .entry(room_id.to_owned())
            .and_modify(|place| {
                if !place.address.connected() {
                    *place = self.start_actor(room_id);
                }
            })
            .or_insert_with(|| self.start_actor(room_id));
        Ok(place.clone())
    }

    fn start_actor(&self, room_id: &RoomId) -> Place {
        let mut hasher = DefaultHasher::new();
        room_id.hash(&mut hasher);
        let arbiters = self.arbiters.len().max(1) as u64;
        let number = usize::try_from(hasher.finish() % arbiters).unwrap_or_default();
        let actor = {
            let (tools, places) = (Arc::clone(&self.tools), Arc::clone(&self.places));
            let room_id = room_id.to_owned();
            move || RoomActor::new(room_id, tools, places)
        };
        let address = match self.arbiters.get(number) {
            Some(arbiter) => RoomActor::start_in_arbiter(arbiter, |_| actor()),
            // There is always one: `start` made it. The current one serves as well.
            None => RoomActor::start_in_arbiter(&Arbiter::current(), |_| actor()),
        };
        Place {
            address,
            waiting: Arc::default(),
        }
    }
}
