//! The writer's queue, as the rest of the crate sees it.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use greenroom_storage::{Appended, StorageError};
use ruma::OwnedRoomId;
use tokio::sync::oneshot;

use super::{WriteTx, stopped};
use crate::append::PreparedAppend;

/// How many acts may wait for the writer before more are refused.
pub(crate) const MAX_WAITING: usize = 16_384;

/// Something for the writer to do.
pub(crate) enum Item {
    /// An event append, written together with the group's others.
    Append(
        Box<PreparedAppend>,
        oneshot::Sender<Result<Appended, StorageError>>,
    ),
    /// Any other act.
    Act(Box<dyn Act>),
    /// Commit what is queued and stop.
    Close(oneshot::Sender<()>),
}

/// An act with its answer.
pub(crate) trait Act: Send {
    /// Runs inside the transaction and keeps its result.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<(), StorageError>;

    /// Answers: with the kept result if the act and its group were committed.
    fn answer(self: Box<Self>, outcome: Result<(), StorageError>);

    /// The room's head that this was built on, if it takes its turn among the room's appends.
    fn head(&self) -> Option<&Head>;
}

/// A load of a room's head, as in [`greenroom_storage::Append`].
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) room_id: OwnedRoomId,
    pub(crate) generation: u64,
}

struct ClosureAct<T, F> {
    act: Option<F>,
    result: Option<T>,
    head: Option<Head>,
    answer: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, F> Act for ClosureAct<T, F>
where
    T: Send,
    F: FnOnce(&mut WriteTx<'_>) -> Result<T, StorageError> + Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<(), StorageError> {
        if let Some(act) = self.act.take() {
            self.result = Some(act(tx)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StorageError>) {
        let Self { result, answer, .. } = *self;
        // Nobody waits any more if the client hung up. What is committed stays.
        let _ = answer.send(outcome.and_then(|()| result.ok_or_else(stopped)));
    }

    fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }
}

/// Hands acts to the writer.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    queue: Sender<Item>,
}

impl WriterHandle {
    pub(super) fn channel() -> (Self, Receiver<Item>) {
        let (queue, items) = bounded(MAX_WAITING);
        (Self { queue }, items)
    }

    fn submit(&self, item: Item) -> Result<(), StorageError> {
        self.queue.try_send(item).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Overloaded,
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    /// See [`crate::Db::write`].
    pub(crate) async fn write<T, F>(&self, act: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        self.queue_act(None, act)?.await.map_err(|_| stopped())?
    }

    /// Queues an act that takes its turn among the appends of a room: those queued before are
    /// written before it runs, and if one of them has failed, it is refused as they would be. It is
    /// in the queue, in order, when this returns.
    pub(crate) fn in_turn<T, F>(
        &self,
        head: Head,
        act: F,
    ) -> Result<oneshot::Receiver<Result<T, StorageError>>, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        self.queue_act(Some(head), act)
    }

    fn queue_act<T, F>(
        &self,
        head: Option<Head>,
        act: F,
    ) -> Result<oneshot::Receiver<Result<T, StorageError>>, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.submit(Item::Act(Box::new(ClosureAct {
            act: Some(act),
            result: None,
            head,
            answer,
        })))?;
        Ok(answered)
    }

    /// Queues an event append. It is in the queue, in order, when this returns; the future it
    /// returns is the commit.
    pub(crate) fn append(
        &self,
        append: PreparedAppend,
    ) -> Result<oneshot::Receiver<Result<Appended, StorageError>>, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Item::Append(Box::new(append), answer))?;
        Ok(answered)
    }

    /// See [`crate::Db::close`].
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.clone();
        // A full queue drains; waiting for room blocks, so it must not happen on a worker.
        let sent = match queue.try_send(Item::Close(answer)) {
            Ok(()) => true,
            Err(TrySendError::Full(item)) => {
                std::thread::spawn(move || queue.send(item).is_ok());
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        };
        if sent {
            let _ = answered.await;
        }
    }
}
