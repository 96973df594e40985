//! PostgreSQL is stopped and started under load.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use greenroom_tests::{DEADLINE, TestServer, encode};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::journal::Shelf;
use crate::random::seed;
use crate::reading::compare;
use crate::swarm::{Interruption, Swarm};
use crate::world::World;
use crate::{alone, say, times};

/// Within this a write must have been refused, or it was not refused clearly.
const SOON: Duration = Duration::from_secs(10);

/// The cluster that the tests run on, where they may stop it.
#[derive(Clone)]
struct Cluster {
    data: PathBuf,
    programs: PathBuf,
}

impl Cluster {
    fn of_the_run() -> Option<Self> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        path("GREENROOM_TEST_POSTGRES_URL")?;
        Some(Self {
            data: path("GREENROOM_TEST_POSTGRES_DATA")?,
            programs: path("GREENROOM_TEST_POSTGRES_BIN")?,
        })
    }

    fn control(&self, arguments: &[&str]) {
        let pg_ctl = self.programs.join("pg_ctl");
        // PostgreSQL refuses to run as root.
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(pg_ctl);
            command
        } else {
            Command::new(pg_ctl)
        };
        command.current_dir("/").arg("--pgdata").arg(&self.data);
        command.arg("--wait").arg("--silent").args(arguments);
        let status = command.status().expect("pg_ctl");
        assert!(status.success(), "pg_ctl {arguments:?}: {status}");
    }

    /// Stops it at once, as a crash would, while the swarm goes on.
    async fn stop(&self) -> Stopped {
        let cluster = self.clone();
        aside(move || cluster.control(&["--mode", "immediate", "stop"])).await;
        Stopped(Some(self.clone()))
    }

    fn start(&self) {
        let log = self.data.join("../log");
        self.control(&["--log", &log.to_string_lossy(), "start"]);
    }
}

/// Runs what blocks on a thread of its own, to its end.
async fn aside(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = oneshot::channel();
    thread::spawn(move || {
        work();
        // Nobody waits for it where the test is failing.
        let _ = done.send(());
    });
    wait.await.expect("the work does not panic");
}

/// Started again however a test ends, for the tests after it.
struct Stopped(Option<Cluster>);

impl Stopped {
    async fn start(mut self) {
        if let Some(cluster) = self.0.take() {
            aside(move || cluster.start()).await;
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(cluster) = self.0.take() {
            cluster.start();
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_postgresql_stops_and_starts() {
    let _alone = alone().await;
    let Some(cluster) = Cluster::of_the_run() else {
        say!("not on a PostgreSQL that may be stopped: nothing to test");
        return;
    };
    let seed = seed();
    let outages = times("GREENROOM_CRASH_OUTAGES", 4);
    say!("{outages} outages, GREENROOM_CRASH_SEED={seed}");
    let server = TestServer::builder().flag("--workers", "2").start().await;
    let pid = server.pid();
    let shelf = Shelf::new();
    let world = World::create(&server).await;
    let mut swarm = Swarm::start(&world, shelf.path(), seed, Interruption::DatabaseGone).await;
    for outage in 0..outages {
        swarm.works(10).await;
        swarm.interrupt();
        let stopped = cluster.stop().await;
        // Every other one is over before writes are refused: commits under way may be answered
        // late, by what the database says when it is back.
        if outage % 2 == 0 {
            refuses_clearly(&server, &world, &swarm).await;
        }
        stopped.start().await;
        let back = Instant::now();
        works_again(&world).await;
        say!("works again after {} ms", back.elapsed().as_millis());
        swarm.resume().await;
    }
    swarm.works(10).await;
    let outcome = swarm.finish().await;
    say!("acknowledged: {:?}", outcome.progress.acked_by_kind);
    say!("refused: {:?}", outcome.progress.refused);
    let findings = compare(&world, &outcome.history, Some(&outcome.watched)).await;
    findings.report(&format!("after {outages} outages, seed {seed}"));
    assert_eq!(server.pid(), pid, "the server was not restarted");
    server.kill9().await;
    server.restart().await;
    let findings = compare(&world, &outcome.history, Some(&outcome.watched)).await;
    findings.report("after a kill");
}

/// What clients see while the database is away.
async fn refuses_clearly(server: &TestServer, world: &World, swarm: &Swarm) {
    let gone = Instant::now();
    swarm
        .reaches("every writer is refused", |progress| {
            progress.waiting.iter().all(|waiting| *waiting)
        })
        .await;
    say!("all are refused after {} ms", gone.elapsed().as_millis());
    let content = json!({"msgtype": "m.text", "body": "anybody there?"});
    let path = format!("rooms/{}/send/m.room.message/probe", encode(&world.door));
    let probe = timeout(SOON, world.witness.put(&path, content)).await;
    let refused = probe.expect("an answer soon");
    refused.expect_error(503, "M_UNKNOWN");
    let ready = server.anonymous().get("/health/ready").await;
    assert_eq!(ready.status, 503, "{}", ready.describe());
}

/// Asks until a write succeeds; each answer tells at once whether it does.
pub async fn works_again(world: &World) {
    let asking = async {
        loop {
            let user = encode(&world.witness.user_id);
            let path = format!("user/{user}/account_data/com.example.probe");
            let answer = world.witness.put(&path, json!({})).await;
            if answer.status == 200 {
                return;
            }
            answer.expect_error(503, "M_UNKNOWN");
        }
    };
    timeout(DEADLINE, asking).await.expect("work resumes");
}
