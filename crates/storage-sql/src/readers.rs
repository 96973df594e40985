//! The read pool: a fixed set of threads, each with a connection of its own.
//!
//! A thread owns its connection, so there is nothing to check out, and prepared statements stay
//! warm. When one thread finds its connection lost, all of them open theirs anew for the next
//! read: the server that went away has taken them all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use greenroom_storage::StorageError;
use tokio::sync::oneshot;

use crate::connection::{AnyConnection, DatabaseUrl, Role, open};

/// How many reads may wait for a thread before more are refused.
const MAX_WAITING: usize = 8192;

type Job = Box<dyn FnOnce(Result<&mut AnyConnection, StorageError>) -> Health + Send>;

/// Whether a connection can serve the next read.
enum Health {
    Good,
    Lost,
}

/// A handle to the read threads. They end when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct ReadPool {
    jobs: Sender<Job>,
    losses: Losses,
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
        for number in 0..threads.max(1) {
            let (queue, url, losses) = (queue.clone(), url.clone(), losses.clone());
            thread::Builder::new()
                .name(format!("db-read-{number}"))
                .spawn(move || serve(&queue, &url, &losses))?;
        }
        Ok(Self { jobs, losses })
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

fn serve(queue: &Receiver<Job>, url: &DatabaseUrl, losses: &Losses) {
    // The connection, and how many losses there had been when it was opened.
    let mut held: Option<(AnyConnection, u64)> = None;
    while let Ok(job) = queue.recv() {
        let lost = losses.count();
        let ready = match held.take() {
            Some((conn, opened)) if opened == lost => Ok(conn),
            Some(_) | None => open(url, Role::Reader),
        };
        match ready {
            Ok(mut conn) => {
                let run = std::panic::AssertUnwindSafe(|| job(Ok(&mut conn)));
                // A query that panics must not take the thread with it; the caller sees its
                // answer channel close. The connection may be half-way through: open another.
                match std::panic::catch_unwind(run) {
                    Ok(Health::Good) => held = Some((conn, lost)),
                    Ok(Health::Lost) => losses.add(),
                    Err(_) => {}
                }
            }
            Err(error) => {
                // Where a new connection is refused, the old ones of the others are dead too.
                losses.add();
                job(Err(error));
            }
        }
    }
}
