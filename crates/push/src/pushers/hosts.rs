//! Gateways by their hosts: how much is asked of each at once, and what the log says of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many requests one host gets at once.
const AT_ONCE_PER_HOST: usize = 32;
/// How many one host gets that does not answer promptly, or is not known to.
const AT_ONCE_PER_SLOW_HOST: usize = 4;
/// How many requests there are at once to gateways that answer promptly.
const AT_ONCE: usize = 256;
/// How many there are beside these to all others: they may each take the whole time that a request
/// may take.
const AT_ONCE_SLOW: usize = 64;
/// A gateway only hands on: who takes longer than this is slow.
const PROMPT: Duration = Duration::from_secs(2);
/// How many hosts are remembered that nobody waits for.
const REMEMBERED: usize = 1024;
/// How long the log is silent about a host after it has said something, in milliseconds.
const SILENCE_MS: u64 = 600_000;

/// One gateway's host.
#[derive(Debug)]
pub(super) struct Host {
    at_once: Semaphore,
    at_once_slow: Semaphore,
    /// Whether it has answered last time, and promptly.
    is_prompt: AtomicBool,
    said: Mutex<Said>,
}

/// What the log was last told.
#[derive(Debug, Default)]
struct Said {
    fails: bool,
    until_ms: u64,
}

impl Host {
    fn new() -> Self {
        Self {
            at_once: Semaphore::new(AT_ONCE_PER_HOST),
            at_once_slow: Semaphore::new(AT_ONCE_PER_SLOW_HOST),
            is_prompt: AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    /// It has answered or failed, after so long.
    pub(super) fn answered(&self, well: bool, after: Duration) {
        self.is_prompt
            .store(well && after < PROMPT, Ordering::Relaxed);
    }

    /// It has failed. Whether that is news.
    pub(super) fn failed(&self, now_ms: u64) -> bool {
        let mut said = self.said.lock();
        let news = !said.fails && now_ms >= said.until_ms;
        if news {
            *said = Said {
                fails: true,
                until_ms: now_ms.saturating_add(SILENCE_MS),
            };
        }
        news
    }

    /// It has worked. Whether that is news.
    pub(super) fn worked(&self) -> bool {
        std::mem::take(&mut self.said.lock().fails)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Hosts {
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    prompt: Semaphore,
    slow: Semaphore,
}

/// Leave to send one request.
pub(super) struct Leave<'a> {
    _of_user: Option<SemaphorePermit<'a>>,
    _of_host: SemaphorePermit<'a>,
    _of_all: SemaphorePermit<'a>,
}

impl Hosts {
    pub(super) fn new() -> Self {
        Self {
            hosts: Mutex::default(),
            prompt: Semaphore::new(AT_ONCE),
            slow: Semaphore::new(AT_ONCE_SLOW),
        }
    }

    pub(super) fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock();
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        if hosts.len() >= REMEMBERED {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let host = Arc::new(Host::new());
        hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }

    /// Waits until a request may be sent. Those that failed last time, and those to hosts that do
    /// not answer promptly, wait among themselves: they may take their whole time to fail or to
    /// answer late, and hold nobody up whose gateway answers. A host has to show first that it does.
    ///
    /// `of_user` is what the user may ask of these at once.
    pub(super) async fn leave<'a>(
        &'a self,
        host: &'a Host,
        of_user: &'a Semaphore,
        failed: bool,
    ) -> Option<Leave<'a>> {
        let is_prompt = host.is_prompt.load(Ordering::Relaxed) && !failed;
        let (of_host, of_all) = match is_prompt {
            true => (&host.at_once, &self.prompt),
            false => (&host.at_once_slow, &self.slow),
        };
        // Who waits for what is their own holds nothing that others wait for.
        let of_user = match is_prompt {
            true => None,
            false => Some(of_user.acquire().await.ok()?),
        };
        Some(Leave {
            _of_user: of_user,
            _of_host: of_host.acquire().await.ok()?,
            _of_all: of_all.acquire().await.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_hears_of_a_change_and_not_of_every_attempt() {
        let host = Host::new();
        assert!(!host.worked());
        assert!(host.failed(0) && !host.failed(1));
        assert!(host.worked() && !host.worked());
        assert!(!host.failed(2), "it has just been said");
        assert!(!host.worked());
        assert!(host.failed(SILENCE_MS));
    }

    #[test]
    fn a_host_that_is_in_use_is_not_forgotten() {
        let hosts = Hosts::new();
        let kept = hosts.host("kept");
        for number in 0..2 * REMEMBERED {
            hosts.host(&number.to_string());
        }
        assert!(Arc::ptr_eq(&kept, &hosts.host("kept")));
        assert!(hosts.hosts.lock().len() <= REMEMBERED);
    }

    #[tokio::test]
    async fn slow_gateways_do_not_take_the_room_of_those_that_answer_promptly() {
        let user = Semaphore::new(9);
        let hosts = Hosts::new();
        // Many hosts that answer with success, late, and one more.
        let many = u32::try_from(AT_ONCE_SLOW - 1).unwrap();
        let held = hosts.slow.acquire_many(many).await.unwrap();
        let slow = hosts.host("slow");
        slow.answered(true, PROMPT);
        let one = hosts.leave(&slow, &user, false).await;
        let host = hosts.host("another");
        host.answered(true, Duration::ZERO);
        let mut late = std::pin::pin!(hosts.leave(&host, &user, true));
        assert!(futures_util::poll!(late.as_mut()).is_pending(), "it failed");
        let working = hosts.host("working");
        working.answered(true, Duration::ZERO);
        let mut prompt = std::pin::pin!(hosts.leave(&working, &user, false));
        assert!(futures_util::poll!(prompt.as_mut()).is_ready());
        drop((held, one));
        assert!(futures_util::poll!(late).is_ready());
    }

    #[tokio::test]
    async fn one_slow_gateway_gets_few_requests_at_once_until_it_is_prompt() {
        let user = Semaphore::new(9);
        let hosts = Hosts::new();
        let host = hosts.host("slow");
        let mut held = Vec::new();
        for _ in 0..AT_ONCE_PER_SLOW_HOST {
            held.push(hosts.leave(&host, &user, false).await);
        }
        {
            let mut more = std::pin::pin!(hosts.leave(&host, &user, false));
            assert!(futures_util::poll!(more.as_mut()).is_pending());
        }
        let other = hosts.host("other");
        assert!(
            hosts.leave(&other, &user, false).await.is_some(),
            "nobody else"
        );
        host.answered(true, Duration::ZERO);
        assert!(hosts.leave(&host, &user, false).await.is_some());
        host.answered(false, Duration::ZERO);
        let mut more = std::pin::pin!(hosts.leave(&host, &user, false));
        assert!(futures_util::poll!(more.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn a_user_with_many_slow_gateways_takes_few_places_of_all() {
        let (user, other) = (Semaphore::new(1), Semaphore::new(1));
        let hosts = Hosts::new();
        let (first, second) = (hosts.host("first"), hosts.host("second"));
        let _held = hosts.leave(&first, &user, false).await;
        let mut more = std::pin::pin!(hosts.leave(&second, &user, false));
        assert!(futures_util::poll!(more.as_mut()).is_pending());
        assert!(hosts.leave(&second, &other, false).await.is_some());
        second.answered(true, Duration::ZERO);
        assert!(hosts.leave(&second, &user, false).await.is_some(), "prompt");
    }
}
