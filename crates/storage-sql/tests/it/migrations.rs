//! Migrations: the same on both engines, and each undone by its opposite.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use diesel::{
    QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{Nullable, Text},
};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use greenroom_storage_sql::{DatabaseUrl, Db};

use crate::support::{Place, SERVER, TestDb};

fn tree(engine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../migrations")
        .join(engine)
}

fn names(engine: &str) -> BTreeSet<String> {
    fs::read_dir(tree(engine))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[derive(QueryableByName, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    definition: Option<String>,
}

/// Everything that migrations make, as text. Diesel's own table stays.
fn dump(place: &Place) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = if place.is_sqlite() {
        let sql = "SELECT name, sql AS definition FROM sqlite_schema \
                   WHERE name NOT LIKE '\\_\\_diesel%' ESCAPE '\\' \
                   AND tbl_name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'";
        diesel::sql_query(sql).load(&mut place.sqlite()).unwrap()
    } else {
        let columns = "SELECT table_name || '.' || column_name AS name, \
             data_type || ' ' || is_nullable || ' ' || coalesce(collation_name, '') AS definition \
             FROM information_schema.columns WHERE table_schema = 'public' \
             AND table_name <> '__diesel_schema_migrations'";
        let indexes = "SELECT indexname AS name, indexdef AS definition FROM pg_indexes \
             WHERE schemaname = 'public' AND tablename <> '__diesel_schema_migrations'";
        let constraints = "SELECT conname AS name, pg_get_constraintdef(oid) AS definition \
             FROM pg_constraint WHERE conrelid::regclass::text <> '__diesel_schema_migrations' \
             AND connamespace = 'public'::regnamespace";
        let mut conn = place.postgres();
        [columns, indexes, constraints]
            .into_iter()
            .flat_map(|sql| -> Vec<Piece> { diesel::sql_query(sql).load(&mut conn).unwrap() })
            .collect()
    };
    pieces.sort();
    pieces
}

/// Runs `step` on the migrations of this engine, from the files.
fn migrate(place: &Place, up: bool) {
    fn run<C, DB>(conn: &mut C, engine: &str, up: bool)
    where
        DB: diesel::backend::Backend,
        C: MigrationHarness<DB>,
    {
        let source = FileBasedMigrations::from_path(tree(engine)).unwrap();
        if up {
            conn.run_pending_migrations(source).unwrap();
        } else {
            conn.revert_all_migrations(source).unwrap();
        }
    }
    if place.is_sqlite() {
        run(&mut place.sqlite(), "sqlite", up);
    } else {
        run(&mut place.postgres(), "postgres", up);
    }
}

#[test]
fn up_down_and_up_again_give_the_same_tables() {
    let place = Place::new();
    migrate(&place, true);
    let first = dump(&place);
    assert!(first.len() > 20);
    migrate(&place, false);
    assert_eq!(dump(&place), []);
    migrate(&place, true);
    assert_eq!(dump(&place), first);
}

#[test]
fn both_trees_have_the_same_migrations() {
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
    // Of two with one number only one would run.
    let mut numbers: Vec<&str> = sqlite
        .iter()
        .filter_map(|name| name.split('_').next())
        .collect();
    numbers.dedup();
    assert_eq!(numbers.len(), sqlite.len(), "{sqlite:?}");
    for name in sqlite {
        for engine in ["sqlite", "postgres"] {
            for file in ["up.sql", "down.sql"] {
                let path = tree(engine).join(&name).join(file);
                assert!(path.is_file(), "{}", path.display());
            }
        }
    }
}

#[test]
fn both_trees_make_the_same_columns_and_indexes() {
    // Read as SQL text, so that it holds whichever engine is at hand.
    fn statements(engine: &str) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        for name in names(engine) {
            let sql = fs::read_to_string(tree(engine).join(name).join("up.sql")).unwrap();
            let sql: String = sql
                .lines()
                .map(|line| line.split("--").next().unwrap_or_default())
                .collect::<Vec<_>>()
                .join(" ");
            // The index of words is each engine's own.
            let own = ["search_index", "search_entries"];
            let shared = sql.split(';').filter(|text| !text.trim().is_empty());
            for statement in shared.filter(|text| !own.iter().any(|name| text.contains(name))) {
                let same = statement
                    .replace("COLLATE \"C\"", "")
                    .replace("BYTEA", "BLOB")
                    .replace("WITHOUT ROWID", "")
                    .replace("INTEGER", "BIGINT")
                    .replace([',', '(', ')'], " ");
                let words: Vec<String> = same.split_whitespace().map(ToOwned::to_owned).collect();
                found.insert(words[..4].join(" "), words);
            }
        }
        found
    }
    assert_eq!(statements("sqlite"), statements("postgres"));
}

#[test]
fn every_text_column_of_postgresql_compares_bytes() {
    for name in names("postgres") {
        let sql = fs::read_to_string(tree("postgres").join(name).join("up.sql")).unwrap();
        for line in sql.lines() {
            let code = line.split("--").next().unwrap_or_default();
            let column = code.split_whitespace().nth(1) == Some("TEXT");
            assert!(!column || code.contains("COLLATE \"C\""), "{line}");
        }
    }
}

#[tokio::test]
async fn pending_migrations_are_named_and_not_run() {
    let place = Place::new();
    let url = DatabaseUrl::parse(&place.url).unwrap();
    let engine = if place.is_sqlite() {
        "sqlite"
    } else {
        "postgres"
    };
    let pending: BTreeSet<String> = Db::pending_migrations(&url).unwrap().into_iter().collect();
    assert_eq!(pending, names(engine));
    assert_eq!(dump(&place), []);
    let db = TestDb::at(place);
    assert!(Db::pending_migrations(&url).unwrap().is_empty());
    db.close().await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_untouched() {
    let db = TestDb::new();
    db.close().await;
    let TestDb { db, place, .. } = db;
    drop(db);
    let before = dump(&place);
    place.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    let error = place.open(SERVER).err().unwrap();
    assert!(error.to_string().contains("newer version"), "{error}");
    let url = DatabaseUrl::parse(&place.url).unwrap();
    let error = Db::pending_migrations(&url).err().unwrap();
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(dump(&place), before);
    place.execute("DELETE FROM __diesel_schema_migrations WHERE version = '29990101000000'");
    assert!(place.open(SERVER).is_ok());
}

#[tokio::test]
async fn a_check_finds_a_damaged_file() {
    let place = Place::on_sqlite();
    let url = DatabaseUrl::parse(&place.url).unwrap();
    let db = TestDb::at(place);
    Db::check(&url).unwrap();
    db.close().await;
    let TestDb { db, place, .. } = db;
    drop(db);
    let mut conn = place.sqlite();
    conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(conn);
    let mut bytes = fs::read(place.file()).unwrap();
    let (_, behind_the_schema) = bytes.split_at_mut(4096 * 5);
    behind_the_schema.fill(0xA5);
    fs::write(place.file(), bytes).unwrap();
    assert!(Db::check(&url).is_err());
}
