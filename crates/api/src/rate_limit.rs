//! How often somebody may do what: by account and by address.
//!
//! See [rate limiting](https://spec.matrix.org/v1.19/client-server-api/#rate-limiting).

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use dashmap::{DashMap, Entry};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use ruma::UserId;

use crate::{ApiError, ClientAddress};

/// How many keys one limit remembers. Somebody who comes from more addresses than this within the
/// time that a limit looks back is not stopped by limits.
const MAX_KEYS: usize = 100_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// A login, or the password stage of user-interactive authentication.
    Login,
    /// A registration, or a question about usernames or registration tokens.
    Registration,
    /// An event: a message, state, a redaction.
    Message,
    /// A join, a knock, or a room created.
    Join,
    /// What somebody says of themselves or keeps for themselves: typing, presence, receipts, the
    /// profile, account data, tags, filters, a change of the account.
    Update,
    /// A question that takes some looking: the rooms of a space, a room's summary, a search of the
    /// user directory, rooms shared with somebody.
    Lookup,
    /// A report of something to the administrators.
    Report,
}

/// A bucket of `burst` acts, into which one more falls every `refill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many acts may come at once.
    pub burst: NonZeroU32,
    /// How long it takes until one more may come.
    pub refill: Duration,
}

impl Rate {
    /// A rate. A `burst` of zero counts as one.
    #[must_use]
    pub const fn new(burst: u32, refill: Duration) -> Self {
        let burst = match NonZeroU32::new(burst) {
            Some(burst) => burst,
            None => NonZeroU32::MIN,
        };
        Self { burst, refill }
    }
}

/// The two limits on one kind of act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one account.
    pub per_account: Rate,
    /// For one IPv4 address or one IPv6 network of 64 bits.
    pub per_address: Rate,
}

/// The rates, by kind of act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// Failed logins: a login that succeeds does not count.
    pub login: Limits,
    /// Registrations. The limit per account is not used: there is none yet.
    pub registration: Limits,
    /// Events sent.
    pub messages: Limits,
    /// Rooms joined, knocked at or created.
    pub joins: Limits,
    /// Typing, presence, receipts, profile, account data, tags, filters, changes of the account.
    pub updates: Limits,
    /// Spaces, room summaries, the user directory, mutual rooms.
    pub lookups: Limits,
    /// Reports to the administrators.
    pub reports: Limits,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        Self {
            login: Limits {
                per_account: Rate::new(10, seconds(30)),
                per_address: Rate::new(30, seconds(10)),
            },
            registration: Limits {
                per_account: Rate::new(10, seconds(20)),
                per_address: Rate::new(20, seconds(20)),
            },
            messages: Limits {
                per_account: Rate::new(100, millis(100)),
                per_address: Rate::new(500, millis(10)),
            },
            joins: Limits {
                per_account: Rate::new(30, seconds(2)),
                per_address: Rate::new(100, millis(500)),
            },
            // Twice what messages may: a client writes a receipt and says twice that its user
            // types for each message, and catches up with many rooms at once.
            updates: Limits {
                per_account: Rate::new(200, millis(50)),
                per_address: Rate::new(1_000, millis(5)),
            },
            // A client looks for users with each letter that is typed.
            lookups: Limits {
                per_account: Rate::new(100, millis(100)),
                per_address: Rate::new(300, millis(20)),
            },
            reports: Limits {
                per_account: Rate::new(20, seconds(30)),
                per_address: Rate::new(60, seconds(10)),
            },
        }
    }
}

/// The limits at work, as `web::Data<RateLimits>` in the app: one for the whole process.
#[derive(Debug)]
pub struct RateLimits(Option<Active>);

#[derive(Debug)]
struct Active {
    login: Pair,
    registration: Pair,
    messages: Pair,
    joins: Pair,
    updates: Pair,
    lookups: Pair,
    reports: Pair,
    hasher: RandomState,
}

#[derive(Debug)]
struct Pair {
    account: Limiter,
    address: Limiter,
}

