//! One group: everything that was queued, in one transaction.

use diesel::{Connection, connection::TransactionManager};
use greenroom_model::StreamPosition;
use greenroom_storage::{Appended, StorageError};
use greenroom_stream::Change;

use super::{InDoubt, Item, WriteTx, Writer, move_position};
use crate::{
    append::{PreparedAppend, write_appends},
    connection::{AnyConnection, FromDiesel, is_io_failure},
};

type Transactions = <AnyConnection as Connection>::TransactionManager;

fn begin(conn: &mut AnyConnection) -> Result<(), StorageError> {
    Transactions::begin_transaction(conn).map_err(StorageError::from_diesel)
}

fn commit(conn: &mut AnyConnection) -> Result<(), StorageError> {
    Transactions::commit_transaction(conn).map_err(StorageError::from_diesel)
}

/// Undoes to the last [`begin`]. An error here means the connection is gone, and with it the
/// transaction.
fn roll_back(conn: &mut AnyConnection) {
    if let Err(error) = Transactions::rollback_transaction(conn) {
        tracing::debug!(%error, "roll back");
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
        let outcomes = match self
            .ready_soon()
            .map_err(GroupFailure::Undone)
            .and_then(|()| self.try_group(group))
        {
            Ok(prepared) => self.committed(prepared),
            Err(GroupFailure::Undone(error)) => self.undone(group, &error),
            Err(GroupFailure::Unknown(error, prepared)) => self.resolve(group, &error, prepared),
        };
        for (item, outcome) in group.drain(..).zip(outcomes) {
            match item {
                Item::Append(_, answer) => {
                    let position = outcome.map(Option::unwrap_or_default);
                    let _ = answer.send(position.map(|position| Appended { position }));
                }
                Item::Act(act) => act.answer(outcome.map(|_| ())),
                Item::Close(answer) => {
                    let _ = answer.send(());
                }
            }
        }
    }

    fn committed(&mut self, prepared: Prepared) -> Outcomes {
        self.last = prepared.last;
        self.reserved = prepared.reserved;
        self.stream
            .announce(StreamPosition(prepared.last), &prepared.changes);
        prepared.outcomes
    }

    fn undone(&mut self, group: &[Item], error: &StorageError) -> Outcomes {
        if is_io_failure(error) {
            (self.on_disk_failure)(&error.to_string());
        }
        tracing::error!(%error, acts = group.len(), "a group of writes failed, nothing of it is kept");
        metrics::counter!("greenroom_db_groups_failed").increment(1);
        // Whatever was wrong with it, a fresh connection tells.
        self.conn = None;
        for item in group {
            if let Item::Append(append, _) = item {
                self.poison(append);
            }
        }
        group.iter().map(|_| Err(error.clone())).collect()
    }

    /// The connection broke under a commit. `server.position`, which the transaction moved, tells
    /// whether it happened, as soon as the database answers again.
    fn resolve(&mut self, group: &[Item], error: &StorageError, prepared: Prepared) -> Outcomes {
        self.conn = None;
        self.in_doubt = Some(InDoubt {
            reserved: prepared.reserved,
            last: prepared.last,
            changes: prepared.changes,
        });
        let reserved = prepared.reserved;
        if self.ready_soon().is_ok() && self.reserved == reserved {
            return prepared.outcomes;
        }
        self.undone(group, error)
    }

    fn poison(&mut self, append: &PreparedAppend) {
        self.failed_generations
            .insert(append.event.room_id.clone(), append.generation);
    }

    fn is_poisoned(&mut self, append: &PreparedAppend) -> bool {
        match self.failed_generations.get(&append.event.room_id) {
            Some(failed) if *failed >= append.generation => true,
            Some(_) => {
                self.failed_generations.remove(&append.event.room_id);
                false
            }
            None => false,
        }
    }

    fn try_group(&mut self, group: &mut [Item]) -> Result<Prepared, GroupFailure> {
        let Some(mut conn) = self.conn.take() else {
            return Err(GroupFailure::Undone(StorageError::Unavailable(
                "no connection".to_owned(),
            )));
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
        begin(conn).map_err(GroupFailure::Undone)?;
        let prepared = match self.fill(conn, group) {
            Ok(prepared) => prepared,
            Err(error) => {
                roll_back(conn);
                return Err(GroupFailure::Undone(error));
            }
        };
        match commit(conn) {
            Ok(()) => Ok(prepared),
            Err(error @ StorageError::Unavailable(_))
                if matches!(conn, AnyConnection::Postgres(_)) =>
            {
                Err(GroupFailure::Unknown(error, prepared))
            }
            Err(error) => {
                roll_back(conn);
                Err(GroupFailure::Undone(error))
            }
        }
    }

    /// Runs every act of the group inside the open transaction.
    fn fill(
        &mut self,
        conn: &mut AnyConnection,
        group: &mut [Item],
    ) -> Result<Prepared, StorageError> {
        // The stream's row first: its lock orders the commits of several writers, and a writer
        // that has missed another's commit is told so before it has done anything.
        let mut reserved = self.last + 4 * i64::try_from(group.len()).unwrap_or(i64::MAX) + 32;
        reserved = reserved.max(self.reserved);
        if !move_position(conn, self.reserved, reserved)? {
            return Err(StorageError::Unavailable(
                "another process has written".to_owned(),
            ));
        }
        let mut tx = WriteTx {
            conn,
            next: self.last,
            changes: Vec::new(),
        };
        let mut outcomes: Outcomes = Vec::with_capacity(group.len());
        let mut appends: Vec<(usize, &mut PreparedAppend)> = Vec::new();
        for (index, item) in group.iter_mut().enumerate() {
            outcomes.push(match item {
                Item::Close(_) => Ok(None),
                Item::Act(act) => guarded(&mut tx, |tx| act.run(tx))?.map(|()| None),
                Item::Append(append, _) if self.is_poisoned(append) => Err(StorageError::StaleHead),
                Item::Append(append, _) => {
                    let position = tx.next_position();
                    append.event.position = position;
                    append.row.position = position.0;
                    appends.push((index, append));
                    Ok(Some(position))
                }
            });
        }
        self.write_batch(&mut tx, &appends, &mut outcomes)?;
        let WriteTx {
            next: last,
            mut changes,
            conn,
        } = tx;
        if last > reserved {
            if !move_position(conn, reserved, last)? {
                return Err(StorageError::Unavailable(
                    "another process has written".to_owned(),
                ));
            }
            reserved = last;
        }
        changes.sort_by_key(|change| change.position);
        Ok(Prepared {
            outcomes,
            changes,
            last,
            reserved,
        })
    }

    /// Writes all appends at once; where that fails, each alone, so that only the bad ones fail.
    fn write_batch(
        &mut self,
        tx: &mut WriteTx<'_>,
        appends: &[(usize, &mut PreparedAppend)],
        outcomes: &mut Outcomes,
    ) -> Result<(), StorageError> {
        if appends.is_empty() {
            return Ok(());
        }
        let all: Vec<&PreparedAppend> = appends.iter().map(|(_, append)| &**append).collect();
        if guarded(tx, |tx| write_appends(tx, &all))?.is_ok() {
            return Ok(());
        }
        for (index, append) in appends {
            let result = if self.is_poisoned(append) {
                Err(StorageError::StaleHead)
            } else {
                guarded(tx, |tx| write_appends(tx, &[append]))?
            };
            if let Err(error) = result {
                self.poison(append);
                if let Some(outcome) = outcomes.get_mut(*index) {
                    *outcome = Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Runs an act under a savepoint. The outer error fails the group: the database itself is in
/// trouble. The inner one is the act's own; what it did is undone.
fn guarded<F>(tx: &mut WriteTx<'_>, act: F) -> Result<Result<(), StorageError>, StorageError>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<(), StorageError>,
{
    let (next, announced) = (tx.next, tx.changes.len());
    begin(tx.conn)?;
    // A panic in one act must not take the writer with it.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(tx)))
        .unwrap_or_else(|_| Err(StorageError::Failed("the act panicked".to_owned())));
    match result {
        Ok(()) => {
            commit(tx.conn)?;
            Ok(Ok(()))
        }
        Err(error) => {
            if is_io_failure(&error) || matches!(error, StorageError::Unavailable(_)) {
                return Err(error);
            }
            roll_back(tx.conn);
            tx.next = next;
            tx.changes.truncate(announced);
            Ok(Err(error))
        }
    }
}
