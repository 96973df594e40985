//! SQLite on a disk that fills up: writes fail and say so, reads go on, and when there is room
//! again, writes go on without a restart.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use greenroom_storage::{Direction, RoomStore, StorageError, TimelineStore};
use greenroom_storage_sql::{DatabaseUrl, Db, DbOptions};
use greenroom_stream::ChangeStream;
use ruma::OwnedEventId;

use crate::support::{Room, SERVER, skipped, user};

/// A small file system in memory, gone when this is dropped.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("greenroom-test")
            .arg(directory.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self { directory })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Fills what is left.
fn fill(path: &Path) {
    let mut size = 1 << 20;
    let mut ballast: Vec<u8> = Vec::new();
    while size >= 512 {
        ballast.resize(ballast.len() + size, 7);
        if fs::write(path, &ballast).is_err() {
            ballast.truncate(ballast.len() - size);
            size /= 2;
        }
    }
}

async fn messages(db: &Db, room: &Room) -> Vec<OwnedEventId> {
    let end = db.stream().position();
    let events = db.events_between(
        &room.id,
        greenroom_model::StreamPosition::START,
        end,
        Direction::Forward,
        u64::MAX,
    );
    let events = events.await.unwrap();
    events
        .into_iter()
        .filter(|event| event.event_type == "m.room.message")
        .map(|event| event.event_id)
        .collect()
}

#[tokio::test]
async fn on_a_full_disk_writes_fail_and_reads_go_on_and_nothing_acknowledged_is_lost() {
    let Some(disk) = SmallDisk::mount("4m") else {
        skipped("a small file system cannot be mounted here (it takes root)");
        return;
    };
    let failures = Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let open = || {
        let failures = Arc::clone(&failures);
        let options = DbOptions {
            url: DatabaseUrl::Sqlite(disk.path().join("test.db")),
            server_name: SERVER.to_owned(),
            readers: 2,
            scrub_after: Duration::from_mins(1),
            on_disk_failure: Box::new(move |why| failures.lock().unwrap().push(why.to_owned())),
        };
        Db::open(options, ChangeStream::new()).unwrap()
    };
    let db = open();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut acknowledged = Vec::new();
    let body = "x".repeat(2_000);

    for round in 0..3 {
        // Until it is full by the server's own doing, or by somebody else's.
        let ballast = disk.path().join("ballast");
        if round > 0 {
            fill(&ballast);
        }
        let mut refused = 0;
        while refused < 20 {
            let burst: Vec<_> = (0..10)
                .map(|_| {
                    let append = room.message(&alice, &body);
                    (append.event_id.clone(), db.append(append))
                })
                .collect();
            for (event_id, committed) in burst {
                match committed.await {
                    Ok(_) => acknowledged.push(event_id),
                    Err(StorageError::Unavailable(_) | StorageError::StaleHead) => {
                        refused += 1;
                        room.reload();
                    }
                    Err(other) => panic!("round {round}: {other}"),
                }
            }
        }
        // What is left is too little for one.
        loop {
            let append = room.message(&alice, &body);
            let event_id = append.event_id.clone();
            match db.append(append).await {
                Ok(_) => acknowledged.push(event_id),
                Err(StorageError::Unavailable(_)) => break,
                Err(other) => panic!("round {round}: {other}"),
            }
        }
        room.reload();
        assert_eq!(messages(&db, &room).await, acknowledged);

        if round == 0 {
            // Room again: on a disk that is larger, as an operator would give it.
            let larger = Command::new("mount")
                .args(["-o", "remount,size=12m"])
                .arg(disk.path())
                .status();
            assert!(larger.unwrap().success());
        } else {
            fs::remove_file(&ballast).unwrap();
        }
        let append = room.message(&alice, &body);
        acknowledged.push(append.event_id.clone());
        db.append(append).await.unwrap();
        assert_eq!(messages(&db, &room).await, acknowledged);
    }
    assert!(failures.lock().unwrap().is_empty());
    db.close().await;
    drop(db);
    let db = open();
    assert_eq!(messages(&db, &room).await, acknowledged);
    db.close().await;
}
