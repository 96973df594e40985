//! The control socket: how an operator's command reaches the server that has the data directory.
//!
//! One connection is one command: a line of JSON ([`Act`]), answered by a line of JSON ([`Reply`]). Who may connect is who may
//! read the data directory. Nothing of what is said here is logged, since some of it is a password.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{fs::PermissionsExt as _, net as blocking},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use super::{Act, AdminError, Operator};
use crate::{data_dir::DataDir, shutdown::ShutdownSignal, with_causes};

/// Its name in the data directory.
const SOCKET: &str = "control.sock";
/// The longest path that a socket's address holds, on the system with the shortest (BSD: 104 bytes with the end).
const MAX_PATH_BYTES: usize = 103;
/// The longest command; a password has 512 bytes at most, and each may be escaped to six.
const MAX_COMMAND_BYTES: u64 = 16 * 1024;
/// The longest answer: a list of some 100,000 tokens.
const MAX_REPLY_BYTES: u64 = 16 * 1024 * 1024;
/// How many commands are carried out at once. The next one waits to be accepted.
const AT_ONCE: usize = 16;
/// How long the server waits for a command, once somebody has connected.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);
/// How long a command waits for its answer: leaving thousands of rooms takes a while.
const REPLY_PATIENCE: Duration = Duration::from_mins(5);
/// How long to let be after an error that may come again at once, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// It was done; this is for the operator to read.
    Done(String),
    /// It was not done, for this reason.
    Refused(String),
}

/// The server's end.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens in a data directory whose lock is held: a socket that is there already is of a process that died.
    ///
    /// # Errors
    ///
    /// If there can be no socket, for example because the file system has none.
    pub(crate) fn open(data_dir: &DataDir) -> io::Result<Self> {
        let path = data_dir.path().join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = with_short_path(data_dir, |path| blocking::UnixListener::bind(path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            path,
        })
    }

    /// Takes commands until the server is about to stop, and returns when those that were begun are done.
    pub(crate) async fn serve(self, operator: Operator, mut stop: ShutdownSignal) {
        let mut talks = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.triggered() => break,
                Some(_ended) = talks.join_next() => {}
                accepted = self.listener.accept(), if talks.len() < AT_ONCE => match accepted {
                    Ok((stream, _)) => {
                        let operator = operator.clone();
                        talks.spawn(async move {
                            if let Err(error) = talk(stream, &operator).await {
                                tracing::debug!(%error, "a command of an operator broke off");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the control socket cannot accept now");
                        actix_rt::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        // The next server would remove it too.
        let _left = fs::remove_file(&self.path);
        while talks.join_next().await.is_some() {}
    }
}

async fn talk(stream: UnixStream, operator: &Operator) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(MAX_COMMAND_BYTES));
    timeout(COMMAND_PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let reply = match serde_json::from_slice::<Act>(&line) {
        Ok(act) => match act.carry_out(operator).await {
            Ok(text) => Reply::Done(text),
            Err(error) => Reply::Refused(with_causes(&error)),
        },
        // What is wrong with it would quote it.
        Err(_) => Reply::Refused(format!(
            "the server that runs, of version {}, does not know this command",
            env!("CARGO_PKG_VERSION")
        )),
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.shutdown().await
}

/// Has the server that holds the data directory carry out an act. Blocks: a command has nothing else to do.
///
/// # Errors
///
/// [`AdminError::NotListening`] if nobody takes commands (nothing was done), [`AdminError::Refused`], or
/// [`AdminError::NoAnswer`].
pub(crate) fn ask(data_dir: &DataDir, act: &Act) -> Result<String, AdminError> {
    let mut stream = with_short_path(data_dir, |path| blocking::UnixStream::connect(path))
        .map_err(AdminError::NotListening)?;
    let mut talk = || {
        stream.set_read_timeout(Some(REPLY_PATIENCE))?;
        let mut line = serde_json::to_vec(act)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut reply = Vec::new();
        io::BufReader::new((&stream).take(MAX_REPLY_BYTES)).read_until(b'\n', &mut reply)?;
        if reply.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&reply)?)
    };
    match talk().map_err(AdminError::NoAnswer)? {
        Reply::Done(text) => Ok(text),
        Reply::Refused(reason) => Err(AdminError::Refused(reason)),
    }
}

/// Calls `with` with a path of the socket that fits into a socket's address, however deep the data directory is.
fn with_short_path<T>(
    data_dir: &DataDir,
    with: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let path = data_dir.path().join(SOCKET);
    if path.as_os_str().len() <= MAX_PATH_BYTES {
        return with(&path);
    }
    // Linux names an open directory by its number. Elsewhere this fails, as the long path would have.
    let directory = File::open(data_dir.path())?;
    let short = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    with(Path::new(&short)).map_err(|error| {
        let length = path.as_os_str().len();
        io::Error::new(
            error.kind(),
            format!("{error}; the path {} has {length} bytes, more than the {MAX_PATH_BYTES} that a socket's may have", path.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_dir(folder: &tempfile::TempDir, name: &str) -> DataDir {
        DataDir::open(&folder.path().join(name)).unwrap()
    }

    #[actix_rt::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_only_its_owner_can_connect() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = data_dir(&folder, "data");
        drop(Control::open(&data_dir).unwrap());
        let path = data_dir.path().join(SOCKET);
        assert!(path.exists(), "what a killed process leaves");
        let _control = Control::open(&data_dir).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[actix_rt::test]
    async fn a_directory_deeper_than_a_socket_address_is_long_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = data_dir(&folder, &"deep/".repeat(60));
        let control = Control::open(&data_dir).unwrap();
        let asking = std::thread::spawn({
            let data_dir = data_dir.clone();
            move || with_short_path(&data_dir, |path| blocking::UnixStream::connect(path)).is_ok()
        });
        control.listener.accept().await.unwrap();
        assert!(asking.join().unwrap());
    }

    #[actix_rt::test]
    async fn where_nobody_listens_nothing_was_done() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = data_dir(&folder, "data");
        let none = ask(&data_dir, &Act::Migrate {});
        assert!(matches!(none, Err(AdminError::NotListening(_))));
        drop(Control::open(&data_dir).unwrap());
        let dead = ask(&data_dir, &Act::Migrate {});
        assert!(matches!(dead, Err(AdminError::NotListening(_))));
    }

    #[test]
    fn commands_survive_the_wire_and_unknown_ones_are_not_guessed() {
        let act = Act::CreateUser {
            name: "alice".to_owned(),
            password: "a\nb\"ü".to_owned(),
            admin: true,
        };
        let text = serde_json::to_string(&act).unwrap();
        assert!(!text.contains('\n'), "{text}");
        let Act::CreateUser { password, .. } = serde_json::from_str(&text).unwrap() else {
            panic!("{text}");
        };
        assert_eq!(password, "a\nb\"ü");
        for unknown in [
            r#"{"launch":{}}"#,
            r#"{"migrate":{"back":true}}"#,
            "{}",
            "create",
        ] {
            assert!(serde_json::from_str::<Act>(unknown).is_err(), "{unknown}");
        }
    }
}
