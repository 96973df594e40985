//! What each connection of a client has been told: as of the last answer that it is known to have,
//! and of those since.
//!
//! This is in memory only. After a restart a client is told that its position is unknown, and
//! starts afresh, as the protocol wants it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use greenroom_model::{PosToken, TokenSigner};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::told::{Delta, Told};
use crate::SyncError;

/// How many connections of a user are kept.
const CONNECTIONS: usize = 32;
/// How many answers are kept that a client may have got or not: the last one, and a few for
/// requests that overlap.
const ANSWERS: usize = 4;
/// How long a connection is kept that is not used.
const IDLE_AFTER: Duration = Duration::from_hours(24);
/// How much memory the connections of all users may take, in bytes, roughly.
const BYTES: usize = 512 * 1024 * 1024;
/// What a connection takes that remembers nothing.
const EMPTY: usize = 512;

/// An answer that was given, and nobody knows whether it arrived.
#[derive(Debug)]
struct Given {
    number: u64,
    /// The answer that the client had when it asked; `None` if it started afresh.
    after: Option<u64>,
    delta: Delta,
}

#[derive(Debug)]
struct Connection {
    device_id: OwnedDeviceId,
    conn_id: String,
    last_used: Instant,
    /// The answer that the client is known to have, and all that it has been told with it.
    told: Option<(u64, Arc<Told>)>,
    given: VecDeque<Given>,
}

/// Where an answer begins.
#[derive(Debug)]
pub(crate) struct Base {
    /// The answer that the client has; `None` if it starts afresh.
    number: Option<u64>,
    pub(crate) told: Arc<Told>,
}

impl Base {
    /// The number of the answer that the client has.
    pub(crate) fn number(&self) -> Option<u64> {
        self.number
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.number.is_none()
    }
}

/// The connections of all users.
#[derive(Debug)]
pub(crate) struct Connections {
    /// In the order in which they were last used, the last one at the end.
    users: DashMap<OwnedUserId, Vec<Connection>>,
    /// Which process numbers the answers.
    boot: u32,
    last_number: AtomicU64,
}

impl Connection {
    /// What the client has been told that comes with this number.
    fn at(&mut self, number: u64) -> Option<Arc<Told>> {
        if let Some((known, told)) = &self.told
            && *known == number
        {
            return Some(Arc::clone(told));
        }
        let index = self.given.iter().position(|given| given.number == number)?;
        let given = self.given.remove(index)?;
        let base = self.told.take();
        let mut told = match given.after {
            Some(_) => base?.1,
            None => Arc::default(),
        };
        // Nobody else holds it, unless a request is still waiting that the client has given up.
        Arc::make_mut(&mut told).take_in(given.delta);
        self.told = Some((number, Arc::clone(&told)));
        // The others went on from where the client no longer is.
        self.given.retain(|given| given.after.is_none());
        Some(told)
    }

    /// How much memory it takes, roughly and rather too much: what answers share counts with each.
    fn bytes(&self) -> usize {
        let told = self.told.iter().map(|(_, told)| told.bytes());
        let given = self.given.iter().map(|given| given.delta.bytes());
        EMPTY + told.sum::<usize>() + given.sum::<usize>()
    }
}

impl Connections {
    pub(crate) fn new(boot: u32) -> Self {
        Self {
            users: DashMap::new(),
            boot,
            last_number: AtomicU64::new(0),
        }
    }

