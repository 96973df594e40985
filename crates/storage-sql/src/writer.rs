//! The one writer: it drains everything that is queued into one transaction, so that one `fsync`
//! serves many acts.
//!
//! Each act runs under a savepoint of its own: acts fail alone and commit together. Event appends,
//! the hot path, are collected and written as multi-row inserts (see [`crate::append`]).
//! After the commit the changes are announced, then every act is answered.

mod group;
mod handle;

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::StorageError;
use greenroom_stream::{Change, ChangeKind, ChangeStream};
use ruma::OwnedRoomId;

use crate::{
    connection::{AnyConnection, DatabaseUrl, FromDiesel, Role, open},
    schema::server,
};

pub(crate) use handle::{Item, WriterHandle};

/// At most so many acts share a transaction: more would only make the first ones wait longer.
const MAX_GROUP: usize = 512;
/// How long a group waits for a database that went away, before its acts are answered 503.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// Key of the advisory lock that says 'a greenroom serves this database'.
const ADVISORY_LOCK: i64 = 0x6772_6565_6e72_6f6f;

/// What an act sees of the group's transaction.
pub(crate) struct WriteTx<'a> {
    /// The connection, inside the transaction and the act's savepoint.
    pub(crate) conn: &'a mut AnyConnection,
    next: i64,
    changes: Vec<Change>,
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
    url: DatabaseUrl,
    stream: ChangeStream,
    /// The last position given to a change.
    last: i64,
    /// `server.position` as we last committed it: an upper bound of every position in use.
    reserved: i64,
    /// Rooms whose appends of this generation must not be written: an earlier one has failed.
    failed_generations: HashMap<OwnedRoomId, u64>,
    in_doubt: Option<InDoubt>,
    on_disk_failure: Box<dyn Fn(&str) + Send>,
}

impl Writer {
    pub(crate) fn new(
        conn: AnyConnection,
        url: DatabaseUrl,
        stream: ChangeStream,
        position: StreamPosition,
        on_disk_failure: Box<dyn Fn(&str) + Send>,
    ) -> Self {
        Self {
            conn: Some(conn),
            url,
            stream,
            last: position.0,
            reserved: position.0,
            failed_generations: HashMap::new(),
            in_doubt: None,
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

    fn serve(mut self, queue: &Receiver<Item>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while let Ok(first) = queue.recv() {
            group.push(first);
            group.extend(queue.try_iter().take(MAX_GROUP - 1));
            let closing = group.iter().any(|item| matches!(item, Item::Close(_)));
            metrics::histogram!("greenroom_db_group_acts").record(group.len() as f64);
            self.commit_group(&mut group);
            if closing {
                // What was queued behind the close is answered by its channel closing.
                return;
            }
        }
    }

    /// Makes sure that there is a connection and that no earlier commit is in doubt.
    fn ready(&mut self) -> Result<(), StorageError> {
        if self.conn.is_some() && self.in_doubt.is_none() {
            return Ok(());
        }
        let mut conn = open(&self.url, Role::Writer)?;
        claim(&mut conn, Duration::ZERO)?;
        let stored: i64 = server::table
            .select(server::position)
            .first(&mut conn)
            .map_err(StorageError::from_diesel)?;
        if let Some(doubt) = self.in_doubt.take() {
            if stored == doubt.reserved {
                tracing::info!(
                    position = doubt.last,
                    "a commit in doubt turns out to be done"
                );
                self.reserved = doubt.reserved;
                self.last = doubt.last;
                self.stream
                    .announce(StreamPosition(doubt.last), &doubt.changes);
            } else {
                tracing::info!("a commit in doubt turns out not to have happened");
            }
        }
        if stored != self.reserved {
            let message = format!(
                "another process has written to this database (position {stored}, expected {})",
                self.reserved
            );
            (self.on_disk_failure)(&message);
            return Err(StorageError::Failed(message));
        }
        self.conn = Some(conn);
        tracing::info!(database = %self.url.describe(), "connected to the database again");
        Ok(())
    }

    /// [`Self::ready`], with patience for a database that restarts.
    fn ready_soon(&mut self) -> Result<(), StorageError> {
        let deadline = Instant::now() + RECONNECT_PATIENCE;
        loop {
            match self.ready() {
                Err(StorageError::Unavailable(why)) if Instant::now() < deadline => {
                    tracing::debug!(why, "the database is away");
                    #[expect(clippy::disallowed_methods, reason = "the writer's own thread waits")]
                    thread::sleep(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }
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
        #[expect(
            clippy::disallowed_methods,
            reason = "start-up, or the writer's own thread"
        )]
        thread::sleep(Duration::from_millis(50));
    }
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
