//! Cleans up after a server even when the test process is killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use std::os::unix::process::CommandExt;

/// Reads the server's process id from its input, a line each; an empty line when there is none.
/// The input ends when the test process is gone, however it went.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pid=
while read -r line; do pid=$line; done
[ -z "$pid" ] || kill -9 "$pid"
[ -n "$GREENROOM_TEST_KEEP" ] && exit
rm -rf -- "$1"
[ -z "$2" ] || psql -qX -d "$2" -c "DROP DATABASE IF EXISTS \"$3\" WITH (FORCE)"
"#;

/// A small process that outlives the test process by a moment, kills the server and removes what
/// it wrote. (Statics are never dropped, and a test run can be interrupted.)
#[derive(Debug)]
pub(crate) struct Janitor {
    input: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Janitor {
    /// `database` is a server to connect to and the name of the database to drop there.
    pub(crate) fn hire(directory: &Path, database: Option<(&str, &str)>) -> Self {
        let (admin_url, name) = database.unwrap_or_default();
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "greenroom-janitor"])
            .arg(directory)
            .args([admin_url, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let input = child.stdin.take();
        Self {
            input: Mutex::new(input),
            child: Mutex::new(child),
        }
    }

    /// Names the process to kill at the end, or that there is none now.
    pub(crate) fn watch(&self, pid: Option<u32>) {
        let line = pid.map_or_else(|| "\n".to_owned(), |pid| format!("{pid}\n"));
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = input.as_mut() {
            input
                .write_all(line.as_bytes())
                .expect("the janitor is alive");
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(
            self.input
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        // Waiting keeps the number of servers and databases at one time at the number of tests.
        let _status = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}
