//! A database nobody else sees, on SQLite, or on PostgreSQL where the environment names a server.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use diesel::{Connection, PgConnection, SqliteConnection, connection::SimpleConnection};
use greenroom_storage::StorageError;
use greenroom_storage_sql::{DatabaseUrl, Db, DbOptions};
use greenroom_stream::ChangeStream;
use tempfile::TempDir;

use super::{SERVER, Watcher};

/// The environment variable that moves the tests to PostgreSQL.
const POSTGRES_URL: &str = "GREENROOM_TEST_POSTGRES_URL";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where a test's database is. It goes when this is dropped.
pub(crate) struct Place {
    pub(crate) url: String,
    // Holds the SQLite file.
    _directory: TempDir,
    postgres: Option<(String, String)>,
}

impl Place {
    /// A new, empty place on the engine that is tested now.
    pub(crate) fn new() -> Self {
        match std::env::var(POSTGRES_URL) {
            Ok(admin_url) if !admin_url.is_empty() => Self::on_postgres(&admin_url),
            _ => Self::on_sqlite(),
        }
    }

    /// A place on SQLite whatever is tested.
    pub(crate) fn on_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        Self {
            url,
            _directory: directory,
            postgres: None,
        }
    }

    /// A database of its own on the PostgreSQL server at `admin_url`.
    pub(crate) fn on_postgres(admin_url: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("greenroom_sql_{}_{number}", std::process::id());
        let mut admin = PgConnection::establish(admin_url).unwrap();
        admin
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))
            .unwrap();
        admin
            .batch_execute(&format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"
            ))
            .unwrap();
        let (server, query) = match admin_url.split_once('?') {
            Some((server, query)) => (server, format!("?{query}")),
            None => (admin_url, String::new()),
        };
        let (server, _) = server.rsplit_once('/').unwrap();
        Self {
            url: format!("{server}/{name}{query}"),
            _directory: tempfile::tempdir().unwrap(),
            postgres: Some((admin_url.to_owned(), name)),
        }
    }

    /// The URL of the server that the tests run on; `None` on SQLite.
    pub(crate) fn postgres_server() -> Option<String> {
        std::env::var(POSTGRES_URL)
            .ok()
            .filter(|url| !url.is_empty())
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.postgres.is_none()
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> &str {
        self.url.strip_prefix("sqlite:").unwrap()
    }

    /// A connection beside those of the server, on SQLite.
    pub(crate) fn sqlite(&self) -> SqliteConnection {
        let mut conn = SqliteConnection::establish(self.file()).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
        conn
    }

    /// A connection beside those of the server, on PostgreSQL.
    pub(crate) fn postgres(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Runs statements behind the server's back.
    pub(crate) fn execute(&self, sql: &str) {
        if self.is_sqlite() {
            self.sqlite().batch_execute(sql).unwrap();
        } else {
            self.postgres().batch_execute(sql).unwrap();
        }
    }

    /// Opens the database as the server would.
    pub(crate) fn open(&self, server_name: &str) -> Result<(Db, Arc<Watcher>), StorageError> {
        self.open_reporting(server_name, &Arc::default())
    }

    /// Opens the database; what is said when the disk fails is kept in `failures`.
    pub(crate) fn open_reporting(
        &self,
        server_name: &str,
        failures: &Arc<Mutex<Vec<String>>>,
    ) -> Result<(Db, Arc<Watcher>), StorageError> {
        let stream = ChangeStream::new();
        let watcher = Arc::new(Watcher::of(stream.clone()));
        stream.observe(vec![watcher.clone()]);
        let failures = Arc::clone(failures);
        let options = DbOptions {
            url: DatabaseUrl::parse(&self.url).unwrap(),
            server_name: server_name.to_owned(),
            readers: 2,
            scrub_after: Duration::ZERO,
            on_disk_failure: Box::new(move |why| failures.lock().unwrap().push(why.to_owned())),
        };
        Ok((Db::open(options, stream)?, watcher))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((admin_url, name)) = &self.postgres else {
            return;
        };
        // A test that stops the server may have left it stopped; then nothing is left to drop.
        if let Ok(mut admin) = PgConnection::establish(admin_url) {
            let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// An open database of a test's own.
pub(crate) struct TestDb {
    pub(crate) db: Db,
    pub(crate) watcher: Arc<Watcher>,
    // Dropped last: the database goes when nobody is connected to it.
    pub(crate) place: Place,
}

impl TestDb {
    pub(crate) fn new() -> Self {
        Self::at(Place::new())
    }

    pub(crate) fn at(place: Place) -> Self {
        let (db, watcher) = place.open(SERVER).unwrap();
        Self { db, watcher, place }
    }

    /// Closes the database and opens it again, as after a restart.
    pub(crate) async fn restart(self) -> Self {
        self.db.close().await;
        drop(self.db);
        Self::at(self.place)
    }
}

impl std::ops::Deref for TestDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}
