//! The data directory: what Greenroom must not lose and nobody else may read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

const LOCK_FILE: &str = "lock";

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error("could not create the data directory {}: {cause}", path.display())]
    Create { path: PathBuf, cause: io::Error },
    #[error("cannot write to the data directory {}: {cause}. It must belong to the user that runs greenroom", path.display())]
    NotWritable { path: PathBuf, cause: io::Error },
    #[error("the data directory {} is in use by another greenroom process", path.display())]
    InUse { path: PathBuf },
    #[error("could not write {}: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
}

/// A data directory that exists and can be written to.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// While this exists, no other process gets the lock of the same data directory. The system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct DataDirLock {
    _file: File,
}

impl DataDir {
    /// Creates the directory where there is none, for this user alone, and takes away what others may do in it.
    ///
    /// # Errors
    ///
    /// If it cannot be created or written to.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let not_writable = |cause| DataDirError::NotWritable {
            path: path.to_owned(),
            cause,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|cause| DataDirError::Create {
                path: path.to_owned(),
                cause,
            })?;
        let mode = fs::metadata(path)
            .map_err(not_writable)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            // Not ours to change where somebody else owns it; then it is as open as its owner wants it.
            match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "closed the data directory to other users");
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "other users can read the data directory");
                }
            }
        }
        let data_dir = Self {
            path: path.to_owned(),
        };
        data_dir.open_private(LOCK_FILE).map_err(not_writable)?;
        Ok(data_dir)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps other processes that ask for it out until the lock is dropped.
    ///
    /// # Errors
    ///
    /// [`DataDirError::InUse`] if another process has it.
    pub(crate) fn lock(&self) -> Result<DataDirLock, DataDirError> {
        let not_writable = |cause| DataDirError::NotWritable {
            path: self.path.clone(),
            cause,
        };
        let file = self.open_private(LOCK_FILE).map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => Ok(DataDirLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(cause)) => Err(not_writable(cause)),
        }
    }

    /// The path of a file that exists and that only this user can read: where there was none, it is empty.
    ///
    /// For programs that create files by their own rules, such as SQLite: an empty file is an empty database to it.
    ///
    /// # Errors
    ///
    /// If it can be neither opened nor created.
    pub(crate) fn private_file(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        match self.open_private(name) {
            Ok(_) => Ok(path),
            Err(cause) => Err(DataDirError::Write { path, cause }),
        }
    }

    /// Writes a file that only this user can read: after a crash it has the old content or the new, on disk and whole.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then the old one, if any, is as it was.
    pub(crate) fn write_private(&self, name: &str, content: &[u8]) -> Result<(), DataDirError> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!("{name}.new"));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            // A file left over from a crash may have been created by somebody else.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|cause| DataDirError::Write {
            path: path.clone(),
            cause,
        })
    }

    fn open_private(&self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_it_creates_is_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&folder.path().join("a/b")).unwrap();
        data_dir.write_private("key", b"secret").unwrap();
        assert_eq!(mode(data_dir.path()), 0o700);
        assert_eq!(mode(&data_dir.path().join("key")), 0o600);
        assert_eq!(mode(&data_dir.private_file("greenroom.db").unwrap()), 0o600);
        assert_eq!(fs::read(data_dir.path().join("key")).unwrap(), b"secret");
    }

    #[test]
    fn a_directory_that_others_could_read_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        DataDir::open(folder.path()).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
    }

    #[test]
    fn a_file_that_is_there_keeps_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        data_dir.write_private("greenroom.db", b"rows").unwrap();
        let path = data_dir.private_file("greenroom.db").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"rows");
    }

    #[test]
    fn two_cannot_hold_the_lock_but_one_after_the_other_can() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        let lock = data_dir.lock().unwrap();
        assert!(matches!(
            DataDir::open(folder.path()).unwrap().lock(),
            Err(DataDirError::InUse { .. })
        ));
        drop(lock);
        data_dir.lock().unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, "").unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("data directory") && error.contains(&path.display().to_string()),
            "{error}"
        );
    }
}
