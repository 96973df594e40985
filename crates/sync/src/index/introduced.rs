//! Which members a user's devices have been told of, where members are lazy-loaded.
//!
//! What is kept belongs to one answer, known by its token and its filter: a device that comes back
//! with the token has that answer, and so the members in it. A lost answer is one that no device
//! comes back with. What is not kept, or no longer, is told again: redundant, and never wrong.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, LazyLock},
};

use greenroom_model::{StreamPosition, SyncToken};
use parking_lot::Mutex;
use ruma::{DeviceId, OwnedDeviceId, RoomId};

use crate::CompiledFilter;

/// How many answers of a device are kept: the last one, and a few for requests that overlap.
const ANSWERS: usize = 4;
/// How many devices of a user are kept.
const DEVICES: usize = 16;
/// The most members of one answer.
const MEMBERS: usize = 1_000;

/// A member of a room as somebody sees it who has been joined since a position: when they come
/// back later, it is another room to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member(u64);

impl Member {
    pub(crate) fn new(room_id: &RoomId, joined_since: StreamPosition, user_id: &str) -> Self {
        // Keyed, so that nobody can choose IDs that look like others.
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEYS.hash_one((room_id, joined_since.0, user_id)))
    }
}

/// A set of members, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(Arc<[Member]>);

impl Members {
    /// How much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    pub(crate) fn has(&self, member: Member) -> bool {
        self.0.binary_search(&member).is_ok()
    }

    /// These and more. If they are too many, the older ones are forgotten.
    pub(crate) fn and(&self, mut more: Vec<Member>) -> Self {
        if more.is_empty() {
            return self.clone();
        }
        if self.0.len() + more.len() <= MEMBERS {
            more.extend_from_slice(&self.0);
        }
        more.truncate(MEMBERS);
        more.sort_unstable();
        more.dedup();
        Self(more.into())
    }

    fn common(&self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.0, &other.0) {
            return self.clone();
        }
        let both = self.0.iter().filter(|member| other.has(**member));
        Self(both.copied().collect())
    }
}

#[derive(Debug)]
struct Answer {
    token: SyncToken,
    filter: Arc<CompiledFilter>,
    members: Members,
}

/// The members that each of a user's devices has been told of.
#[derive(Debug, Default)]
pub(crate) struct Introduced(Mutex<HashMap<OwnedDeviceId, VecDeque<Answer>>>);

impl Introduced {
    /// The members that a device knows which comes with this token and filter.
    pub(crate) fn after(
        &self,
        device_id: &DeviceId,
        filter: &Arc<CompiledFilter>,
        since: SyncToken,
    ) -> Members {
        let devices = self.0.lock();
        let answers = devices.get(device_id).into_iter().flatten();
        let mut fitting = answers.filter(|it| it.token == since && Arc::ptr_eq(&it.filter, filter));
        fitting
            .next()
            .map(|it| it.members.clone())
            .unwrap_or_default()
    }

    /// Keeps what a device will know if it gets the answer with this token.
    pub(crate) fn answered(
        &self,
        device_id: &DeviceId,
        filter: &Arc<CompiledFilter>,
        token: SyncToken,
        members: Members,
    ) {
        let mut devices = self.0.lock();
        if devices.len() >= DEVICES && !devices.contains_key(device_id) {
            devices.clear();
        }
        let answers = devices.entry(device_id.to_owned()).or_default();
        let same = answers
            .iter_mut()
            .find(|it| it.token == token && Arc::ptr_eq(&it.filter, filter));
        if let Some(same) = same {
            // Two answers to here, and nobody knows which of them the device has.
            same.members = same.members.common(&members);
            return;
        }
        if answers.len() >= ANSWERS {
            answers.pop_front();
        }
        answers.push_back(Answer {
            token,
            filter: Arc::clone(filter),
            members,
        });
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, room_id};

    use super::*;

    fn member(user_id: &str) -> Member {
        Member::new(room_id!("!room:localhost"), StreamPosition(5), user_id)
    }

    fn token(position: i64) -> SyncToken {
        SyncToken {
            position: StreamPosition(position),
            ..SyncToken::default()
        }
    }

    fn told(users: &[&str]) -> Members {
        Members::default().and(users.iter().map(|user| member(user)).collect())
    }

    #[test]
    fn what_is_known_belongs_to_a_device_a_token_and_a_filter() {
        let (introduced, filter) = (Introduced::default(), Arc::default());
        let phone = device_id!("PHONE");
        introduced.answered(phone, &filter, token(7), told(&["@a:b"]));
        let known = |device: &DeviceId, filter: &Arc<CompiledFilter>, position| {
            introduced
                .after(device, filter, token(position))
                .has(member("@a:b"))
        };
        assert!(known(phone, &filter, 7));
        assert!(!known(phone, &filter, 8), "an answer it may not have");
        assert!(!known(phone, &Arc::default(), 7));
        assert!(!known(device_id!("LAPTOP"), &filter, 7));
        let elsewhere = room_id!("!other:localhost");
        let all = introduced.after(phone, &filter, token(7));
        assert!(!all.has(Member::new(elsewhere, StreamPosition(5), "@a:b")));
        let back_again = Member::new(room_id!("!room:localhost"), StreamPosition(6), "@a:b");
        assert!(!all.has(back_again));
    }

    #[test]
    fn of_two_answers_with_one_token_only_what_both_say_is_known() {
        let (introduced, filter) = (Introduced::default(), Arc::default());
        let phone = device_id!("PHONE");
        introduced.answered(phone, &filter, token(7), told(&["@a:b", "@c:d"]));
        introduced.answered(phone, &filter, token(7), told(&["@c:d", "@e:f"]));
        let known = introduced.after(phone, &filter, token(7));
        let users = ["@a:b", "@c:d", "@e:f"];
        assert_eq!(
            users.map(|user| known.has(member(user))),
            [false, true, false]
        );
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let (introduced, filter) = (Introduced::default(), Arc::default());
        let many: Vec<_> = (0..5_000).map(|n| member(&n.to_string())).collect();
        let members = Members::default().and(many.clone());
        assert_eq!(members.0.len(), MEMBERS);
        let fresh = members.and(vec![member("@new:b")]);
        assert!(fresh.has(member("@new:b")) && fresh.0.len() <= MEMBERS);
        for device in 0..50 {
            let device: OwnedDeviceId = format!("D{device}").into();
            for position in 0..50 {
                introduced.answered(&device, &filter, token(position), members.clone());
            }
        }
        let devices = introduced.0.lock();
        assert!(devices.len() <= DEVICES);
        assert!(devices.values().all(|answers| answers.len() <= ANSWERS));
    }
}
