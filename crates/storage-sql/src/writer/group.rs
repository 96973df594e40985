//! One group: everything that was queued, in one transaction.
//!
//! Transactions and savepoints are plain SQL here, not diesel's transaction manager: SQLite ends a
//! transaction by itself on some errors, and what was undone must be known, not assumed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use diesel::connection::SimpleConnection;
use greenroom_model::StreamPosition;
use greenroom_storage::{Appended, StorageError};
use greenroom_stream::Change;
use ruma::RoomId;

use super::{
    InDoubt, Item, Savepoint, WriteTx, Writer,
    handle::{Act, Head},
    move_position,
};
use crate::{
    append::{PreparedAppend, write_append, write_appends},
    connection::{AnyConnection, FromDiesel, disk_is_full, is_io_failure},
};

fn run(conn: &mut AnyConnection, sql: &str) -> Result<(), StorageError> {
    conn.batch_execute(sql).map_err(StorageError::from_diesel)
}

fn begin(conn: &mut AnyConnection) -> Result<(), StorageError> {
    match conn {
        // A deferred transaction could find itself too late to write.
        AnyConnection::Sqlite(_) => run(conn, "BEGIN IMMEDIATE"),
        AnyConnection::Postgres(_) => run(conn, "BEGIN"),
    }
}

/// Commits. PostgreSQL answers `COMMIT` in a transaction that has failed by rolling it back
/// without an error; releasing the savepoint first is an error there.
fn commit(conn: &mut AnyConnection, savepoint: Savepoint) -> Result<(), StorageError> {
    match savepoint {
        Savepoint::None => run(conn, "COMMIT"),
        Savepoint::Clean | Savepoint::Used => run(conn, "RELEASE SAVEPOINT act; COMMIT"),
    }
}

/// How the acts of a group ended, in the order of the group.
type Outcomes = Vec<Result<Option<StreamPosition>, StorageError>>;

/// A transaction that is ready to commit.
struct Prepared {
    outcomes: Outcomes,
    changes: Vec<Change>,
    last: i64,
    reserved: i64,
    savepoint: Savepoint,
    redacted: bool,
}

/// Why a group did not commit.
enum GroupFailure {
    /// Nothing of it is in the database.
    Undone(StorageError),
    /// The connection broke while it committed.
    Unknown(StorageError, Prepared),
}

impl Writer {
    /// Commits a group and answers everyone in it.
    pub(super) fn commit_group(&mut self, group: &mut Vec<Item>) {
        let outcomes = match self.try_group(group) {
            Ok(prepared) => match self.files.check() {
                Ok(()) => self.committed(prepared),
                Err(error) => {
                    self.fail(error.clone());
                    self.failed(group, &error)
                }
            },
            Err(GroupFailure::Undone(error)) => self.undone(group, error),
            Err(GroupFailure::Unknown(error, prepared)) => self.resolve(group, &error, prepared),
        };
        self.answer(group, outcomes);
        self.wake();
    }

    /// Answers everyone in a group with the same error: nothing was tried.
    pub(super) fn refuse(&mut self, group: &mut Vec<Item>, error: &StorageError) {
        let outcomes = self.failed(group, error);
        self.answer(group, outcomes);
    }

    fn answer(&mut self, group: &mut Vec<Item>, outcomes: Outcomes) {
        for (item, outcome) in group.drain(..).zip(outcomes) {
            match item {
                Item::Append(_, answer) => {
                    let position = outcome.map(Option::unwrap_or_default);
                    let _ = answer.send(position.map(|position| Appended { position }));
                }
                Item::Act(act) => act.answer(outcome.map(|_| ())),
                Item::Close(answer) => self.closers.push(answer),
            }
        }
    }

    fn committed(&mut self, prepared: Prepared) -> Outcomes {
        if self.failing {
            self.failing = false;
            tracing::info!("writes are committed again");
        }
        self.last = prepared.last;
        self.reserved = prepared.reserved;
        self.announce(&prepared.changes);
        if prepared.redacted {
            self.scrub_later();
        }
        prepared.outcomes
    }

    /// Nothing of the group is in the database.
    fn undone(&mut self, group: &[Item], mut error: StorageError) -> Outcomes {
        let sqlite = matches!(self.conn, Some(AnyConnection::Sqlite(_)));
        if self.usurped {
            self.fail(error.clone());
        } else if is_io_failure(&error) {
            if sqlite && disk_is_full(&self.url) {
                // What SQLite says when the file of its shared memory cannot grow.
                error = StorageError::Unavailable("the disk is full".to_owned());
            } else {
                self.fail(error.clone());
            }
        }
        // On a full disk there may be no room to open a connection; the old one is sound. Of any
        // other trouble a fresh one tells more.
        if !(sqlite && matches!(error, StorageError::Unavailable(_))) {
            self.lose_connection();
        }
        self.failed(group, &error)
    }

