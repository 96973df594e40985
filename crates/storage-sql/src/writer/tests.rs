//! What only the writer's own act can do: panic, and spoil its transaction.

use diesel::{ExpressionMethods, RunQueryDsl};
use greenroom_storage::StorageError;
use greenroom_stream::{ChangeKind, ChangeStream};
use ruma::user_id;

use super::WriteTx;
use crate::{
    DatabaseUrl, Db, DbOptions,
    connection::{AnyConnection, FromDiesel},
    schema::registration_tokens,
};

struct TestDb {
    db: Db,
    _directory: tempfile::TempDir,
}

impl std::ops::Deref for TestDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

fn open() -> TestDb {
    open_reporting(Box::new(|why| panic!("{why}")))
}

fn open_reporting(on_disk_failure: Box<dyn Fn(&str) + Send>) -> TestDb {
    let directory = tempfile::tempdir().unwrap();
    let options = DbOptions {
        url: DatabaseUrl::Sqlite(directory.path().join("test.db")),
        server_name: "test.example".to_owned(),
        readers: 1,
        scrub_after: std::time::Duration::ZERO,
        on_disk_failure,
    };
    TestDb {
        db: Db::open(options, ChangeStream::new()).unwrap(),
        _directory: directory,
    }
}

/// Writes a row, and takes a position for it.
fn store(tx: &mut WriteTx<'_>, key: &str) -> Result<(), StorageError> {
    diesel::insert_into(registration_tokens::table)
        .values((
            registration_tokens::token.eq(key),
            registration_tokens::uses.eq(0),
        ))
        .execute(tx.conn)
        .map_err(StorageError::from_diesel)?;
    tx.change(ChangeKind::Profile {
        user_id: user_id!("@a:test.example").to_owned(),
    });
    Ok(())
}

async fn stored(db: &Db) -> Vec<String> {
    use diesel::QueryDsl;
    db.read(|conn: &mut AnyConnection| {
        registration_tokens::table
            .order(registration_tokens::token.asc())
            .select(registration_tokens::token)
            .load(conn)
            .map_err(StorageError::from_diesel)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_act_that_panics_leaves_its_neighbours_in_the_group() {
    let db = open();
    let (first, broken, last) = tokio::join!(
        db.write(|tx| store(tx, "a")),
        db.write(|tx| {
            store(tx, "half")?;
            panic!("as a test of the writer");
            #[expect(unreachable_code, reason = "names the type")]
            Ok(())
        }),
        db.write(|tx| store(tx, "b")),
    );
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(broken, Err(StorageError::Failed(_))));
    assert_eq!(stored(&db).await, ["a", "b"]);
    db.write(|tx| store(tx, "c")).await.unwrap();
}

#[tokio::test]
async fn an_act_that_fails_after_it_wrote_leaves_nothing() {
    let db = open();
    let (first, broken, last) = tokio::join!(
        db.write(|tx| store(tx, "a")),
        db.write(|tx| {
            store(tx, "half")?;
            store(tx, "a")
        }),
        db.write(|tx| store(tx, "b")),
    );
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(broken, Err(StorageError::Conflict)));
    assert_eq!(stored(&db).await, ["a", "b"]);
}

#[tokio::test]
async fn when_an_act_ends_the_transaction_nothing_of_its_group_is_kept_or_acknowledged() {
    use diesel::connection::SimpleConnection;
    let db = open();
    // As SQLite does by itself on some errors.
    let (before, broken, after) = tokio::join!(
        db.write(|tx| store(tx, "a")),
        db.write(|tx| {
            tx.conn
                .batch_execute("ROLLBACK")
                .map_err(StorageError::from_diesel)?;
            Err::<(), _>(StorageError::Failed("out of memory".to_owned()))
        }),
        db.write(|tx| store(tx, "b")),
    );
    assert!(broken.is_err());
    let mut kept = Vec::new();
    for (outcome, key) in [(before, "a"), (after, "b")] {
        if outcome.is_ok() {
            kept.push(key);
        }
    }
    // Whatever group they were in: there is what was acknowledged, and nothing else.
    assert_eq!(stored(&db).await, kept);
    db.write(|tx| store(tx, "c")).await.unwrap();
}

#[tokio::test]
async fn a_query_that_panics_stops_no_reader() {
    let db = open();
    for _ in 0..3 {
        let broken = db.read::<(), _>(|_| panic!("as a test of the readers"));
        assert!(matches!(broken.await, Err(StorageError::Unavailable(_))));
    }
    assert!(stored(&db).await.is_empty());
}

#[tokio::test]
async fn a_group_moves_the_stream_even_if_it_needs_no_position() {
    use diesel::QueryDsl;
    let db = open();
    let end = || {
        db.read(|conn: &mut AnyConnection| {
            crate::schema::server::table
                .select(crate::schema::server::position)
                .first::<i64>(conn)
                .map_err(StorageError::from_diesel)
        })
    };
    let mut last = end().await.unwrap();
    for _ in 0..50 {
        // A commit in doubt is told by the stream's end: each group must move it.
        db.probe().await.unwrap();
        let now = end().await.unwrap();
        assert!(now > last);
        last = now;
    }
}

/// Panics where nobody expects it: when the writer drops an answer that nobody waits for.
struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        assert_ne!(std::thread::current().name(), Some("db-write"), "a trap");
    }
}

#[tokio::test]
async fn a55_a_writer_that_panics_between_acts_ends_the_process_and_hangs_nobody() {
    let failures = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&failures);
    let db = open_reporting(Box::new(move |why| {
        told.lock().unwrap().push(why.to_owned());
    }));
    let (go, wait) = std::sync::mpsc::channel();
    let act = db.write(move |tx| {
        wait.recv().unwrap();
        store(tx, "a")?;
        Ok(Trap)
    });
    // In the queue, and given up.
    tokio::select! {
        biased;
        _ = act => panic!("nobody let it go"),
        () = std::future::ready(()) => {}
    }
    let behind = db.write(|tx| store(tx, "b"));
    go.send(()).unwrap();
    assert!(behind.await.is_err());
    assert!(db.probe().await.is_err());
    assert_eq!(
        *failures.lock().unwrap(),
        ["the database failed: the writer panicked"]
    );
    db.close().await;
}
