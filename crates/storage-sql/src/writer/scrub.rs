//! Emptying the write-ahead log: it keeps older versions of the pages until they are overwritten,
//! and in them what a redaction took away, for weeks on a quiet server.

use std::time::{Duration, Instant};

use diesel::{RunQueryDsl, SqliteConnection};
use greenroom_storage::StorageError;

use super::Writer;
use crate::connection::{AnyConnection, BUSY_TIMEOUT, FromDiesel};

/// Readers of the log are waited for no longer: meanwhile nobody can write. A read takes less.
const READERS_PATIENCE: &str = "PRAGMA busy_timeout = 250";
/// When to try again if it could not be done.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Writer {
    /// Has the log emptied in a while, if there is one. What comes until then goes with it.
    pub(super) fn scrub_later(&mut self) {
        if matches!(self.conn, Some(AnyConnection::Sqlite(_))) {
            self.scrub_at
                .get_or_insert_with(|| Instant::now() + self.scrub_after);
        }
    }

    /// Writes the log back into the database and truncates it.
    pub(super) fn empty_log(&mut self) {
        let emptied = match &mut self.conn {
            Some(AnyConnection::Sqlite(conn)) => truncate_log(conn),
            // Its log is out of our reach.
            Some(AnyConnection::Postgres(_)) => Ok(true),
            None => Ok(false),
        };
        let emptied = emptied.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not empty the log of the database");
            false
        });
        self.scrub_at = (!emptied).then(|| Instant::now() + AGAIN_AFTER);
    }
}

/// False if a reader was in the way.
fn truncate_log(conn: &mut SqliteConnection) -> Result<bool, StorageError> {
    #[derive(diesel::QueryableByName)]
    struct Outcome {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        busy: i64,
    }
    let set = |conn: &mut SqliteConnection, pragma: &str| {
        diesel::sql_query(pragma)
            .execute(conn)
            .map_err(StorageError::from_diesel)
    };
    set(conn, READERS_PATIENCE)?;
    let outcome = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)")
        .get_result::<Outcome>(conn)
        .map_err(StorageError::from_diesel);
    set(conn, BUSY_TIMEOUT)?;
    Ok(outcome?.busy == 0)
}