impl RateLimits {
    /// Limits with these rates; `None` switches them off.
    #[must_use]
    pub fn new(settings: Option<&RateLimitSettings>) -> Self {
        Self(settings.map(|settings| Active {
            login: Pair::new(&settings.login),
            registration: Pair::new(&settings.registration),
            messages: Pair::new(&settings.messages),
            joins: Pair::new(&settings.joins),
            updates: Pair::new(&settings.updates),
            lookups: Pair::new(&settings.lookups),
            reports: Pair::new(&settings.reports),
            hasher: RandomState::new(),
        }))
    }

    /// Counts an act of `user_id` (if there is one) from `address`.
    ///
    /// # Errors
    ///
    /// 429 `M_LIMIT_EXCEEDED`, and the act must not happen.
    pub fn check(
        &self,
        limited: Limited,
        user_id: Option<&UserId>,
        address: ClientAddress,
    ) -> Result<(), ApiError> {
        let Some(active) = &self.0 else { return Ok(()) };
        let pair = active.pair(limited);
        if let Some(user_id) = user_id {
            pair.account.check(active.hasher.hash_one(user_id))?;
        }
        pair.address
            .check(active.hasher.hash_one(network_of(address.0)))
    }

    /// Takes back what [`Self::check`] counted for a login that succeeded: the account starts
    /// anew. The address does not, or whoever has one account could guess at all the others.
    pub fn login_succeeded(&self, user_id: &UserId, address: ClientAddress) {
        let Some(active) = &self.0 else { return };
        active
            .login
            .account
            .buckets()
            .remove(active.hasher.hash_one(user_id));
        active
            .login
            .address
            .refund(active.hasher.hash_one(network_of(address.0)));
    }
}

impl Active {
    fn pair(&self, limited: Limited) -> &Pair {
        match limited {
            Limited::Login => &self.login,
            Limited::Registration => &self.registration,
            Limited::Message => &self.messages,
            Limited::Join => &self.joins,
            Limited::Update => &self.updates,
            Limited::Lookup => &self.lookups,
            Limited::Report => &self.reports,
        }
    }
}

impl Pair {
    fn new(limits: &Limits) -> Self {
        Self {
            account: Limiter::new(limits.per_account),
            address: Limiter::new(limits.per_address),
        }
    }
}

/// Who has one IPv6 address has a network of them.
fn network_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[derive(Debug)]
struct Limiter {
    gate: RateLimiter<u64, SharedBuckets, DefaultClock>,
    buckets: SharedBuckets,
    refill: Duration,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        let refill = rate.refill.max(Duration::from_nanos(1));
        // A period is refused only if it is zero.
        let quota = Quota::with_period(refill)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(rate.burst);
        let buckets = SharedBuckets::default();
        let gate = RateLimiter::new(quota, buckets.clone(), DefaultClock::default());
        Self {
            gate,
            buckets,
            refill,
        }
    }

    fn check(&self, key: u64) -> Result<(), ApiError> {
        if self.buckets.are_full() {
            self.gate.retain_recent();
            self.buckets.clear_if_still_full();
        }
        self.gate.check_key(&key).map_err(|not_until| {
            ApiError::limit_exceeded(not_until.wait_time_from(self.gate.clock().now()))
        })
    }

    fn buckets(&self) -> &SharedBuckets {
        &self.buckets
    }

    fn refund(&self, key: u64) {
        let refill = u64::try_from(self.refill.as_nanos()).unwrap_or(u64::MAX);
        self.buckets.give_back(key, refill);
    }
}

/// Governor's state by key, with what its own store cannot do: forget one key, take back one act.
#[derive(Clone, Debug, Default)]
struct SharedBuckets(std::sync::Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    /// When the bucket will be full again, in nanoseconds since the limiter began.
    full_again: DashMap<u64, u64>,
    /// How many keys were added since they were last counted, and how many there were then.
    added: AtomicUsize,
}

impl SharedBuckets {
    fn remove(&self, key: u64) {
        self.0.full_again.remove(&key);
    }

    fn give_back(&self, key: u64, nanos: u64) {
        if let Some(mut full_again) = self.0.full_again.get_mut(&key) {
            *full_again = full_again.saturating_sub(nanos);
        }
    }

    fn are_full(&self) -> bool {
        self.0.added.load(Ordering::Relaxed) >= MAX_KEYS
    }

