//! The disk is full.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use greenroom_tests::TestServer;

use crate::journal::Shelf;
use crate::outage::works_again;
use crate::random::{Random, seed};
use crate::reading::compare;
use crate::swarm::{Interruption, Swarm};
use crate::world::World;
use crate::{alone, say, times};

/// Unmounts when its input ends: with the test, however that ends.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat
umount --lazy -- "$1"
rmdir -- "$1"
"#;

/// So that the disk is full for one write and not for another: bytes.
const MOST_SLACK: u64 = 64 * 1024;

/// Room for the database and for the longest write-ahead log that the server lets grow (64 MiB)
/// before it copies it into the database.
const SIZE: &str = "size=192m";

/// A small disk of one's own.
struct SmallDisk {
    path: PathBuf,
    janitor: Child,
}

impl SmallDisk {
    fn mount() -> Self {
        let path = tempfile::Builder::new()
            .prefix("greenroom-disk-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "greenroom-crash"])
            .arg(&path)
            .status()
            .expect("mount");
        if !status.success() {
            std::fs::remove_dir(&path).expect("made above");
            panic!(
                "a full disk needs a small one, and mounting needs root; \
                 GREENROOM_CRASH_NO_MOUNT=1 goes without"
            );
        }
        let janitor = Command::new("sh")
            .args(["-c", SCRIPT, "greenroom-unmount"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell");
        Self { path, janitor }
    }

    /// Takes all the room that is left, but for this many bytes.
    fn fill(&self, slack: u64) -> PathBuf {
        let ballast = self.path.join("ballast");
        let mut file = File::create(&ballast).expect("an empty file has room");
        let mut block = vec![0x5a_u8; 64 * 1024];
        while !block.is_empty() {
            match file.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    block.truncate(block.len() / 2);
                }
                Err(error) => panic!("the ballast: {error}"),
            }
        }
        let length = file.metadata().expect("an open file").len();
        file.set_len(length.saturating_sub(slack))
            .expect("a shorter file");
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        // Where it fails there is a mount left, which is for a human.
        let _status = self.janitor.wait();
    }
}

/// Everybody can be refused only if there really is no room: the server may have kept some.
async fn all_are_refused(swarm: &Swarm) {
    swarm
        .reaches("every writer is refused", |progress| {
            progress.waiting.iter().all(|waiting| *waiting)
        })
        .await;
}

/// What a person at the screen would do meanwhile.
async fn reads_go_on(server: &TestServer, world: &World) {
    let reader = &world.writers[0];
    reader.sync("").await;
    reader.sync("timeout=0&full_state=true").await;
    for path in [
        "account/whoami",
        "joined_rooms",
        "pushrules/",
        "publicRooms",
    ] {
        reader.get(path).await.expect_ok();
    }
    let live = server.anonymous().get("/health/live").await;
    assert_eq!(live.status, 200, "{}", live.describe());
}

/// The data directory of a server on this disk.
fn data_on(disk: &Path) -> PathBuf {
    disk.join("data")
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_disk_is_full() {
    let _alone = alone().await;
    if times("GREENROOM_CRASH_NO_MOUNT", 0) != 0 {
        say!("GREENROOM_CRASH_NO_MOUNT is set: no small disk to fill");
        return;
    }
    if std::env::var_os("GREENROOM_TEST_POSTGRES_URL").is_some() {
        say!("the data is not in the data directory: nothing to test");
        return;
    }
    let seed = seed();
    let fills = times("GREENROOM_CRASH_FILLS", 2);
    say!("the disk is filled {fills} times, GREENROOM_CRASH_SEED={seed}");
    let disk = SmallDisk::mount();
    let server = TestServer::builder()
        .flag("--workers", "2")
        .data_dir(&data_on(&disk.path))
        .start()
        .await;
    let pid = server.pid();
    let shelf = Shelf::new();
    let world = World::create(&server).await;
    let mut swarm = Swarm::start(&world, shelf.path(), seed, Interruption::DiskFull).await;
    let mut random = Random::new(seed, 0);
    for _ in 0..fills {
        swarm.works(10).await;
        swarm.interrupt();
        let ballast = disk.fill(random.below(MOST_SLACK));
        all_are_refused(&swarm).await;
        reads_go_on(&server, &world).await;
        let findings = compare(&world, &swarm.history(), None).await;
        findings.report("while the disk is full");
        std::fs::remove_file(ballast).expect("the ballast");
        works_again(&world).await;
        swarm.resume().await;
    }
    swarm.works(10).await;
    let outcome = swarm.finish().await;
    say!("acknowledged: {:?}", outcome.progress.acked_by_kind);
    say!("refused: {:?}", outcome.progress.refused);
    let findings = compare(&world, &outcome.history, Some(&outcome.watched)).await;
    findings.report(&format!("after {fills} full disks, seed {seed}"));
    assert_eq!(server.pid(), pid, "the server was not restarted");
    // It starts even where it cannot write a byte.
    let ballast = disk.fill(0);
    server.kill9().await;
    server.restart().await;
    reads_go_on(&server, &world).await;
    let findings = compare(&world, &outcome.history, Some(&outcome.watched)).await;
    findings.report("killed and started while the disk is full");
    std::fs::remove_file(ballast).expect("the ballast");
    works_again(&world).await;
    server.stop().await;
}
