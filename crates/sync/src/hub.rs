//! The sync hub: where requests with nothing to read wait for their cue.
//!
//! The hub holds wakers, no events and no database. A wake-up says 'look again', never what there
//! is to see: who is woken for nothing reads nothing and waits on.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr, Arbiter, ArbiterHandle, Context, Handler, Message};
use ruma::{OwnedDeviceId, OwnedUserId};
use tokio::sync::{oneshot, watch};

use crate::index::{Room, User};

/// How many messages wait for the hub. One wake-up stands for a whole group of commits.
const MAILBOX: usize = 16_384;

/// Something has changed for everyone who listens to these rooms, and for these users.
#[derive(Default)]
pub(crate) struct Wake {
    pub(crate) rooms: Vec<Arc<Room>>,
    pub(crate) users: Vec<Arc<User>>,
}

/// Wait for the next wake-up of a user that came after `seen`.
struct Park {
    user: Arc<User>,
    device_id: OwnedDeviceId,
    seen: u64,
    waker: oneshot::Sender<Cue>,
}

/// What the hub is asked to do.
#[derive(Message)]
#[rtype(result = "()")]
enum Wish {
    Wake(Wake),
    Park(Park),
    /// Answer everyone who is parked.
    AnswerAll,
    /// Drop what is left of those who hung up.
    Sweep,
    #[cfg(test)]
    Panic,
}

/// Why a parked request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// Something may be there to read.
    Look,
    /// Nothing is: answer as it is. The time is up, a newer request of the device took the place,
    /// or the server is going down.
    Answer,
}

struct Parked {
    device_id: OwnedDeviceId,
    waker: oneshot::Sender<Cue>,
}

struct Hub {
    parked: HashMap<OwnedUserId, VecDeque<Parked>>,
    per_device: usize,
    cues: Arc<AtomicU64>,
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Wish> for Hub {
    type Result = ();

    /// A panic must not end the hub: without it every sync with nothing to read would be answered
    /// at once, and asked again at once.
    fn handle(&mut self, wish: Wish, _: &mut Self::Context) {
        let done = catch_unwind(AssertUnwindSafe(|| match wish {
            Wish::Wake(wake) => self.wake(wake),
            Wish::Park(park) => self.park(park),
            Wish::AnswerAll => self.parked.clear(),
            Wish::Sweep => self.sweep(),
            #[cfg(test)]
            Wish::Panic => panic!("as a test of the hub"),
        }));
        if done.is_err() {
            tracing::error!("the sync hub panicked, everyone who is parked is answered");
            // Whose waker is dropped is answered as they are.
            self.parked.clear();
        }
    }
}

impl Hub {
    fn wake(&mut self, wake: Wake) {
        let number = self.cues.fetch_add(1, Ordering::AcqRel) + 1;
        for room in wake.rooms {
            for user in room.audience() {
                self.cue(&user, number);
            }
        }
        for user in wake.users {
            self.cue(&user, number);
        }
    }

    fn park(&mut self, park: Park) {
        let Park {
            user,
            device_id,
            seen,
            waker,
        } = park;
        if user.cue() != seen {
            // It came between the reading and now.
            let _ = waker.send(Cue::Look);
            return;
        }
        let waiting = self.parked.entry(user.user_id.clone()).or_default();
        waiting.retain(|parked| !parked.waker.is_closed());
        let of_device = waiting
            .iter()
            .filter(|parked| parked.device_id == device_id)
            .count();
        if of_device >= self.per_device
            && let Some(oldest) = waiting
                .iter()
                .position(|parked| parked.device_id == device_id)
            && let Some(oldest) = waiting.remove(oldest)
        {
            let _ = oldest.waker.send(Cue::Answer);
        }
        waiting.push_back(Parked { device_id, waker });
    }

    fn sweep(&mut self) {
        self.parked.retain(|_, waiting| {
            waiting.retain(|parked| !parked.waker.is_closed());
            !waiting.is_empty()
        });
    }

    fn cue(&mut self, user: &User, number: u64) {
        user.set_cue(number);
        if let Some(waiting) = self.parked.remove(&user.user_id) {
            for parked in waiting {
                // Who hung up does not hear it.
                let _ = parked.waker.send(Cue::Look);
            }
        }
    }
}

/// The way to the hub.
#[derive(Clone)]
pub(crate) struct HubHandle {
    address: Addr<Hub>,
    arbiter: ArbiterHandle,
    shutdown: watch::Receiver<bool>,
}

impl HubHandle {
    /// Starts the hub on a thread of its own. Needs a running actix system.
    pub(crate) fn start(per_device: usize, shutdown: watch::Receiver<bool>) -> Self {
        let arbiter = Arbiter::new().handle();
        let address = Hub::start_in_arbiter(&arbiter, move |_| Hub {
            parked: HashMap::new(),
            per_device: per_device.max(1),
            cues: Arc::default(),
        });
        Self {
            address,
            arbiter,
            shutdown,
        }
    }

    /// Wakes those whom a change concerns.
    pub(crate) fn wake(&self, wake: Wake) {
        if wake.rooms.is_empty() && wake.users.is_empty() {
            return;
        }
        // A lost wake-up costs one timeout of latency, never an event.
        if let Err(error) = self.address.try_send(Wish::Wake(wake)) {
            metrics::counter!("greenroom_sync_wakeups_lost").increment(1);
            tracing::warn!(%error, "the sync hub is behind, a wake-up was dropped");
        }
    }