    /// Called after old keys are gone. If there is no room yet, all of them go: memory is bounded,
    /// whoever attacks.
    fn clear_if_still_full(&self) {
        if self.0.full_again.len() >= MAX_KEYS {
            tracing::warn!("a rate limit forgot everyone: too many addresses or accounts at once");
            self.0.full_again.clear();
        }
        self.0
            .added
            .store(self.0.full_again.len(), Ordering::Relaxed);
    }
}

impl StateStore for SharedBuckets {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match self.0.full_again.entry(*key) {
            Entry::Occupied(mut entry) => {
                let (outcome, full_again) = measure(Some(Nanos::new(*entry.get())))?;
                entry.insert(full_again.as_u64());
                Ok(outcome)
            }
            Entry::Vacant(entry) => {
                let (outcome, full_again) = measure(None)?;
                entry.insert(full_again.as_u64());
                self.0.added.fetch_add(1, Ordering::Relaxed);
                Ok(outcome)
            }
        }
    }
}

impl ShrinkableKeyedStateStore<u64> for SharedBuckets {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0
            .full_again
            .retain(|_, full_again| *full_again >= drop_below.as_u64());
    }

    fn len(&self) -> usize {
        self.0.full_again.len()
    }

    fn is_empty(&self) -> bool {
        self.0.full_again.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ruma::user_id;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn limits(per_account: u32, per_address: u32) -> RateLimits {
        let limits = Limits {
            per_account: Rate::new(per_account, HOUR),
            per_address: Rate::new(per_address, HOUR),
        };
        RateLimits::new(Some(&RateLimitSettings {
            login: limits,
            registration: limits,
            messages: limits,
            joins: limits,
            updates: limits,
            lookups: limits,
            reports: limits,
        }))
    }

    fn address(last: u8) -> ClientAddress {
        ClientAddress(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    #[test]
    fn b49_guessing_is_stopped_by_account_and_a_success_resets_it() {
        let limits = limits(3, 1_000);
        let alice = user_id!("@alice:localhost");
        let attempt = |last| limits.check(Limited::Login, Some(alice), address(last));
        for last in 0..3 {
            attempt(last).unwrap();
        }
        assert_eq!(attempt(9).unwrap_err().errcode(), Some("M_LIMIT_EXCEEDED"));
        // Others are not concerned, nor is what else the account does.
        limits
            .check(Limited::Login, Some(user_id!("@bob:localhost")), address(9))
            .unwrap();
        limits
            .check(Limited::Message, Some(alice), address(9))
            .unwrap();
        limits.login_succeeded(alice, address(2));
        attempt(3).unwrap();
    }

    #[test]
    fn b49_guessing_is_stopped_by_address_and_one_success_is_worth_one_attempt() {
        let limits = limits(1_000, 3);
        let attempt = |name: &UserId| limits.check(Limited::Login, Some(name), address(1));
        let names = [
            user_id!("@a:x"),
            user_id!("@b:x"),
            user_id!("@c:x"),
            user_id!("@d:x"),
        ];
        for name in &names[..3] {
            attempt(name).unwrap();
        }
        assert!(attempt(names[3]).is_err());
        limits.login_succeeded(names[0], address(1));
        attempt(names[3]).unwrap();
        assert!(attempt(names[3]).is_err());
    }

    #[test]
    fn neighbors_in_an_ipv6_network_share_a_limit() {
        let limits = limits(1_000, 1);
        let at = |text: &str| ClientAddress(text.parse().unwrap());
        let attempt = |text| limits.check(Limited::Registration, None, at(text));
        attempt("2001:db8::1").unwrap();
        assert!(attempt("2001:db8::2").is_err());
        attempt("2001:db8:0:1::1").unwrap();
    }

    #[test]
    fn switched_off_limits_stop_nobody() {
        let limits = RateLimits::new(None);
        for _ in 0..10_000 {
            limits.check(Limited::Join, None, address(1)).unwrap();
        }
    }

    #[test]
    fn a_full_store_makes_room_and_stays_bounded() {
        let limiter = Limiter::new(Rate::new(1, HOUR));
        for key in 0..(MAX_KEYS as u64 + 10) {
            limiter.check(key).unwrap();
        }
        assert!(limiter.buckets.len() <= MAX_KEYS);
    }
}