    /// What the client has been told that comes with this position, or nothing if it comes with
    /// none. It has the answer that gave it the position: what was before that is forgotten.
    pub(crate) fn base(
        &self,
        tokens: &TokenSigner,
        user_id: &UserId,
        device_id: &DeviceId,
        conn_id: &str,
        pos: Option<&str>,
    ) -> Result<Base, SyncError> {
        let Some(pos) = pos else {
            return Ok(Base {
                number: None,
                told: Arc::default(),
            });
        };
        let known = tokens.read_pos(user_id, pos).ok();
        let token = known
            .filter(|token| token.boot == self.boot)
            .ok_or(SyncError::UnknownPos)?;
        let mut connections = self.users.get_mut(user_id).ok_or(SyncError::UnknownPos)?;
        let connection = connections
            .iter_mut()
            .find(|it| it.device_id == device_id && it.conn_id == conn_id)
            .ok_or(SyncError::UnknownPos)?;
        connection.last_used = Instant::now();
        let told = connection.at(token.answer).ok_or(SyncError::UnknownPos)?;
        Ok(Base {
            number: Some(token.answer),
            told,
        })
    }

    /// Keeps what a client will have been told if it gets an answer, and gives the position of
    /// the answer. An answer that says the same as one that was given has its position too.
    pub(crate) fn answered(
        &self,
        tokens: &TokenSigner,
        user_id: &UserId,
        device_id: &DeviceId,
        conn_id: &str,
        base: &Base,
        delta: Delta,
    ) -> Result<String, SyncError> {
        let position = delta.position;
        let token = |number| {
            tokens.pos(
                user_id,
                PosToken {
                    position,
                    answer: number,
                    boot: self.boot,
                },
            )
        };
        let mut connections = self.users.entry(user_id.to_owned()).or_default();
        let index = connections
            .iter()
            .position(|it| it.device_id == device_id && it.conn_id == conn_id);
        let mut connection = match (index, base.number) {
            (Some(index), _) => connections.remove(index),
            // It was dropped while the request waited.
            (None, Some(_)) => return Err(SyncError::UnknownPos),
            (None, None) => Connection {
                device_id: device_id.to_owned(),
                conn_id: conn_id.to_owned(),
                last_used: Instant::now(),
                told: None,
                given: VecDeque::new(),
            },
        };
        connection.last_used = Instant::now();
        let has = connection.told.as_ref().map(|(number, _)| *number);
        let outcome = if base.number.is_some() && has != base.number {
            // The client has gone on with another answer; it does not wait for this one.
            Err(SyncError::UnknownPos)
        } else if let Some(same) = connection
            .given
            .iter()
            .find(|given| given.after == base.number && given.delta == delta)
        {
            Ok(token(same.number))
        } else {
            let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
            if connection.given.len() >= ANSWERS {
                connection.given.pop_front();
            }
            connection.given.push_back(Given {
                number,
                after: base.number,
                delta,
            });
            Ok(token(number))
        };
        if connections.len() >= CONNECTIONS {
            connections.remove(0);
        }
        connections.push(connection);
        outcome
    }

    /// Forgets the connections of a device, or of all of a user's devices.
    pub(crate) fn forget(&self, user_id: &UserId, device_id: Option<&DeviceId>) {
        self.users.remove_if_mut(user_id, |_, connections| {
            connections.retain(|it| device_id.is_some_and(|device_id| it.device_id != device_id));
            connections.is_empty()
        });
    }

    /// Forgets connections that are not used, and if all of them are too large together, those
    /// that have not been used for longest.
    pub(crate) fn sweep(&self) {
        self.sweep_to(IDLE_AFTER, BYTES);
    }

    fn sweep_to(&self, idle_after: Duration, bytes: usize) {
        let mut sizes = Vec::new();
        for user in &self.users {
            let used = user.iter().map(|it| (it.last_used.elapsed(), it.bytes()));
            sizes.extend(used);
        }
        sizes.sort_unstable();
        let mut keep_for = idle_after;
        let mut kept = 0;
        for (idle_for, size) in sizes {
            kept += size;
            if kept > bytes {
                keep_for = keep_for.min(idle_for);
                break;
            }
        }
        let mut count = 0;
        self.users.retain(|_, connections| {
            connections.retain(|it| it.last_used.elapsed() < keep_for);
            count += connections.len();
            !connections.is_empty()
        });
        metrics::gauge!("greenroom_sync_connections").set(count as f64);
    }
}

