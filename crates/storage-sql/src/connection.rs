//! One type for both engines' connections, how they are opened, and what their errors mean.

use std::path::PathBuf;

use diesel::{
    Connection, PgConnection, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error as DieselError},
};
use greenroom_storage::StorageError;

/// A connection to either engine. Queries are written once, against this.
#[derive(diesel::MultiConnection)]
pub(crate) enum AnyConnection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// Expands one query for each engine, where diesel's shared subset does not reach: batch inserts
/// and `ON CONFLICT`.
macro_rules! on_either {
    ($conn:expr, $c:ident => $query:expr) => {
        match $conn {
            $crate::connection::AnyConnection::Postgres($c) => $query,
            $crate::connection::AnyConnection::Sqlite($c) => $query,
        }
    };
}
pub(crate) use on_either;

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string.
    Postgres(String),
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `sqlite://PATH`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    ///
    /// A sentence for the operator if it is none of these.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        match url.strip_prefix("sqlite:") {
            Some("" | "//") | None => Err(
                "the database URL must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"
                    .to_owned(),
            ),
            Some(path) => Ok(Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into())),
        }
    }

    /// What a log line may say about it: no user, no password.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite {}", path.display()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                format!("postgres {}", host.split('?').next().unwrap_or(host))
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that writes.
    Writer,
    /// One of those that only read.
    Reader,
}

/// The writer alone changes the file, so this only bridges the moment when a reader recovers the
/// log at start.
pub(crate) const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 5000";

/// The oldest SQLite whose write-ahead log is sound: earlier ones can corrupt it.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Opens a connection and sets it up for its role.
pub(crate) fn open(url: &DatabaseUrl, role: Role) -> Result<AnyConnection, StorageError> {
    match url {
        DatabaseUrl::Sqlite(path) => open_sqlite(path, role),
        DatabaseUrl::Postgres(url) => open_postgres(url, role),
    }
}

fn open_sqlite(path: &std::path::Path, role: Role) -> Result<AnyConnection, StorageError> {
    if libsqlite3_sys::SQLITE_VERSION_NUMBER < OLDEST_SQLITE {
        return Err(StorageError::Failed(
            "this build links a SQLite older than 3.51.3, which can corrupt its log".to_owned(),
        ));
    }
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| {
        StorageError::Unavailable(format!("cannot open {}: {error}", path.display()))
    })?;
    // One statement each: diesel prepares what it is given.
    let mut pragmas = vec![
        BUSY_TIMEOUT,
        "PRAGMA foreign_keys = ON",
        "PRAGMA temp_store = MEMORY",
    ];
    match role {
        Role::Writer => pragmas.extend([
            "PRAGMA synchronous = FULL",
            // 64 MiB: the pages of the indexes are written back once for many commits.
            "PRAGMA wal_autocheckpoint = 16000",
            // After a spike the log gives its space back.
            "PRAGMA journal_size_limit = 67108864",
            "PRAGMA cache_size = -32000",
            // What is deleted is overwritten, or the words of a redacted event stay in the file.
            // Costs nothing measurable: the hot path only inserts.
            "PRAGMA secure_delete = ON",
        ]),
        Role::Reader => pragmas.extend(["PRAGMA query_only = ON", "PRAGMA cache_size = -4000"]),
    }
    for pragma in pragmas {
        diesel::sql_query(pragma)
            .execute(&mut conn)
            .map_err(StorageError::from_diesel)?;
    }
    if role == Role::Writer {
        try_to_write(&mut conn)?;
        write_ahead(&mut conn)?;
    }
    Ok(AnyConnection::Sqlite(conn))
}

/// SQLite opens what it may not write for reading, without a word: the first write would say so.
/// Nothing reaches the file.
fn try_to_write(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    conn.batch_execute("BEGIN IMMEDIATE; CREATE TABLE greenroom_may_write (x); ROLLBACK")
        .map_err(StorageError::from_diesel)
}

/// Turns the write-ahead log on. SQLite answers with the mode it is in, whatever was asked for.
fn write_ahead(conn: &mut SqliteConnection) -> Result<(), StorageError> {
    #[derive(diesel::QueryableByName)]
    struct Mode {
        #[diesel(sql_type = diesel::sql_types::Text)]
        journal_mode: String,
    }
    let mode: Mode = diesel::sql_query("PRAGMA journal_mode = WAL")
        .get_result(conn)
        .map_err(StorageError::from_diesel)?;
    if mode.journal_mode == "wal" {
        return Ok(());
    }
    Err(StorageError::Failed(format!(
        "the file system of the database cannot hold a write-ahead log (SQLite's journal mode is \
         {}); put the data directory on a local disk",
        mode.journal_mode
    )))
}

