//! Whether what is committed goes into the files that the next start will read.
//!
//! SQLite goes on writing to files that somebody has removed or replaced (a clean-up, a backup put
//! back under a running server), and says that all is well. What it commits there is gone with the
//! process.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use greenroom_storage::StorageError;

use crate::connection::DatabaseUrl;

/// A file, whatever its name is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The files of a SQLite database as they were opened. A server has none.
pub(super) struct Files(Option<Opened>);

struct Opened {
    database: Known,
    log: Known,
}

struct Known {
    path: PathBuf,
    identity: Option<Identity>,
}

impl Files {
    /// Those of a database that has just been opened.
    pub(super) fn of(url: &DatabaseUrl) -> Self {
        let DatabaseUrl::Sqlite(path) = url else {
            return Self(None);
        };
        let mut log = OsString::from(path);
        log.push("-wal");
        Self(Some(Opened {
            database: Known::new(path.clone()),
            log: Known::new(log.into()),
        }))
    }

    /// The connection is closed. SQLite removes the log with the last one.
    pub(super) fn closed(&mut self) {
        if let Some(opened) = &mut self.0 {
            opened.log.identity = None;
        }
    }

    /// Refuses what went into files that are no longer there.
    pub(super) fn check(&mut self) -> Result<(), StorageError> {
        let Some(opened) = &mut self.0 else {
            return Ok(());
        };
        for known in [&mut opened.database, &mut opened.log] {
            if !known.is_in_place() {
                return Err(StorageError::Failed(format!(
                    "{} was removed or replaced while it was in use",
                    known.path.display()
                )));
            }
        }
        Ok(())
    }
}

impl Known {
    fn new(path: PathBuf) -> Self {
        let identity = identity(&path);
        Self { path, identity }
    }

    fn is_in_place(&mut self) -> bool {
        let now = identity(&self.path);
        if self.identity.is_none() {
            self.identity = now;
        }
        now.is_some() && now == self.identity
    }
}

/// After every commit this is asked for both files, so it must not ask for their times: to a kernel
/// that tells apart what happens between two such questions (Linux from 6.13 on), every write after
/// one changes the file's time anew, and each commit would have to write that down as well, for
/// a third of its time.
#[cfg(target_os = "linux")]
fn identity(path: &Path) -> Option<Identity> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};

    match statx(CWD, path, AtFlags::empty(), StatxFlags::INO) {
        Ok(found) => Some(Identity {
            device: makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        }),
        // A sandbox may not know the call.
        Err(_) => all_metadata(path),
    }
}

#[cfg(not(target_os = "linux"))]
fn identity(path: &Path) -> Option<Identity> {
    all_metadata(path)
}

fn all_metadata(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}