#[cfg(test)]
mod tests {
    use greenroom_model::StreamPosition;
    use ruma::{device_id, room_id, user_id};

    use super::*;
    use crate::sliding::told::{RoomKey, Sent};

    struct Phone {
        connections: Connections,
        tokens: TokenSigner,
    }

    impl Phone {
        fn new() -> Self {
            Self {
                connections: Connections::new(7),
                tokens: TokenSigner::new(&[7; 32]),
            }
        }

        fn base(&self, pos: Option<&str>) -> Result<Base, SyncError> {
            let (alice, phone) = (user_id!("@alice:localhost"), device_id!("PHONE"));
            self.connections
                .base(&self.tokens, alice, phone, "main", pos)
        }

        /// An answer that tells of the rooms, sent up to a position.
        fn answer(&self, base: &Base, rooms: &[&str], upto: i64) -> Result<String, SyncError> {
            let (alice, phone) = (user_id!("@alice:localhost"), device_id!("PHONE"));
            let sent = |room: &&str| {
                let room_id = ruma::RoomId::parse(*room).unwrap();
                (RoomKey::new(&room_id), Sent::upto(StreamPosition(upto)))
            };
            let delta = Delta {
                position: StreamPosition(upto),
                rooms: rooms.iter().map(sent).collect(),
                ..Delta::default()
            };
            self.connections
                .answered(&self.tokens, alice, phone, "main", base, delta)
        }
    }

    fn upto(base: &Base, room: &str) -> Option<i64> {
        let key = RoomKey::new(&ruma::RoomId::parse(room).unwrap());
        base.told.rooms.get(&key).map(|sent| sent.upto.0)
    }

    fn is_unknown<T>(outcome: &Result<T, SyncError>) -> bool {
        matches!(outcome, Err(SyncError::UnknownPos))
    }

    #[test]
    fn an_answer_counts_once_the_client_comes_with_its_position() {
        let phone = Phone::new();
        let fresh = phone.base(None).unwrap();
        let first = phone.answer(&fresh, &["!a:b"], 5).unwrap();
        let base = phone.base(Some(&first)).unwrap();
        assert_eq!(upto(&base, "!a:b"), Some(5));
        let second = phone.answer(&base, &["!a:b", "!c:d"], 6).unwrap();
        // It was lost.
        let again = phone.base(Some(&first)).unwrap();
        assert_eq!(
            (upto(&again, "!a:b"), upto(&again, "!c:d")),
            (Some(5), None)
        );
        let third = phone.answer(&again, &["!c:d"], 7).unwrap();
        // It was only late.
        let base = phone.base(Some(&second)).unwrap();
        assert_eq!(
            (upto(&base, "!a:b"), upto(&base, "!c:d")),
            (Some(6), Some(6))
        );
        for gone in [&first, &third] {
            assert!(is_unknown(&phone.base(Some(gone))), "{gone}");
        }
        assert!(phone.base(Some(&second)).is_ok(), "as often as it asks");
    }

    #[test]
    fn a_client_that_starts_afresh_may_still_come_back() {
        let phone = Phone::new();
        let first = phone
            .answer(&phone.base(None).unwrap(), &["!a:b"], 5)
            .unwrap();
        phone.base(Some(&first)).unwrap();
        let afresh = phone
            .answer(&phone.base(None).unwrap(), &["!c:d"], 6)
            .unwrap();
        assert!(phone.base(Some(&first)).is_ok());
        let base = phone.base(Some(&afresh)).unwrap();
        assert_eq!((upto(&base, "!a:b"), upto(&base, "!c:d")), (None, Some(6)));
        assert!(is_unknown(&phone.base(Some(&first))));
    }

    #[test]
    fn the_same_answer_has_the_same_position() {
        let phone = Phone::new();
        let fresh = phone.base(None).unwrap();
        let first = phone.answer(&fresh, &["!a:b"], 5).unwrap();
        assert_eq!(phone.answer(&fresh, &["!a:b"], 5).unwrap(), first);
        assert_ne!(phone.answer(&fresh, &["!a:b"], 6).unwrap(), first);
    }

