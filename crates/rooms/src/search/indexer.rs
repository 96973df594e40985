//! The job that has the index of words follow the stream.
//!
//! Nobody who sends waits for it. It takes in what was sent when there is enough of it or after a
//! while, and at once if somebody searches: they wait until all that was acknowledged before is in it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use greenroom_model::StreamPosition;
use greenroom_search::is_searchable;
use greenroom_storage::{SearchStore, StorageError};
use greenroom_stream::{Change, ChangeKind, ChangeObserver, ChangeStream};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

/// So many events are enough to begin with.
const ENOUGH: usize = 500;
/// Fewer wait so long, unless somebody searches: few large acts cost less than many small ones.
const QUIET: Duration = Duration::from_secs(10);
/// A search waits no longer. Only after an upgrade from a version without an index is there more to do.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to try again after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The job. It is also the observer that wakes it: name it in [`ChangeStream::observe`] and
/// [`run`](Self::run) it once.
pub struct SearchIndexer {
    store: Arc<dyn SearchStore>,
    stream: ChangeStream,
    /// The position of the newest event that has something to search.
    newest: AtomicI64,
    /// How many of them have come since it last looked.
    waiting: AtomicUsize,
    indexed: watch::Sender<StreamPosition>,
    /// There is something to do.
    some: Notify,
    /// There is so much to do, or somebody waits for it, that it is to be done now.
    now: Notify,
}

impl ChangeObserver for SearchIndexer {
    fn changed(&self, changes: &[Change]) {
        for change in changes {
            if let ChangeKind::Event { event, .. } = &change.kind
                && is_searchable(event)
            {
                self.newest.fetch_max(change.position.0, Ordering::AcqRel);
                self.waiting.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn announced(&self, _: StreamPosition) {
        match self.waiting.load(Ordering::Acquire) {
            0 => {}
            ENOUGH.. => {
                self.some.notify_one();
                self.now.notify_one();
            }
            _ => self.some.notify_one(),
        }
    }
}

impl SearchIndexer {
    /// A job over these.
    #[must_use]
    pub fn new(store: Arc<dyn SearchStore>, stream: ChangeStream) -> Self {
        Self {
            store,
            newest: AtomicI64::new(stream.position().0),
            stream,
            waiting: AtomicUsize::new(0),
            indexed: watch::Sender::new(StreamPosition::START),
            some: Notify::new(),
            now: Notify::new(),
        }
    }

    /// Has the index follow the stream, first from where an earlier process left it, until `shutdown`
    /// turns true or its sender is gone. It may end at any point.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        tokio::select! {
            () = self.follow() => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    async fn follow(&self) {
        loop {
            self.waiting.store(0, Ordering::Release);
            match self.index().await {
                Ok(true) => {}
                Ok(false) => {
                    self.some.notified().await;
                    tokio::select! {
                        () = self.now.notified() => {}
                        () = sleep(QUIET) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "could not index what was said; searches may miss it");
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Indexes some. Whether there is more.
    async fn index(&self) -> Result<bool, StorageError> {
        let upto = self.stream.position();
        let indexed = self.store.index_more(upto).await?;
        self.indexed.send_replace(indexed);
        Ok(indexed < upto && indexed < self.newest())
    }

    fn newest(&self) -> StreamPosition {
        StreamPosition(self.newest.load(Ordering::Acquire))
    }

    /// The index, with all in it that was announced when this was called; if that takes too long, with
    /// what is in it by then.
    pub(super) async fn caught_up(&self) -> &dyn SearchStore {
        let newest = self.newest();
        let mut indexed = self.indexed.subscribe();
        if *indexed.borrow_and_update() < newest {
            self.some.notify_one();
            self.now.notify_one();
            let caught_up = indexed.wait_for(|indexed| *indexed >= newest);
            if timeout(PATIENCE, caught_up).await.is_err() {
                tracing::warn!("a search found the index behind");
            }
        }
        &*self.store
    }
}
