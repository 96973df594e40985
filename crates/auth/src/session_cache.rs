//! Sessions kept in memory: bounded by count, forgotten by user and device.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use greenroom_storage::{Session, TokenHash};
use parking_lot::RwLock;
use ruma::{DeviceId, OwnedUserId, UserId};

const SHARDS: usize = 16;

/// A cache of sessions by the hash of their access token.
///
/// When a shard is full, the entry that has waited longest without being used makes room.
pub(crate) struct SessionCache {
    shards: [RwLock<Shard>; SHARDS],
    shard_capacity: usize,
    /// Grows whenever sessions end. A session read before that is not put in afterwards, or a
    /// revoked token would live on here.
    epoch: AtomicU64,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<TokenHash, Entry>,
    by_user: HashMap<OwnedUserId, Vec<TokenHash>>,
    queue: VecDeque<TokenHash>,
}

struct Entry {
    session: Arc<Session>,
    used: AtomicBool,
}

impl SessionCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
            epoch: AtomicU64::new(0),
        }
    }

    /// To be read before the database is, and given to [`Self::insert`].
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.read().entries.len())
            .sum()
    }

    pub(crate) fn lookup(&self, hash: TokenHash) -> Option<Arc<Session>> {
        let shard = self.shard(hash)?.read();
        let entry = shard.entries.get(&hash)?;
        entry.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&entry.session))
    }

    /// Keeps a session that was read at `epoch`, unless sessions have ended since.
    pub(crate) fn insert(&self, hash: TokenHash, session: Arc<Session>, epoch: u64) {
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut shard = shard.write();
        // Checked under the lock that `forget` takes after it has moved the epoch.
        if self.epoch() != epoch {
            return;
        }
        while shard.entries.len() >= self.shard_capacity {
            if !shard.evict_one() {
                break;
            }
        }
        shard.insert(hash, session);
    }

    pub(crate) fn forget(&self, user_id: &UserId, device_id: Option<&DeviceId>) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            shard.write().forget(user_id, device_id);
        }
    }

    /// Forgets everybody's sessions.
    pub(crate) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            *shard.write() = Shard::default();
        }
    }

    fn shard(&self, hash: TokenHash) -> Option<&RwLock<Shard>> {
        let [first, ..] = hash.0;
        self.shards.get(usize::from(first) % SHARDS)
    }
}

impl Shard {
    fn insert(&mut self, hash: TokenHash, session: Arc<Session>) {
        let user_id = session.user_id.clone();
        let entry = Entry {
            session,
            used: AtomicBool::new(false),
        };
        if self.entries.insert(hash, entry).is_none() {
            self.by_user.entry(user_id).or_default().push(hash);
            self.queue.push_back(hash);
        }
    }

    /// Drops the first entry of the queue that was not used since it was last looked at. False if
    /// there is nothing left to drop.
    fn evict_one(&mut self) -> bool {
        // Each entry is passed over at most once, so the second round finds one.
        for _ in 0..=self.queue.len().saturating_mul(2) {
            let Some(hash) = self.queue.pop_front() else {
                return false;
            };
            let Some(entry) = self.entries.get(&hash) else {
                continue;
            };
            if entry.used.swap(false, Ordering::Relaxed) {
                self.queue.push_back(hash);
                continue;
            }
            let user_id = entry.session.user_id.clone();
            self.entries.remove(&hash);
            if let Some(hashes) = self.by_user.get_mut(&user_id) {
                hashes.retain(|other| *other != hash);
                if hashes.is_empty() {
                    self.by_user.remove(&user_id);
                }
            }
            return true;
        }
        false
    }

    fn forget(&mut self, user_id: &UserId, device_id: Option<&DeviceId>) {
        let Some(hashes) = self.by_user.get_mut(user_id) else {
            return;
        };
        let entries = &mut self.entries;
        let queue = &mut self.queue;
        hashes.retain(|hash| {
            let ends = entries.get(hash).is_none_or(|entry| {
                device_id.is_none_or(|device_id| entry.session.device_id == device_id)
            });
            if ends {
                entries.remove(hash);
                queue.retain(|queued| queued != hash);
            }
            !ends
        });
        if hashes.is_empty() {
            self.by_user.remove(user_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, user_id};

    use super::*;

    fn hash(first: u8, second: u8) -> TokenHash {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1]) = (first, second);
        TokenHash(bytes)
    }

    fn session(user_id: &UserId, device_id: &DeviceId) -> Arc<Session> {
        Arc::new(Session {
            user_id: user_id.to_owned(),
            device_id: device_id.to_owned(),
            access_expires_ts_ms: None,
            admin: false,
        })
    }

    #[test]
    fn ending_a_device_spares_the_others() {
        let cache = SessionCache::new(100);
        let alice = user_id!("@alice:localhost");
        cache.insert(hash(1, 0), session(alice, device_id!("ONE")), cache.epoch());
        cache.insert(hash(2, 0), session(alice, device_id!("TWO")), cache.epoch());
        cache.forget(alice, Some(device_id!("ONE")));
        assert!(cache.lookup(hash(1, 0)).is_none());
        assert!(cache.lookup(hash(2, 0)).is_some());
        cache.forget(alice, None);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_session_read_before_others_ended_is_not_kept() {
        let cache = SessionCache::new(100);
        let alice = user_id!("@alice:localhost");
        let epoch = cache.epoch();
        cache.forget(alice, None);
        cache.insert(hash(1, 0), session(alice, device_id!("ONE")), epoch);
        assert!(cache.lookup(hash(1, 0)).is_none());
    }

    #[test]
    fn a_cleared_cache_keeps_nothing_that_was_read_before() {
        let cache = SessionCache::new(100);
        let alice = user_id!("@alice:localhost");
        let epoch = cache.epoch();
        cache.insert(hash(1, 0), session(alice, device_id!("ONE")), epoch);
        cache.clear();
        cache.insert(hash(2, 0), session(alice, device_id!("TWO")), epoch);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_full_cache_keeps_what_is_used() {
        let cache = SessionCache::new(SHARDS * 2);
        let alice = user_id!("@alice:localhost");
        for second in 0..2 {
            cache.insert(
                hash(0, second),
                session(alice, device_id!("A")),
                cache.epoch(),
            );
        }
        assert!(cache.lookup(hash(0, 0)).is_some());
        cache.insert(hash(0, 2), session(alice, device_id!("A")), cache.epoch());
        assert!(cache.lookup(hash(0, 0)).is_some());
        assert!(cache.lookup(hash(0, 1)).is_none());
        assert_eq!(cache.len(), 2);
    }
}
