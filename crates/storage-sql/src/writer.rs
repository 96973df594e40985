//! The one writer: it drains everything that is queued into one transaction, so that one `fsync`
//! serves many acts.
//!
//! Each act runs under a savepoint of its own: acts fail alone and commit together. Event appends,
//! the hot path, are collected and written as multi-row inserts (see [`crate::append`]).
//! After the commit the changes are announced, every act is answered, and who waits is woken.

mod files;
mod group;
mod handle;
mod scrub;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::StorageError;
use greenroom_stream::{Change, ChangeKind, ChangeStream};
use ruma::OwnedRoomId;
use tokio::sync::oneshot;

use crate::{
    connection::{AnyConnection, DatabaseUrl, FromDiesel, Role, open},
    readers::Losses,
    schema::server,
};

use self::files::Files;
pub(crate) use handle::{Head, Item, MAX_WAITING, WriterHandle};

/// At most so many acts share a transaction: more would only make the first ones wait longer.
const MAX_GROUP: usize = 512;
/// How long writes wait for a database that went away, before they are refused until it is back.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// Key of the advisory lock that says 'a greenroom serves this database'.
const ADVISORY_LOCK: i64 = 0x6772_6565_6e72_6f6f;

/// What an act sees of the group's transaction.
pub(crate) struct WriteTx<'a> {
    /// The connection, inside the transaction and the act's savepoint.
    pub(crate) conn: &'a mut AnyConnection,
    next: i64,
    changes: Vec<Change>,
    savepoint: Savepoint,
    /// Whether words were taken out of the tables that nobody is to find in the file.
    redacted: bool,
}

/// The one savepoint that acts run under, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Savepoint {
    /// Not set yet.
    None,
    /// Set, and nothing was written since.
    Clean,
    /// Set, and something was written since that must stay.
    Used,
}

impl WriteTx<'_> {
    /// Takes the next stream position.
    pub(crate) fn next_position(&mut self) -> StreamPosition {
        self.next += 1;
        StreamPosition(self.next)
    }

    /// Will be announced once the group is committed, if this act succeeds.
    pub(crate) fn announce(&mut self, position: StreamPosition, kind: ChangeKind) {
        self.changes.push(Change { position, kind });
    }

    /// What was just emptied is to leave the files too.
    pub(crate) fn scrub(&mut self) {
        self.redacted = true;
    }

    /// Takes a position and announces a change there.
    pub(crate) fn change(&mut self, kind: ChangeKind) -> StreamPosition {
        let position = self.next_position();
        self.announce(position, kind);
        position
    }
}

/// A commit whose answer never came: the connection broke under it.
struct InDoubt {
    reserved: i64,
    last: i64,
    changes: Vec<Change>,
}

/// The writer's own state; lives on its thread.
pub(crate) struct Writer {
    conn: Option<AnyConnection>,
    files: Files,
    url: DatabaseUrl,
    stream: ChangeStream,
    /// The last position given to a change.
    last: i64,
    /// `server.position` as we last committed it: an upper bound of every position in use.
    reserved: i64,
    /// Rooms whose appends of this generation must not be written: an earlier one has failed.
    failed_generations: HashMap<OwnedRoomId, u64>,
    in_doubt: Option<InDoubt>,
    /// Since when the database cannot be reached.
    away_since: Option<Instant>,
    /// Whether the last group failed: what repeats is logged once.
    failing: bool,
    /// Whether somebody else has moved the stream.
    usurped: bool,
    /// Why nothing may be acknowledged any more.
    ended: Option<StorageError>,
    /// Whether something was announced that nobody was woken for.
    to_wake: bool,
    /// Who waits for the end of the writer.
    closers: Vec<oneshot::Sender<()>>,
    /// Told when the connection is lost.
    losses: Losses,
    /// See [`DbOptions`](crate::DbOptions).
    scrub_after: Duration,
    /// When the log is to be emptied, if it holds what it should not.
    scrub_at: Option<Instant>,
    on_disk_failure: Box<dyn Fn(&str) + Send>,
}

