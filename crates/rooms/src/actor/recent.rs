//! The transactions a room has just seen: two identical requests at once make one event.
//!
//! The database refuses a transaction ID that was used before, at any time. This memory only
//! keeps the usual retry, moments after the first try, from having to fail there first.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either},
};
use greenroom_model::TransactionKey;
use greenroom_storage::{Committed, StorageError};
use ruma::OwnedEventId;
use tokio::sync::Mutex;

use crate::RoomError;

/// How many a room remembers.
const REMEMBERED: usize = 512;

type Outcome = Result<OwnedEventId, RoomError>;

/// An append on its way, or done: everyone who asks gets the same answer.
#[derive(Clone)]
pub(crate) struct InFlight {
    /// The generation of the head it was built on.
    pub(crate) generation: u64,
    /// Whoever asks first waits for the commit, and keeps the lock meanwhile. (Unlike a shared
    /// future, this wakes nobody under a lock that the woken needs at once: it is on the path of
    /// every message.)
    answer: Arc<Mutex<Either<BoxFuture<'static, Outcome>, Outcome>>>,
}

impl InFlight {
    /// An append that the writer was handed.
    pub(crate) fn new(generation: u64, event_id: OwnedEventId, committed: Committed) -> Self {
        // A panic would reach whoever asks for the answer first.
        let outcome = AssertUnwindSafe(committed).catch_unwind().map(|outcome| {
            outcome.map_or(Err(RoomError::Panicked), |committed| {
                committed.map(|_| event_id).map_err(RoomError::from)
            })
        });
        Self {
            generation,
            answer: Arc::new(Mutex::new(Either::Left(outcome.boxed()))),
        }
    }

    /// Resolves with an event from before this append, once this is committed. If it fails, so may
    /// that event: the wish has to be looked at again.
    pub(crate) fn before(&self, event_id: OwnedEventId) -> Self {
        let newest = self.clone();
        let outcome = async move {
            let committed = newest.outcome().await;
            committed.map_or(Err(StorageError::StaleHead.into()), |_| Ok(event_id))
        };
        Self {
            generation: self.generation,
            answer: Arc::new(Mutex::new(Either::Left(outcome.boxed()))),
        }
    }

    /// Resolves after the commit.
    pub(crate) async fn outcome(&self) -> Outcome {
        let mut answer = self.answer.lock().await;
        let outcome = match &mut *answer {
            Either::Left(commit) => commit.await,
            Either::Right(outcome) => return outcome.clone(),
        };
        *answer = Either::Right(outcome.clone());
        outcome
    }
}

/// Transactions by key, the oldest forgotten first.
#[derive(Default)]
pub(crate) struct Recent {
    appends: HashMap<TransactionKey, InFlight>,
    order: VecDeque<TransactionKey>,
}

impl Recent {
    pub(crate) fn get(&self, key: TransactionKey) -> Option<InFlight> {
        self.appends.get(&key).cloned()
    }

    pub(crate) fn insert(&mut self, key: TransactionKey, append: InFlight) {
        if self.appends.insert(key, append).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            // One that is still in flight must stay, or its twin would be built as well.
            if self
                .appends
                .get(&oldest)
                .is_some_and(|append| append.outcome().now_or_never().is_none())
            {
                self.order.push_back(oldest);
                break;
            }
            self.appends.remove(&oldest);
        }
    }

    /// Forgets an append that failed, unless its transaction was tried again since.
    pub(crate) fn remove_failed(&mut self, key: TransactionKey, generation: u64) {
        if self
            .appends
            .get(&key)
            .is_some_and(|append| append.generation == generation)
        {
            self.appends.remove(&key);
            self.order.retain(|remembered| *remembered != key);
        }
    }
}
