//! Gateways by their hosts: how much is asked of each at once, and what the log says of them.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many requests one host gets at once.
const AT_ONCE_PER_HOST: usize = 32;
/// How many requests there are at once to gateways that answer.
const AT_ONCE: usize = 256;
/// How many there are beside these to gateways that did not answer last time.
const AT_ONCE_FAILING: usize = 64;
/// How many hosts are remembered that nobody waits for.
const REMEMBERED: usize = 1024;
/// How long the log is silent about a host after it has said something, in milliseconds.
const SILENCE_MS: u64 = 600_000;

/// One gateway's host.
#[derive(Debug)]
pub(super) struct Host {
    at_once: Semaphore,
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
            said: Mutex::default(),
        }
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
    working: Semaphore,
    failing: Semaphore,
}

/// Leave to send one request.
pub(super) struct Leave<'a> {
    _of_host: SemaphorePermit<'a>,
    _of_all: SemaphorePermit<'a>,
}

impl Hosts {
    pub(super) fn new() -> Self {
        Self {
            hosts: Mutex::default(),
            working: Semaphore::new(AT_ONCE),
            failing: Semaphore::new(AT_ONCE_FAILING),
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

    /// Waits until a request may be sent. Those that failed last time wait among themselves: they
    /// may take their whole time to fail again, and hold nobody up whose gateway answers.
    pub(super) async fn leave<'a>(&'a self, host: &'a Host, failed: bool) -> Option<Leave<'a>> {
        let of_host = host.at_once.acquire().await.ok()?;
        let all = if failed { &self.failing } else { &self.working };
        Some(Leave {
            _of_host: of_host,
            _of_all: all.acquire().await.ok()?,
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
    async fn failing_gateways_do_not_take_the_room_of_those_that_answer() {
        let hosts = Hosts::new();
        let all = u32::try_from(AT_ONCE_FAILING).unwrap();
        let held = hosts.failing.acquire_many(all).await.unwrap();
        let host = hosts.host("another");
        let mut late = std::pin::pin!(hosts.leave(&host, true));
        assert!(futures_util::poll!(late.as_mut()).is_pending());
        let working = hosts.host("working");
        let mut prompt = std::pin::pin!(hosts.leave(&working, false));
        assert!(futures_util::poll!(prompt.as_mut()).is_ready());
        drop(held);
        assert!(futures_util::poll!(late).is_ready());
    }
}
