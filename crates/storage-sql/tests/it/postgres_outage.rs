//! PostgreSQL killed under a stream of writes, and started again: in a cluster of the test's own.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection,
    sql_types::BigInt,
};
use greenroom_model::StreamPosition;
use greenroom_storage::{Direction, RoomStore, StorageError, TimelineStore};
use greenroom_storage_sql::Db;
use ruma::{OwnedEventId, OwnedRoomId};

use crate::support::{Place, Room, TestDb, skipped, user};

/// How long an operation may take to say that the database is away.
const A_FEW_SECONDS: Duration = Duration::from_secs(8);

/// A cluster that may be killed.
struct Cluster {
    programs: PathBuf,
    directory: tempfile::TempDir,
}

impl Cluster {
    fn start(programs: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        if is_root() {
            let status = Command::new("chown")
                .arg("postgres")
                .arg(directory.path())
                .status();
            assert!(status.unwrap().success());
        }
        let cluster = Self {
            programs,
            directory,
        };
        let locale = ["--locale", "C", "--encoding", "UTF8", "--no-sync"];
        let auth = ["--username", "postgres", "--auth", "trust"];
        cluster.run("initdb", &[&locale[..], &auth[..]].concat());
        cluster.start_again();
        cluster
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]);
            command.arg(self.programs.join(program));
            command
        } else {
            Command::new(self.programs.join(program))
        };
        let status = command
            .current_dir("/")
            .arg("--pgdata")
            .arg(self.directory.path().join("data"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{program} {arguments:?}");
    }

    fn start_again(&self) {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c shared_buffers=16MB",
            self.directory.path().display()
        );
        self.run("pg_ctl", &["--wait", "--options", &options, "start"]);
    }

    /// As by a power cut: nothing is finished, nothing is written back.
    fn kill(&self) {
        self.run("pg_ctl", &["--wait", "--mode", "immediate", "stop"]);
    }

    fn url(&self) -> String {
        let socket = self.directory.path().display().to_string();
        format!(
            "postgres://postgres@{}/postgres",
            socket.replace('/', "%2F")
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.directory.path().join("data/postmaster.pid").exists() {
            self.kill();
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// The programs of the server that the tests run on, where they run on PostgreSQL.
fn programs() -> Option<PathBuf> {
    Place::postgres_server()?;
    if let Ok(programs) = std::env::var("GREENROOM_TEST_POSTGRES_BIN") {
        return Some(programs.into());
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .map(|version| version.unwrap().path().join("bin"))
        .filter(|programs| programs.join("pg_ctl").exists())
        .collect();
    found.sort();
    let newest = found.pop();
    if newest.is_none() {
        skipped("where PostgreSQL's pg_ctl is, GREENROOM_TEST_POSTGRES_BIN can tell");
    }
    newest
}

/// What the writers of a test know when it is over.
#[derive(Default)]
struct Journal {
    acknowledged: Mutex<HashMap<OwnedEventId, StreamPosition>>,
    refused: Mutex<Vec<StorageError>>,
    slowest: Mutex<Duration>,
    stop: AtomicBool,
}

/// Writes message after message into one room until told to stop, each answered before the next.
async fn write(db: Db, mut room: Room, journal: Arc<Journal>) -> OwnedRoomId {
    let alice = user("alice");
    while !journal.stop.load(Ordering::Relaxed) {
        let append = room.message(&alice, "counted");
        let event_id = append.event_id.clone();
        let asked = Instant::now();
        match db.append(append).await {
            Ok(done) => {
                journal
                    .acknowledged
                    .lock()
                    .unwrap()
                    .insert(event_id, done.position);
            }
            Err(error) => {
                journal.refused.lock().unwrap().push(error);
                room.reload();
            }
        }
        let mut slowest = journal.slowest.lock().unwrap();
        *slowest = slowest.max(asked.elapsed());
    }
    room.id
}

/// Waits until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn postgresql_killed_under_writes_loses_nothing_and_stops_nothing() {
    let Some(programs) = programs() else {
        return;
    };
    let cluster = Arc::new(Cluster::start(programs));
    let db = TestDb::at(Place::on_postgres(&cluster.url()));
    let journal = Arc::new(Journal::default());
    let mut writing = Vec::new();
    for _ in 0..16 {
        let room = Room::created(&db, "room", &user("alice")).await;
        writing.push(tokio::spawn(write(
            db.db.clone(),
            room,
            Arc::clone(&journal),
        )));
    }
    let acknowledged = || journal.acknowledged.lock().unwrap().len();
    let refused = || journal.refused.lock().unwrap().len();

    for outage in 0..4 {
        let before = acknowledged();
        until(|| acknowledged() > before + 50).await;
        let refused_before = refused();
        in_background(&cluster, Cluster::kill).await;
        if outage % 2 == 0 {
            // Longer than the writer's patience.
            until(|| refused() > refused_before + 16).await;
        }
        in_background(&cluster, Cluster::start_again).await;
    }
    let before = acknowledged();
    until(|| acknowledged() > before + 50).await;
    journal.stop.store(true, Ordering::Relaxed);
    let mut rooms = Vec::new();
    for task in writing {
        rooms.push(task.await.unwrap());
    }

    assert!(refused() > 32);
    for error in journal.refused.lock().unwrap().iter() {
        let expected = matches!(
            error,
            StorageError::Unavailable(_) | StorageError::StaleHead
        );
        assert!(expected, "{error}");
    }
    let slowest = *journal.slowest.lock().unwrap();
    assert!(slowest < A_FEW_SECONDS, "{slowest:?}");
    check(&db, &rooms, &journal).await;
}

/// Every acknowledged event is there once, where it was said to be, and was announced once.
async fn check(db: &TestDb, rooms: &[OwnedRoomId], journal: &Journal) {
    let mut stored: HashMap<OwnedEventId, StreamPosition> = HashMap::new();
    for room_id in rooms {
        let end = db.watcher.position();
        let events = db.events_between(
            room_id,
            StreamPosition::START,
            end,
            Direction::Forward,
            u64::MAX,
        );
        for event in events.await.unwrap() {
            assert!(stored.insert(event.event_id, event.position).is_none());
        }
    }
    for (event_id, position) in journal.acknowledged.lock().unwrap().iter() {
        assert_eq!(stored.get(event_id), Some(position), "{event_id}");
    }
    // Announced is exactly what is stored: a commit in doubt too, if it happened.
    let announced: HashMap<_, _> = db
        .watcher
        .seen()
        .into_iter()
        .filter_map(|change| match change.kind {
            greenroom_stream::ChangeKind::Event { event, .. } => {
                Some((event.event_id.clone(), change.position))
            }
            _ => None,
        })
        .collect();
    assert_eq!(announced, stored);
}

/// Runs a step that blocks, beside the writers.
async fn in_background(cluster: &Arc<Cluster>, step: fn(&Cluster)) {
    let (done, waiting) = tokio::sync::oneshot::channel();
    let cluster = Arc::clone(cluster);
    std::thread::spawn(move || {
        step(&cluster);
        let _ = done.send(());
    });
    waiting.await.unwrap();
}

/// An administrator's connection to a database.
fn administrator(db: &TestDb) -> PgConnection {
    PgConnection::establish(&db.place.url).unwrap()
}

#[derive(QueryableByName)]
struct Backends {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Breaks the connections that wait for a standby after they have committed. Gives how many.
fn break_those_in_commit(admin: &mut PgConnection) -> i64 {
    let sql = "SELECT count(pg_terminate_backend(pid)) AS count FROM pg_stat_activity \
               WHERE wait_event = 'SyncRep' AND datname = current_database()";
    let terminated: Backends = diesel::sql_query(sql).get_result(admin).unwrap();
    terminated.count
}

/// Whether what follows on a commit in doubt waits for a standby: the commit was one of several
/// statements, and may still be seen while it is cut off.
fn waits_for_the_standby_anew(admin: &mut PgConnection) -> bool {
    let sql = "SELECT count(*) AS count FROM pg_stat_activity WHERE wait_event = 'SyncRep' \
               AND datname = current_database() AND query LIKE 'UPDATE%'";
    let waiting: Backends = diesel::sql_query(sql).get_result(admin).unwrap();
    waiting.count > 0
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_acknowledged_once_the_standby_has_it_and_announced_once()
{
    let Some(programs) = programs() else {
        return;
    };
    let cluster = Cluster::start(programs);
    let db = TestDb::at(Place::on_postgres(&cluster.url()));
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut admin = administrator(&db);
    let mut configure = |change: &str| {
        let change = format!("ALTER SYSTEM {change}");
        admin.batch_execute(&change).unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    };
    configure("SET synchronous_standby_names = 'nobody'");
    let mut appended = Vec::new();
    let mut watching = administrator(&db);
    // The first few may be committed before the new setting is everywhere.
    let in_doubt = loop {
        let append = room.message(&alice, "committed, then cut off");
        appended.push(append.event_id.clone());
        let committed = tokio::spawn(db.append(append));
        let mut broken = 0;
        while !committed.is_finished() && broken == 0 {
            broken = break_those_in_commit(&mut watching);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if broken > 0 {
            break committed;
        }
        committed.await.unwrap().unwrap();
    };
    let mut too_early = false;
    while !too_early && !waits_for_the_standby_anew(&mut watching) {
        too_early = in_doubt.is_finished();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    configure("RESET synchronous_standby_names");
    assert!(!too_early, "acknowledged, and the standby does not have it");
    in_doubt.await.unwrap().unwrap();
    let next = room.message(&alice, "goes on");
    appended.push(next.event_id.clone());
    db.append(next).await.unwrap();
    let journal = Journal::default();
    for event_id in appended {
        let stored = db.event(&event_id).await.unwrap().unwrap();
        let mut acknowledged = journal.acknowledged.lock().unwrap();
        acknowledged.insert(event_id, stored.position);
    }
    check(&db, &[room.id], &journal).await;
}

#[tokio::test]
async fn a_commit_that_was_cut_off_before_it_happened_is_refused_and_leaves_nothing() {
    let Some(server) = Place::postgres_server() else {
        return;
    };
    let db = TestDb::at(Place::on_postgres(&server));
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    // Runs at the commit, and cuts it off.
    db.place.execute(
        "CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER cut_off AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW WHEN (NEW.event_type = 'cut.off') EXECUTE FUNCTION cut_off()",
    );
    db.watcher.take();
    for _ in 0..3 {
        let doomed = room.event(&alice, "cut.off", None, serde_json::json!({}));
        let event_id = doomed.event_id.clone();
        let refused = db.append(doomed).await;
        assert!(
            matches!(refused, Err(StorageError::Unavailable(_))),
            "{refused:?}"
        );
        assert_eq!(db.event(&event_id).await.unwrap(), None);
        assert!(db.watcher.take().is_empty());
        room.reload();
        room.say(&db, &alice, "goes on").await;
        assert_eq!(db.watcher.take().len(), 1);
    }
}

#[tokio::test]
async fn reads_fail_while_postgresql_is_away_and_go_on_when_it_is_back() {
    let Some(programs) = programs() else {
        return;
    };
    let cluster = Cluster::start(programs);
    let db = TestDb::at(Place::on_postgres(&cluster.url()));
    let room = Room::created(&db, "room", &user("alice")).await;
    assert!(db.room_head(&room.id).await.unwrap().is_some());
    cluster.kill();
    for _ in 0..4 {
        let read = db.room_head(&room.id).await;
        assert!(
            matches!(read, Err(StorageError::Unavailable(_))),
            "{read:?}"
        );
    }
    assert!(matches!(
        db.probe().await,
        Err(StorageError::Unavailable(_))
    ));
    cluster.start_again();
    for _ in 0..4 {
        assert!(db.room_head(&room.id).await.unwrap().is_some());
    }
    db.probe().await.unwrap();
}