fn open_postgres(url: &str, role: Role) -> Result<AnyConnection, StorageError> {
    let url = with_defaults(url);
    let mut conn = PgConnection::establish(&url)
        // The message of libpq names host and user, never the password.
        .map_err(|error| StorageError::Unavailable(format!("cannot connect: {error}")))?;
    let mut settings = vec![
        // Is over when a commit begins to wait for its standby. If it cut that wait short, the
        // commit would count as done without the standby.
        "SET statement_timeout = '30s'",
        "SET client_min_messages = warning",
    ];
    match role {
        Role::Writer => settings.push("SET synchronous_commit = on"),
        Role::Reader => settings.push("SET default_transaction_read_only = on"),
    }
    for setting in settings {
        diesel::sql_query(setting)
            .execute(&mut conn)
            .map_err(StorageError::from_diesel)?;
    }
    Ok(AnyConnection::Postgres(conn))
}

/// Adds time limits, so that a host that is gone is noticed in seconds.
fn with_defaults(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "3"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "2"),
        ("tcp_user_timeout", "8000"),
        ("application_name", "greenroom"),
    ] {
        if !url.contains(&format!("{name}=")) {
            if !url.ends_with(['?', '&']) {
                url.push(if url.contains('?') { '&' } else { '?' });
            }
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
    }
    url
}

/// What a database error means to us.
pub(crate) trait FromDiesel {
    /// Sorts an error of diesel into what a caller can tell apart.
    fn from_diesel(error: DieselError) -> Self;
}

impl FromDiesel for StorageError {
    fn from_diesel(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict,
            // A standby takes no writes: the server we want is, or soon will be, another one.
            DieselError::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::ReadOnlyTransaction,
                info,
            ) => Self::Unavailable(info.message().to_owned()),
            DieselError::DatabaseError(_, info) if is_full(info.message()) => {
                Self::Unavailable(info.message().to_owned())
            }
            DieselError::DatabaseError(_, info)
                if is_gone(info.message()) || is_locked(info.message()) =>
            {
                Self::Unavailable(info.message().to_owned())
            }
            DieselError::BrokenTransactionManager => {
                Self::Unavailable("the connection was lost in a transaction".to_owned())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The disk (or the quota) is full: writing may work again later.
fn is_full(message: &str) -> bool {
    message.contains("database or disk is full") || message.contains("No space left on device")
}

/// Somebody else has held the SQLite file for longer than `busy_timeout`.
fn is_locked(message: &str) -> bool {
    message.starts_with("database is locked") || message.starts_with("database table is locked")
}

/// The PostgreSQL server went away or is not up yet.
fn is_gone(message: &str) -> bool {
    [
        "terminating connection",
        "server closed the connection",
        "could not receive data",
        "could not send data",
        "no connection to the server",
        "connection to server",
        "the database system is",
        "SSL connection has been closed",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// Whether the file system that holds a SQLite file has no room left: a small file beside it
/// cannot be written.
pub(crate) fn disk_is_full(url: &DatabaseUrl) -> bool {
    let DatabaseUrl::Sqlite(path) = url else {
        return false;
    };
    let probe = path.with_extension("space-probe");
    let written = std::fs::File::create(&probe).and_then(|mut file| {
        std::io::Write::write_all(&mut file, &vec![0; 65_536])?;
        file.sync_all()
    });
    // What could not be created need not be removed.
    let _ = std::fs::remove_file(&probe);
    written.is_err_and(|error| {
        matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        )
    })
}

/// Whether the disk itself failed. After that nothing may be acknowledged: the kernel may have
/// dropped what it could not write, and a second `fsync` would claim success.
pub(crate) fn is_io_failure(error: &StorageError) -> bool {
    match error {
        StorageError::Failed(message) => {
            message.contains("disk I/O error") || message.contains("disk image is malformed")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_read_and_described_without_its_secrets() {
        let url = DatabaseUrl::parse("postgres://green:s3cret@db.example:5433/room?x=1").unwrap();
        assert_eq!(url.describe(), "postgres db.example:5433/room");
        assert!(!format!("{url:?}").contains("s3cret"));
        assert_eq!(
            DatabaseUrl::parse("sqlite://a/b.db"),
            Ok(DatabaseUrl::Sqlite(PathBuf::from("a/b.db")))
        );
        assert_eq!(
            DatabaseUrl::parse("sqlite:/a/b.db"),
            Ok(DatabaseUrl::Sqlite(PathBuf::from("/a/b.db")))
        );
        for wrong in ["", "sqlite:", "mysql://x", "greenroom.db"] {
            assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
