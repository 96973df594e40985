//! The transactions a room has just seen: two identical requests at once make one event.
//!
//! The database refuses a transaction ID that was used before, at any time. This memory only
//! keeps the usual retry, moments after the first try, from having to fail there first.

use std::collections::{HashMap, VecDeque};

use futures_util::future::{BoxFuture, Shared};
use greenroom_model::TransactionKey;
use ruma::OwnedEventId;

use crate::RoomError;

/// How many a room remembers.
const REMEMBERED: usize = 512;

/// An append on its way, or done: everyone who asks gets the same answer.
pub(crate) type InFlight = Shared<BoxFuture<'static, Result<OwnedEventId, RoomError>>>;

/// Transactions by key, the oldest forgotten first.
#[derive(Default)]
pub(crate) struct Recent {
    answers: HashMap<TransactionKey, InFlight>,
    order: VecDeque<TransactionKey>,
}

impl Recent {
    pub(crate) fn get(&self, key: TransactionKey) -> Option<InFlight> {
        self.answers.get(&key).cloned()
    }

    pub(crate) fn insert(&mut self, key: TransactionKey, answer: InFlight) {
        if self.answers.insert(key, answer).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED {
            // One that is still in flight must stay, or its twin would be built as well.
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if self
                .answers
                .get(&oldest)
                .is_some_and(|answer| answer.peek().is_none())
            {
                self.order.push_back(oldest);
                break;
            }
            self.answers.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: TransactionKey) {
        self.answers.remove(&key);
        self.order.retain(|remembered| *remembered != key);
    }
}