    fn failed(&mut self, group: &[Item], error: &StorageError) -> Outcomes {
        metrics::counter!("greenroom_db_groups_failed").increment(1);
        if self.ended.is_none() && !self.failing {
            self.failing = true;
            tracing::error!(%error, acts = group.len(), "a group of writes failed, nothing of it is kept");
        }
        for item in group {
            match item {
                Item::Append(append, _) => self.poison(&append.event.room_id, append.generation),
                Item::Act(act) => {
                    if let Some(head) = act.head() {
                        self.poison(&head.room_id, head.generation);
                    }
                }
                Item::Close(_) => {}
            }
        }
        group.iter().map(|_| Err(error.clone())).collect()
    }

    /// The connection broke under a commit. `server.position`, which the transaction moved, tells
    /// whether it happened, as soon as the database answers again.
    fn resolve(&mut self, group: &[Item], error: &StorageError, prepared: Prepared) -> Outcomes {
        self.lose_connection();
        self.in_doubt = Some(InDoubt {
            reserved: prepared.reserved,
            last: prepared.last,
            changes: prepared.changes,
        });
        match self.ready_soon() {
            Ok(()) if self.reserved == prepared.reserved => prepared.outcomes,
            Ok(()) | Err(_) => self.failed(group, error),
        }
    }

    /// Refuses from here on what was built on this load of the room's head.
    fn poison(&mut self, room_id: &RoomId, generation: u64) {
        self.failed_generations
            .insert(room_id.to_owned(), generation);
    }

    fn is_poisoned(&mut self, room_id: &RoomId, generation: u64) -> bool {
        match self.failed_generations.get(room_id) {
            Some(failed) if *failed >= generation => true,
            Some(_) => {
                self.failed_generations.remove(room_id);
                false
            }
            None => false,
        }
    }

    /// Runs an act that takes its turn among the appends of a room.
    fn run_in_turn(
        &mut self,
        tx: &mut WriteTx<'_>,
        head: &Head,
        act: &mut dyn Act,
    ) -> Result<Result<(), StorageError>, StorageError> {
        if self.is_poisoned(&head.room_id, head.generation) {
            return Ok(Err(StorageError::StaleHead));
        }
        let outcome = guarded(tx, |tx| act.run(tx))?;
        if outcome.is_err() {
            self.poison(&head.room_id, head.generation);
        }
        Ok(outcome)
    }

    fn try_group(&mut self, group: &mut [Item]) -> Result<Prepared, GroupFailure> {
        let Some(mut conn) = self.conn.take() else {
            return Err(GroupFailure::Undone(super::stopped()));
        };
        let result = self.fill_and_commit(&mut conn, group);
        self.conn = Some(conn);
        result
    }