impl Writer {
    pub(crate) fn new(
        conn: AnyConnection,
        url: DatabaseUrl,
        stream: ChangeStream,
        position: StreamPosition,
        losses: Losses,
        scrub_after: Duration,
        on_disk_failure: Box<dyn Fn(&str) + Send>,
    ) -> Self {
        Self {
            conn: Some(conn),
            files: Files::of(&url),
            url,
            stream,
            last: position.0,
            reserved: position.0,
            failed_generations: HashMap::new(),
            in_doubt: None,
            away_since: None,
            failing: false,
            usurped: false,
            ended: None,
            to_wake: false,
            closers: Vec::new(),
            losses,
            scrub_after,
            // A process that was killed may have left the log with what it was about to scrub.
            scrub_at: Some(Instant::now() + scrub_after),
            on_disk_failure,
        }
    }

    /// Starts the writer's thread.
    pub(crate) fn start(self) -> std::io::Result<WriterHandle> {
        let (handle, queue) = WriterHandle::channel();
        thread::Builder::new()
            .name("db-write".to_owned())
            .spawn(move || self.serve(&queue))?;
        Ok(handle)
    }

    /// Serves until the last handle is gone. A writer that was closed stays to refuse what comes:
    /// nobody may wait for an answer that never comes.
    fn serve(mut self, queue: &Receiver<Item>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        loop {
            match self.next(queue) {
                Ok(first) => group.push(first),
                Err(RecvTimeoutError::Timeout) => {
                    self.empty_log();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let served = catch_unwind(AssertUnwindSafe(|| self.serve_group(&mut group, queue)));
            if served.is_err() {
                // Nobody knows what stands. Who still waits finds their channel closed.
                self.fail(StorageError::Failed("the writer panicked".to_owned()));
                group.clear();
            }
        }
    }

    /// Commits what waits, and does what was put off.
    fn serve_group(&mut self, group: &mut Vec<Item>, queue: &Receiver<Item>) {
        group.extend(queue.try_iter().take(MAX_GROUP - 1));
        metrics::histogram!("greenroom_db_group_acts").record(acts(group.len()));
        match self.ready_soon() {
            Ok(()) => self.commit_group(group),
            Err(error) => {
                // Whatever has queued up meanwhile has waited just as long.
                group.extend(queue.try_iter().take(MAX_WAITING));
                self.refuse(group, &error);
            }
        }
        if self.scrub_at.is_some_and(|at| at <= Instant::now()) {
            self.empty_log();
        }
        if !self.closers.is_empty() {
            self.empty_log();
            self.end(stopped());
            for closer in self.closers.drain(..) {
                let _ = closer.send(());
            }
        }
    }

    /// What is queued next, waited for no longer than until the log is to be emptied.
    fn next(&self, queue: &Receiver<Item>) -> Result<Item, RecvTimeoutError> {
        match self.scrub_at {
            Some(at) => queue.recv_deadline(at),
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Lets go of a connection that is lost, or not to be trusted.
    fn lose_connection(&mut self) {
        self.conn = None;
        self.files.closed();
        self.losses.add();
    }

    /// Lets go of the database for good.
    fn end(&mut self, why: StorageError) {
        self.conn = None;
        self.scrub_at = None;
        self.ended = Some(why);
    }

    /// The disk has failed, or the database is no longer ours: nothing more is acknowledged.
    fn fail(&mut self, error: StorageError) {
        (self.on_disk_failure)(&error.to_string());
        self.end(error);
    }

    /// Makes sure that there is a connection and that no earlier commit is in doubt.
    fn ready(&mut self) -> Result<(), StorageError> {
        if let Some(why) = &self.ended {
            return Err(why.clone());
        }
        if self.conn.is_some() && self.in_doubt.is_none() {
            return Ok(());
        }
        let mut conn = open(&self.url, Role::Writer)?;
        claim(&mut conn, Duration::ZERO)?;
        let stored: i64 = server::table
            .select(server::position)
            .first(&mut conn)
            .map_err(StorageError::from_diesel)?;
        if self
            .in_doubt
            .as_ref()
            .is_some_and(|doubt| doubt.reserved == stored)
        {
            // It may have been cut off while it waited for a standby, which may not have it yet.
            // What is committed after it waits for both.
            move_position(&mut conn, stored, stored)?;
        }
        if let Some(doubt) = self.in_doubt.take() {
            if stored == doubt.reserved {
                tracing::info!(
                    position = doubt.last,
                    "a commit in doubt turns out to be done"
                );
                self.reserved = doubt.reserved;
                self.last = doubt.last;
                self.announce(&doubt.changes);
                self.wake();
            } else {
                tracing::info!("a commit in doubt turns out not to have happened");
            }
        }
        if stored != self.reserved {
            let message = format!(
                "another process has written to this database (position {stored}, expected {})",
                self.reserved
            );
            let error = StorageError::Failed(message);
            self.fail(error.clone());
            return Err(error);
        }
        self.conn = Some(conn);
        tracing::info!(database = %self.url.describe(), "connected to the database again");
        Ok(())
    }

    /// [`Self::ready`], with patience for a database that restarts. The patience is for the whole
    /// outage: once it is used up, a write finds out at once.
    fn ready_soon(&mut self) -> Result<(), StorageError> {
        loop {
            match self.ready() {
                Ok(()) => {
                    self.away_since = None;
                    return Ok(());
                }
                Err(StorageError::Unavailable(why))
                    if self.ended.is_none()
                        && self.away_since.get_or_insert_with(Instant::now).elapsed()
                            < RECONNECT_PATIENCE =>
                {
                    tracing::debug!(why, "the database is away");
                    thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells the observers up to the last position.
    fn announce(&mut self, changes: &[Change]) {
        self.stream.announce(StreamPosition(self.last), changes);
        self.to_wake |= !changes.is_empty();
    }

    /// Has the observers wake who waits for what was announced.
    fn wake(&mut self) {
        if std::mem::take(&mut self.to_wake) {
            self.stream.wake(StreamPosition(self.last));
        }
    }
}

fn stopped() -> StorageError {
    StorageError::Unavailable("the writer has stopped".to_owned())
}

/// Makes sure that no other greenroom serves this PostgreSQL database: two would each believe
/// their memory. (A SQLite file is guarded by the lock on its data directory.)
pub(crate) fn claim(conn: &mut AnyConnection, patience: Duration) -> Result<(), StorageError> {
    #[derive(diesel::QueryableByName)]
    struct Locked {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        locked: bool,
    }
    let AnyConnection::Postgres(postgres) = conn else {
        return Ok(());
    };
    let deadline = Instant::now() + patience;
    loop {
        let row: Locked = diesel::sql_query("SELECT pg_try_advisory_lock($1) AS locked")
            .bind::<diesel::sql_types::BigInt, _>(ADVISORY_LOCK)
            .get_result(postgres)
            .map_err(StorageError::from_diesel)?;
        if row.locked {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(StorageError::Unavailable(
                "another greenroom process serves this database; stop it first".to_owned(),
            ));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A number of acts as a metric.
fn acts(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// Moves `server.position`, if it still is what we left. False if somebody else has moved it.
fn move_position(conn: &mut AnyConnection, from: i64, to: i64) -> Result<bool, StorageError> {
    let moved = diesel::update(server::table)
        .filter(server::id.eq(1))
        .filter(server::position.eq(from))
        .set(server::position.eq(to))
        .execute(conn)
        .map_err(StorageError::from_diesel)?;
    Ok(moved == 1)
}
