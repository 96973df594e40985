//! What of presence outlives the process: who was last said to be online.

use std::{collections::HashMap, sync::Arc, time::Duration};

use greenroom_storage::PresenceStore;
use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
use tokio::{sync::Notify, time::sleep};

/// How long to wait after a write that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Notes to be written. Whatever comes while one write is under way goes into the next.
pub(super) struct Kept {
    store: Arc<dyn PresenceStore>,
    unwritten: Mutex<HashMap<OwnedUserId, bool>>,
    more: Notify,
}

impl Kept {
    pub(super) fn new(store: Arc<dyn PresenceStore>) -> Self {
        Self {
            store,
            unwritten: Mutex::default(),
            more: Notify::new(),
        }
    }

    /// Who was online when the process before this one ended. If that cannot be read, nobody:
    /// others then believe for a while longer what they were told.
    pub(super) async fn online(&self) -> Vec<OwnedUserId> {
        match self.store.online_users().await {
            Ok(online) => online,
            Err(error) => {
                tracing::warn!(%error, "who was online before the start is not known");
                Vec::new()
            }
        }
    }

    /// Others have been told that a user is online, or no longer.
    pub(super) fn note(&self, user_id: &UserId, online: bool) {
        self.unwritten.lock().insert(user_id.to_owned(), online);
        self.more.notify_one();
    }

    /// Notes that were not written, but for those that newer ones have replaced.
    fn put_back(&self, notes: HashMap<OwnedUserId, bool>) {
        let mut unwritten = self.unwritten.lock();
        for (user_id, online) in notes {
            unwritten.entry(user_id).or_insert(online);
        }
    }

    /// Writes notes as they come, for ever.
    pub(super) async fn run(&self) {
        loop {
            self.more.notified().await;
            let notes = std::mem::take(&mut *self.unwritten.lock());
            if notes.is_empty() {
                continue;
            }
            let changes = notes.clone().into_iter().collect();
            if let Err(error) = self.store.set_online(changes).await {
                tracing::warn!(%error, "who is online is not written");
                self.put_back(notes);
                sleep(RETRY_AFTER).await;
                self.more.notify_one();
            }
        }
    }
}