    /// Lets the hub drop what is left of requests that were given up.
    pub(crate) fn sweep(&self) {
        // If the hub is busy, the next time does as well.
        let _ = self.address.try_send(Wish::Sweep);
    }

    /// Has everyone who is parked answered as they are.
    pub(crate) fn answer_all(&self) {
        // If the hub is that busy, they are answered when their time is up.
        let _ = self.address.try_send(Wish::AnswerAll);
    }

    /// Runs a task on the hub's thread, for those who are not on an async one.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.arbiter.spawn(task);
    }

    /// Waits until the user is woken by something after `seen`, or `patience` is over.
    pub(crate) async fn park(
        &self,
        user: Arc<User>,
        device_id: OwnedDeviceId,
        seen: u64,
        patience: Duration,
    ) -> Cue {
        let mut shutdown = self.shutdown.clone();
        if *shutdown.borrow_and_update() {
            return Cue::Answer;
        }
        let (waker, cue) = oneshot::channel();
        if self
            .address
            .send(Wish::Park(Park {
                user,
                device_id,
                seen,
                waker,
            }))
            .await
            .is_err()
        {
            return Cue::Answer;
        }
        tokio::select! {
            biased;
            cue = cue => cue.unwrap_or(Cue::Answer),
            _ = shutdown.changed() => Cue::Answer,
            () = tokio::time::sleep(patience) => Cue::Answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, user_id};

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    struct Setup {
        hub: HubHandle,
        user: Arc<User>,
        shutdown: watch::Sender<bool>,
    }

    fn setup() -> Setup {
        let (shutdown, receiver) = watch::channel(false);
        Setup {
            hub: HubHandle::start(2, receiver),
            user: User::new(user_id!("@alice:localhost")),
            shutdown,
        }
    }

    impl Setup {
        fn park(&self, device: &str, seen: u64) -> tokio::task::JoinHandle<Cue> {
            let (hub, user) = (self.hub.clone(), Arc::clone(&self.user));
            let device = device.into();
            actix::spawn(async move { hub.park(user, device, seen, LONG).await })
        }

        fn wake(&self) {
            self.hub.wake(Wake {
                rooms: Vec::new(),
                users: vec![Arc::clone(&self.user)],
            });
        }
    }

    #[test]
    fn a_cue_between_reading_and_parking_is_not_lost() {
        actix::System::new().block_on(async {
            let setup = setup();
            let seen = setup.user.cue();
            setup.wake();
            assert_eq!(setup.park("A", seen).await.unwrap(), Cue::Look);
            // Having looked, the same cue does not wake again: that would be a busy loop.
            let seen = setup.user.cue();
            let parked = setup.hub.park(
                Arc::clone(&setup.user),
                device_id!("A").to_owned(),
                seen,
                Duration::from_millis(1),
            );
            assert_eq!(parked.await, Cue::Answer);
        });
    }

    #[test]
    fn b45_one_more_than_a_device_may_park_answers_its_oldest() {
        actix::System::new().block_on(async {
            let setup = setup();
            let elsewhere = setup.park("B", 0);
            // The two that the device may have; which of them is older is for the hub to say.
            let (one, two) = (setup.park("A", 0), setup.park("A", 0));
            let three = setup.park("A", 0);
            let mut all = futures_util::future::select_all([one, two, three]);
            let (first, _, rest) = (&mut all).await;
            assert_eq!(first.unwrap(), Cue::Answer);
            setup.wake();
            for parked in rest {
                assert_eq!(parked.await.unwrap(), Cue::Look);
            }
            assert_eq!(elsewhere.await.unwrap(), Cue::Look);
        });
    }

    #[test]
    fn a55_a_panic_answers_who_is_parked_and_the_hub_goes_on() {
        actix::System::new().block_on(async {
            let setup = setup();
            let parked = setup.park("A", 0);
            tokio::task::yield_now().await;
            setup.hub.address.send(Wish::Panic).await.unwrap();
            assert_eq!(parked.await.unwrap(), Cue::Answer);
            let parked = setup.park("A", 0);
            setup.wake();
            assert_eq!(parked.await.unwrap(), Cue::Look);
        });
    }

    #[test]
    fn going_down_answers_everyone_now_and_later() {
        actix::System::new().block_on(async {
            let setup = setup();
            let parked = setup.park("A", 0);
            setup.shutdown.send_replace(true);
            assert_eq!(parked.await.unwrap(), Cue::Answer);
            assert_eq!(setup.park("A", 0).await.unwrap(), Cue::Answer);
        });
    }

    #[test]
    fn who_follows_a_room_is_woken_by_it() {
        actix::System::new().block_on(async {
            let setup = setup();
            let room = Arc::new(Room::new(ruma::room_id!("!room:localhost")));
            room.add_peeker(&setup.user);
            let parked = setup.park("A", 0);
            setup.hub.wake(Wake {
                rooms: vec![room],
                users: Vec::new(),
            });
            assert_eq!(parked.await.unwrap(), Cue::Look);
        });
    }
}
