//! The read pool: a fixed set of threads, each with a connection of its own.
//!
//! A thread owns its connection, so there is nothing to check out, and prepared statements stay
//! warm. When one thread finds its connection lost, all of them open theirs anew for the next
//! read: the server that went away has taken them all.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use greenroom_storage::StorageError;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{AnyConnection, DatabaseUrl, Role, open};

/// How many reads may wait for a thread before more are refused.
const MAX_WAITING: usize = 8192;
/// How long a read that is under way may hold up the end: a stop has 5 s for everything.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(Result<&mut AnyConnection, StorageError>) -> Health + Send>;

/// Whether a connection can serve the next read.
enum Health {
    Good,
    Lost,
}

/// A handle to the read threads. They end when they are closed, or the last handle is dropped.
#[derive(Clone)]
pub(crate) struct ReadPool {
    jobs: Sender<Job>,
    losses: Losses,
    open: Arc<Mutex<Option<Open>>>,
}

/// What keeps the threads going, and says when they have ended.
struct Open {
    /// Nothing is ever sent: the threads end when this is dropped.
    stay: Sender<Infallible>,
    /// Nothing is ever sent: it ends with the last thread.
    ended: mpsc::Receiver<Infallible>,
}

/// What a thread of the pool works with.
struct Reader {
    queue: Receiver<Job>,
    leave: Receiver<Infallible>,
    url: DatabaseUrl,
    losses: Losses,
    _at_work: mpsc::Sender<Infallible>,
}

/// How often somebody has found the database away: connections from before are dead.
#[derive(Clone, Default)]
pub(crate) struct Losses(Arc<AtomicU64>);

impl Losses {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl ReadPool {
    /// Starts `threads` readers. Their connections are opened when they are first needed.
    pub(crate) fn start(url: &DatabaseUrl, threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = bounded::<Job>(MAX_WAITING);
        let losses = Losses::default();
        let (stay, leave) = bounded(0);
        let (at_work, ended) = mpsc::channel(1);
        for number in 0..threads.max(1) {
            let reader = Reader {
                queue: queue.clone(),
                leave: leave.clone(),
                url: url.clone(),
                losses: losses.clone(),
                _at_work: at_work.clone(),
            };
            thread::Builder::new()
                .name(format!("db-read-{number}"))
                .spawn(move || reader.serve())?;
        }
        Ok(Self {
            jobs,
            losses,
            open: Arc::new(Mutex::new(Some(Open { stay, ended }))),
        })
    }

    /// Refuses what still waits and what comes, and returns when the connections are closed, or
    /// when a read that is under way takes too long.
    pub(crate) async fn close(&self) {
        let open = self.open.lock().take();
        if let Some(Open { stay, mut ended }) = open {
            drop(stay);
            if tokio::time::timeout(CLOSE_PATIENCE, ended.recv())
                .await
                .is_err()
            {
                tracing::warn!("a read is still under way: its connection is not closed");
            }
        }
    }

    /// Where others say that they have found the database away.
    pub(crate) fn losses(&self) -> Losses {
        self.losses.clone()
    }

    /// Runs `read` on one of the threads.
    pub(crate) async fn run<T, F>(&self, read: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let result = conn.and_then(read);
            let health = match &result {
                Err(StorageError::Unavailable(_)) => Health::Lost,
                _ => Health::Good,
            };
            // Nobody waits any more: the client hung up.
            let _ = answer.send(result);
            health
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Overloaded,
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> StorageError {
    StorageError::Unavailable("the readers have stopped".to_owned())
}

impl Reader {
    fn serve(self) {
        // The connection, and how many losses there had been when it was opened.
        let mut held: Option<(AnyConnection, u64)> = None;
        while let Some(job) = self.next() {
            let lost = self.losses.count();
            let ready = match held.take() {
                Some((conn, opened)) if opened == lost => Ok(conn),
                Some(_) | None => open(&self.url, Role::Reader),
            };
            match ready {
                Ok(mut conn) => {
                    let run = std::panic::AssertUnwindSafe(|| job(Ok(&mut conn)));
                    // A query that panics must not take the thread with it; the caller sees its
                    // answer channel close. The connection may be half-way through: open another.
                    match std::panic::catch_unwind(run) {
                        Ok(Health::Good) => held = Some((conn, lost)),
                        Ok(Health::Lost) => self.losses.add(),
                        Err(_) => {}
                    }
                }
                Err(error) => {
                    // Where a new connection is refused, the old ones of the others are dead too.
                    self.losses.add();
                    job(Err(error));
                }
            }
        }
    }

    /// What is queued next; `None` when the pool is closed.
    fn next(&self) -> Option<Job> {
        select_biased! {
            recv(self.leave) -> _ => None,
            recv(self.queue) -> job => job.ok(),
        }
    }
}