    fn fill_and_commit(
        &mut self,
        conn: &mut AnyConnection,
        group: &mut [Item],
    ) -> Result<Prepared, GroupFailure> {
        let filled = begin(conn).and_then(|()| self.fill(conn, group));
        let error = match filled {
            Ok(prepared) => match commit(conn, prepared.savepoint) {
                Ok(()) => return Ok(prepared),
                Err(error) if matches!(conn, AnyConnection::Postgres(_)) => {
                    return Err(GroupFailure::Unknown(error, prepared));
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        // Fails where the transaction is over already: SQLite's own doing, or a lost connection.
        if let Err(error) = run(conn, "ROLLBACK") {
            tracing::debug!(%error, "roll back");
        }
        Err(GroupFailure::Undone(error))
    }

    /// Runs every act of the group inside the open transaction.
    fn fill(
        &mut self,
        conn: &mut AnyConnection,
        group: &mut [Item],
    ) -> Result<Prepared, StorageError> {
        // The stream's row first: its lock orders the commits of several writers, and a writer
        // that has missed another's commit is told so before it has done anything. It moves with
        // every group, or a commit in doubt could not be told from one that never happened.
        let wanted = self.last + 4 * i64::try_from(group.len()).unwrap_or(i64::MAX) + 32;
        let mut reserved = wanted.max(self.reserved + 1);
        self.move_position(conn, self.reserved, reserved)?;
        let mut tx = WriteTx {
            conn,
            next: self.last,
            changes: Vec::new(),
            savepoint: Savepoint::None,
            redacted: false,
        };
        let mut outcomes: Outcomes = Vec::with_capacity(group.len());
        let mut appends: Vec<(usize, &PreparedAppend)> = Vec::new();
        for (index, item) in group.iter_mut().enumerate() {
            let outcome = match item {
                Item::Close(_) => Ok(None),
                Item::Act(act) => match act.head().cloned() {
                    None => guarded(&mut tx, |tx| act.run(tx))?.map(|()| None),
                    Some(head) => {
                        self.write_batch(&mut tx, &appends, &mut outcomes)?;
                        appends.clear();
                        let outcome = self.run_in_turn(&mut tx, &head, act.as_mut())?;
                        outcome.map(|()| None)
                    }
                },
                Item::Append(append, _)
                    if self.is_poisoned(&append.event.room_id, append.generation) =>
                {
                    Err(StorageError::StaleHead)
                }
                Item::Append(append, _) => {
                    let position = tx.next_position();
                    // Nobody else holds it before it is announced.
                    Arc::make_mut(&mut append.event).position = position;
                    appends.push((index, append));
                    Ok(Some(position))
                }
            };
            outcomes.push(outcome);
        }
        self.write_batch(&mut tx, &appends, &mut outcomes)?;
        let WriteTx {
            next: last,
            mut changes,
            conn,
            savepoint,
            redacted,
        } = tx;
        if last > reserved {
            self.move_position(conn, reserved, last)?;
            reserved = last;
        }
        changes.sort_by_key(|change| change.position);
        Ok(Prepared {
            outcomes,
            changes,
            last,
            reserved,
            savepoint,
            redacted,
        })
    }

    fn move_position(
        &mut self,
        conn: &mut AnyConnection,
        from: i64,
        to: i64,
    ) -> Result<(), StorageError> {
        if move_position(conn, from, to)? {
            return Ok(());
        }
        self.usurped = true;
        Err(StorageError::Failed(
            "another process has written to this database".to_owned(),
        ))
    }

    /// Writes all appends, so that only the bad ones fail.
    fn write_batch(
        &mut self,
        tx: &mut WriteTx<'_>,
        appends: &[(usize, &PreparedAppend)],
        outcomes: &mut Outcomes,
    ) -> Result<(), StorageError> {
        if appends.is_empty() {
            return Ok(());
        }
        let sqlite = matches!(tx.conn, AnyConnection::Sqlite(_));
        if !sqlite {
            // One round trip for all; where that fails, one each.
            let all: Vec<&PreparedAppend> = appends.iter().map(|(_, append)| *append).collect();
            if guarded(tx, |tx| write_appends(tx, &all))?.is_ok() {
                return Ok(());
            }
        }
        for (index, append) in appends {
            let result = if self.is_poisoned(&append.event.room_id, append.generation) {
                Err(StorageError::StaleHead)
            } else if sqlite && append.is_one_row() {
                // SQLite undoes a statement that fails, and there is only this one.
                unguarded(tx, |tx| write_append(tx, append))?
            } else {
                guarded(tx, |tx| write_append(tx, append))?
            };
            if let Err(error) = result {
                self.poison(&append.event.room_id, append.generation);
                if let Some(outcome) = outcomes.get_mut(*index) {
                    *outcome = Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Whether an act's error is the database's own trouble, which is everybody's in the group.
fn is_everybodys(error: &StorageError) -> bool {
    is_io_failure(error) || matches!(error, StorageError::Unavailable(_))
}

/// Runs an act under a savepoint. The outer error fails the group: the database itself is in
/// trouble. The inner one is the act's own; what it did is undone.
fn guarded<F>(tx: &mut WriteTx<'_>, act: F) -> Result<Result<(), StorageError>, StorageError>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<(), StorageError>,
{
    let (next, announced) = (tx.next, tx.changes.len());
    match tx.savepoint {
        Savepoint::None => run(tx.conn, "SAVEPOINT act")?,
        Savepoint::Used => run(tx.conn, "RELEASE SAVEPOINT act; SAVEPOINT act")?,
        Savepoint::Clean => {}
    }
    tx.savepoint = Savepoint::Used;
    // A panic in one act must not take the writer with it.
    let result = catch_unwind(AssertUnwindSafe(|| act(tx)))
        .unwrap_or_else(|_| Err(StorageError::Failed("the act panicked".to_owned())));
    match result {
        Ok(()) => Ok(Ok(())),
        Err(error) if is_everybodys(&error) => Err(error),
        Err(error) => {
            // If this fails, nobody knows what stands: the group is undone.
            run(tx.conn, "ROLLBACK TO SAVEPOINT act")?;
            tx.savepoint = Savepoint::Clean;
            tx.next = next;
            tx.changes.truncate(announced);
            Ok(Err(error))
        }
    }
}

/// Runs an act that is a single statement, without a savepoint.
fn unguarded<F>(tx: &mut WriteTx<'_>, act: F) -> Result<Result<(), StorageError>, StorageError>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<(), StorageError>,
{
    if tx.savepoint == Savepoint::Clean {
        tx.savepoint = Savepoint::Used;
    }
    let result = catch_unwind(AssertUnwindSafe(|| act(tx)))
        .unwrap_or_else(|_| Err(StorageError::Failed("the act panicked".to_owned())));
    match result {
        Ok(()) => Ok(Ok(())),
        Err(StorageError::Conflict) => Ok(Err(StorageError::Conflict)),
        // SQLite may have ended the transaction, or the act stopped half-way.
        Err(error) => Err(error),
    }
}
