//! The database as the rest of the server holds it.

use std::{sync::Arc, time::Duration};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use greenroom_model::StreamPosition;
use greenroom_storage::StorageError;
use greenroom_stream::ChangeStream;

use crate::{
    connection::{AnyConnection, DatabaseUrl, FromDiesel, Role, open},
    migrate,
    readers::ReadPool,
    schema::server,
    writer::{WriteTx, Writer, WriterHandle},
};

/// How long to wait at start for another process to let go of the database.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How to open the database.
pub struct DbOptions {
    /// Where it is.
    pub url: DatabaseUrl,
    /// Whose it is. A database belongs to one server name for good: every ID in it carries it.
    pub server_name: String,
    /// How many read threads to keep.
    pub readers: usize,
    /// On SQLite: how long the log of a running server may still hold what a redaction took out of
    /// the tables. Longer means fewer checkpoints where much is redacted.
    pub scrub_after: Duration,
    /// Called, from the writer's thread, when the disk has failed under a write. The process must
    /// end: nothing more can be acknowledged.
    pub on_disk_failure: Box<dyn Fn(&str) + Send>,
}

/// A handle to the database. Clones share the writer and the readers.
#[derive(Clone)]
pub struct Db {
    pub(crate) readers: ReadPool,
    pub(crate) writer: WriterHandle,
    stream: ChangeStream,
}

impl Db {
    /// Opens the database, brings its tables up to date, and starts the writer and the readers.
    /// Blocks: call it before serving.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, belongs to another server name, was written by a newer
    /// version, or (PostgreSQL) another process serves it.
    pub fn open(options: DbOptions, stream: ChangeStream) -> Result<Self, StorageError> {
        let mut conn = open(&options.url, Role::Writer)?;
        crate::writer::claim(&mut conn, LOCK_PATIENCE)?;
        migrate::run(&mut conn)?;
        crate::user_directory::fill(&mut conn)?;
        let position = adopt(&mut conn, &options.server_name)?;
        crate::search::adopt(&mut conn)?;
        stream.announce(position, &[]);
        let failed = |error: std::io::Error| StorageError::Failed(error.to_string());
        let readers = ReadPool::start(&options.url, options.readers).map_err(failed)?;
        let writer = Writer::new(
            conn,
            options.url,
            stream.clone(),
            position,
            readers.losses(),
            options.scrub_after,
            options.on_disk_failure,
        )
        .start()
        .map_err(failed)?;
        Ok(Self {
            readers,
            writer,
            stream,
        })
    }

    /// Names of the migrations that [`Db::open`] would run, without running them.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or was written by a newer version.
    pub fn pending_migrations(url: &DatabaseUrl) -> Result<Vec<String>, StorageError> {
        migrate::pending(&mut open(url, Role::Writer)?)
    }

    /// Reads the whole database for damage: on SQLite `PRAGMA integrity_check`.
    ///
    /// # Errors
    ///
    /// [`StorageError::Damaged`] with the first finding.
    pub fn check(url: &DatabaseUrl) -> Result<(), StorageError> {
        #[derive(diesel::QueryableByName)]
        struct Finding {
            #[diesel(sql_type = diesel::sql_types::Text)]
            integrity_check: String,
        }
        let mut conn = open(url, Role::Reader)?;
        if let AnyConnection::Sqlite(sqlite) = &mut conn {
            let findings: Vec<Finding> = diesel::sql_query("PRAGMA integrity_check")
                .load(sqlite)
                .map_err(StorageError::from_diesel)?;
            if let Some(bad) = findings
                .iter()
                .find(|finding| finding.integrity_check != "ok")
            {
                return Err(StorageError::Damaged(bad.integrity_check.clone()));
            }
        }
        Ok(())
    }

    /// The stream that this database announces its commits to.
    #[must_use]
    pub fn stream(&self) -> &ChangeStream {
        &self.stream
    }

    /// Whether a write commits now: an empty act goes through the writer and its commit.
    ///
    /// # Errors
    ///
    /// Why it did not.
    pub async fn probe(&self) -> Result<(), StorageError> {
        self.write(|_| Ok(())).await
    }

    /// Takes no more reads and writes, commits what is queued, and returns when that is done. On
    /// SQLite the file is then whole, and its log gone unless another process has the file open.
    pub async fn close(&self) {
        // The log can go when nobody reads it any more.
        self.readers.close().await;
        self.writer.close().await;
    }

    /// One read, on a thread of the pool.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut AnyConnection) -> Result<T, StorageError> + Send + 'static,
    {
        self.readers.run(read).await
    }

    /// One act: a closure that runs inside the group's transaction under a savepoint of its own.
    /// Returns after the commit, and after the changes it made were announced.
    pub(crate) async fn write<T, F>(&self, act: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        self.writer.write(act).await
    }

    /// This database behind one of the storage contract's traits.
    #[must_use]
    pub fn shared(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }
}

/// Reads whose database this is, or makes it ours; gives the end of the stream.
fn adopt(conn: &mut AnyConnection, server_name: &str) -> Result<StreamPosition, StorageError> {
    let row: Option<(String, i64)> = server::table
        .select((server::server_name, server::position))
        .first(conn)
        .optional()
        .map_err(StorageError::from_diesel)?;
    match row {
        Some((owner, position)) if owner == server_name => Ok(StreamPosition(position)),
        Some((owner, _)) => Err(StorageError::Failed(format!(
            "this database belongs to the server name {owner}, not {server_name}; every user and \
             room in it carries that name, so start with --server-name {owner} or choose another \
             data directory"
        ))),
        None => {
            diesel::insert_into(server::table)
                .values((
                    server::id.eq(1),
                    server::server_name.eq(server_name),
                    server::position.eq(0),
                ))
                .execute(conn)
                .map_err(StorageError::from_diesel)?;
            Ok(StreamPosition::START)
        }
    }
}