    #[test]
    fn who_waits_with_a_position_that_was_left_behind_gets_none() {
        let phone = Phone::new();
        let first = phone
            .answer(&phone.base(None).unwrap(), &["!a:b"], 5)
            .unwrap();
        let waiting = phone.base(Some(&first)).unwrap();
        let base = phone.base(Some(&first)).unwrap();
        let second = phone.answer(&base, &[], 6).unwrap();
        let base = phone.base(Some(&second)).unwrap();
        assert!(is_unknown(&phone.answer(&waiting, &["!c:d"], 7)));
        assert_eq!(upto(&waiting, "!a:b"), Some(5), "what it reads stays");
        assert!(phone.answer(&base, &["!c:d"], 7).is_ok());
    }

    #[test]
    fn b40_a_position_is_of_one_user_device_connection_and_process() {
        let phone = Phone::new();
        let (alice, here) = (user_id!("@alice:localhost"), device_id!("PHONE"));
        let pos = phone
            .answer(&phone.base(None).unwrap(), &["!a:b"], 5)
            .unwrap();
        let base = |user_id, device_id, conn_id: &str, pos: &str| {
            let connections = &phone.connections;
            connections.base(&phone.tokens, user_id, device_id, conn_id, Some(pos))
        };
        for outcome in [
            base(user_id!("@bob:localhost"), here, "main", &pos),
            base(alice, device_id!("LAPTOP"), "main", &pos),
            base(alice, here, "other", &pos),
            base(alice, here, "main", "s58_224_0"),
            base(alice, here, "main", ""),
        ] {
            assert!(is_unknown(&outcome));
        }
        let after_a_restart = Connections::new(8);
        let outcome = after_a_restart.base(&phone.tokens, alice, here, "main", Some(&pos));
        assert!(is_unknown(&outcome));
        assert!(base(alice, here, "main", &pos).is_ok());
        phone.connections.forget(alice, Some(device_id!("LAPTOP")));
        assert!(base(alice, here, "main", &pos).is_ok());
        phone.connections.forget(alice, Some(here));
        assert!(is_unknown(&base(alice, here, "main", &pos)));
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let phone = Phone::new();
        let fresh = phone.base(None).unwrap();
        let alice = user_id!("@alice:localhost");
        for n in 0..100 {
            phone.answer(&fresh, &["!a:b"], n).unwrap();
            let name = format!("conn{n}");
            let device: OwnedDeviceId = format!("D{n}").into();
            let connections = &phone.connections;
            connections
                .answered(
                    &phone.tokens,
                    alice,
                    &device,
                    &name,
                    &fresh,
                    Delta::default(),
                )
                .unwrap();
        }
        let count = || {
            let kept = phone.connections.users.get(alice);
            kept.map_or((0, 0), |it| {
                let rooms = |it: &Connection| -> usize {
                    it.given.iter().map(|given| given.delta.rooms.len()).sum()
                };
                (it.len(), it.iter().map(rooms).sum())
            })
        };
        assert_eq!(count(), (CONNECTIONS, ANSWERS));
        let bytes = phone.connections.users.get(alice);
        let bytes = bytes.map_or(0, |it| it.iter().map(Connection::bytes).sum());
        phone.connections.sweep_to(Duration::from_hours(1), bytes);
        assert_eq!(count(), (CONNECTIONS, ANSWERS));
        phone
            .connections
            .sweep_to(Duration::from_hours(1), bytes - 1);
        assert_eq!(
            count().0,
            CONNECTIONS - 1,
            "the one that was used first goes"
        );
        phone.connections.sweep_to(Duration::from_hours(1), 0);
        assert_eq!(count().1, 0);
        phone.connections.sweep_to(Duration::ZERO, 10);
        assert!(phone.connections.users.is_empty());
        assert!(room_id!("!a:b").as_str().starts_with('!'));
    }
}
