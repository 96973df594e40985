//! How large a database of Greenroom's is: the one thing here that knows its tables.

use std::fs;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::{BenchError, Result};

/// What a database file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSize {
    /// Of the file, free pages included.
    pub bytes: u64,
    /// Of the JSON of all events in it.
    pub json_bytes: u64,
    /// How many events that is.
    pub events: u64,
}

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    events: i64,
    #[diesel(sql_type = BigInt)]
    json_bytes: i64,
}

/// Looks at a file that no server has open, as it is: nothing is vacuumed.
///
/// # Errors
///
/// [`BenchError::Setup`] if there is a write-ahead log beside it: then it is not all there is.
/// [`BenchError::Io`] or [`BenchError::Sqlite`] if it cannot be read.
pub fn size(path: &Path) -> Result<DatabaseSize> {
    let shown = path.display();
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        return Err(BenchError::Setup(format!(
            "{shown} has a log: stop its server, which empties it"
        )));
    }
    let file = fs::metadata(path).map_err(BenchError::io(format!("looking at {shown}")))?;
    let url = format!("file:{shown}?mode=ro");
    let failed = |error: &dyn std::fmt::Display| BenchError::Sqlite(error.to_string());
    let mut conn = SqliteConnection::establish(&url).map_err(|error| failed(&error))?;
    let sum: Sum = diesel::sql_query(
        "SELECT COUNT(*) AS events, COALESCE(SUM(LENGTH(json)), 0) AS json_bytes FROM events",
    )
    .get_result(&mut conn)
    .map_err(|error| failed(&error))?;
    Ok(DatabaseSize {
        bytes: file.len(),
        json_bytes: u64::try_from(sum.json_bytes).unwrap_or(0),
        events: u64::try_from(sum.events).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;

    use super::size;

    #[test]
    fn events_are_summed_and_a_log_is_not_overlooked() {
        let dir = tempfile::tempdir().expect("makes a directory");
        let path = dir.path().join("some.db");
        let mut conn = SqliteConnection::establish(&path.display().to_string()).expect("opens");
        conn.batch_execute(
            "CREATE TABLE events (json BLOB NOT NULL);
             INSERT INTO events VALUES (x'7b7d'), (x'7b2061207d');",
        )
        .expect("fills it");
        drop(conn);
        let found = size(&path).expect("is read");
        assert_eq!((found.events, found.json_bytes), (2, 7));
        assert!(found.bytes >= 4_096);
        std::fs::write(dir.path().join("some.db-wal"), "x").expect("writes");
        assert!(size(&path).is_err());
    }
}
