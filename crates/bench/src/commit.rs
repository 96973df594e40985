//! What one commit costs here: the yardstick for one sender's latency.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::error::{BenchError, Result};
use crate::latency::Latencies;
use schema::acts;

mod schema {
    diesel::table! {
        acts (id) {
            id -> BigInt,
            body -> Text,
        }
    }
}

/// Measured durations of single commits.
#[derive(Debug, Default)]
pub struct Commits {
    /// One-row inserts into SQLite, each in a transaction of its own.
    pub sqlite: Latencies,
    /// 4 KiB appended to a file, then `fdatasync`.
    pub fdatasync: Latencies,
    /// 4 KiB rewritten in a file of fixed size, then `fdatasync`.
    pub fdatasync_in_place: Latencies,
}

/// Commits one small row at a time to a new SQLite database in `dir` (WAL,
/// `synchronous=FULL`), then syncs 4 KiB at a time to a plain file.
///
/// Stops after `count` of each, or after `limit` for each.
///
/// # Errors
///
/// [`BenchError::Sqlite`] or [`BenchError::Io`].
pub fn measure(dir: &Path, count: u32, limit: Duration) -> Result<Commits> {
    let scratch = tempfile::Builder::new()
        .prefix("greenroom-bench-")
        .tempdir_in(dir)
        .map_err(BenchError::io("making a directory"))?;
    let mut commits = Commits {
        sqlite: sqlite(&scratch.path().join("commit.db"), count, limit)?,
        ..Commits::default()
    };
    let path = scratch.path().join("plain");
    let mut file = File::create(path).map_err(BenchError::io("making a file"))?;
    let block = [0x5a_u8; 4_096];
    let started = Instant::now();
    for _ in 0..count {
        if started.elapsed() > limit {
            break;
        }
        let began = Instant::now();
        file.write_all(&block)
            .and_then(|()| file.sync_data())
            .map_err(BenchError::io("syncing a file"))?;
        commits.fdatasync.push(began.elapsed());
    }
    let started = Instant::now();
    for _ in 0..count {
        if started.elapsed() > limit {
            break;
        }
        let began = Instant::now();
        std::os::unix::fs::FileExt::write_all_at(&file, &block, 0)
            .and_then(|()| file.sync_data())
            .map_err(BenchError::io("syncing a file"))?;
        commits.fdatasync_in_place.push(began.elapsed());
    }
    Ok(commits)
}

fn sqlite(path: &Path, count: u32, limit: Duration) -> Result<Latencies> {
    let path = path
        .to_str()
        .ok_or_else(|| BenchError::Setup("the directory's name is not UTF-8".into()))?;
    let failed = |error: &dyn std::fmt::Display| BenchError::Sqlite(error.to_string());
    let mut connection = SqliteConnection::establish(path).map_err(|error| failed(&error))?;
    connection
        .batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             CREATE TABLE acts (id INTEGER PRIMARY KEY, body TEXT NOT NULL);",
        )
        .map_err(|error| failed(&error))?;
    let body = "x".repeat(200);
    let mut latencies = Latencies::default();
    let started = Instant::now();
    for id in 0..i64::from(count) {
        if started.elapsed() > limit {
            break;
        }
        let began = Instant::now();
        diesel::insert_into(acts::table)
            .values((acts::id.eq(id), acts::body.eq(&body)))
            .execute(&mut connection)
            .map_err(|error| failed(&error))?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::measure;

    #[test]
    fn every_commit_is_measured_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("makes a directory");
        let commits = measure(dir.path(), 5, Duration::from_mins(1)).expect("commits");
        let counts = [
            commits.sqlite,
            commits.fdatasync,
            commits.fdatasync_in_place,
        ]
        .map(|all| all.summary().count);
        assert_eq!(counts, [5, 5, 5]);
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
    }
}
