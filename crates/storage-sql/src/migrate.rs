//! Migrations: embedded, run at start, each in its own transaction.

use std::time::Instant;

use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use greenroom_storage::StorageError;

use crate::connection::{AnyConnection, on_either};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Failed(format!("migration: {error}"))
}

/// Runs what is missing and logs each step.
///
/// # Errors
///
/// If a migration fails (it is rolled back), or if the database has migrations this program does
/// not know: it was written by a newer version.
pub(crate) fn run(conn: &mut AnyConnection) -> Result<(), StorageError> {
    on_either!(conn, c => run_on(c, source(c)?))
}

/// Migrations that are still to be run, by name.
///
/// # Errors
///
/// If the database cannot be read, or was written by a newer version.
pub(crate) fn pending(conn: &mut AnyConnection) -> Result<Vec<String>, StorageError> {
    on_either!(conn, c => {
        refuse_newer(c, &source(c)?)?;
        let migrations = c.pending_migrations(source(c)?).map_err(failed)?;
        Ok(migrations.iter().map(|m| m.name().to_string()).collect())
    })
}

/// Which set belongs to a connection.
trait Embedded {
    fn embedded() -> EmbeddedMigrations;
}

impl Embedded for diesel::SqliteConnection {
    fn embedded() -> EmbeddedMigrations {
        SQLITE
    }
}

impl Embedded for diesel::PgConnection {
    fn embedded() -> EmbeddedMigrations {
        POSTGRES
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "reads as a fallible step where it is used"
)]
fn source<C: Embedded>(_: &C) -> Result<EmbeddedMigrations, StorageError> {
    Ok(C::embedded())
}

fn run_on<C, DB>(conn: &mut C, source: EmbeddedMigrations) -> Result<(), StorageError>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    refuse_newer(conn, &source)?;
    for migration in conn.pending_migrations(source).map_err(failed)? {
        let started = Instant::now();
        conn.run_migration(&*migration).map_err(failed)?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(migration = %migration.name(), duration_ms, "migration applied");
    }
    Ok(())
}

fn refuse_newer<C, DB>(conn: &mut C, source: &EmbeddedMigrations) -> Result<(), StorageError>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<MigrationVersion<'static>> = MigrationSource::<DB>::migrations(source)
        .map_err(failed)?
        .iter()
        .map(|migration| migration.name().version().as_owned())
        .collect();
    let applied = conn.applied_migrations().map_err(failed)?;
    if let Some(unknown) = applied.iter().find(|version| !known.contains(version)) {
        return Err(StorageError::Failed(format!(
            "the database was written by a newer version of greenroom (migration {unknown} is not \
             known to this one); start that version, or restore a backup made before the upgrade"
        )));
    }
    Ok(())
}
