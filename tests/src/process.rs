//! One run of the server's process, and what it wrote to its log.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::DEADLINE;

/// More lines than a test reads; enough to find out why it failed.
const KEPT_LINES: usize = 20_000;

/// The log of a server over all its runs on one data directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    pub(crate) fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What is known of the process so far.
#[derive(Debug, Clone, Default)]
struct Stage {
    /// The fields of the log event that says the server is ready.
    ready: Option<Value>,
    /// How the process ended.
    exit: Option<ExitStatus>,
}

/// A running server process.
///
/// A thread of its own reads its log and waits for its end, so that the handle may be used from
/// the runtimes of several tests.
#[derive(Debug, Clone)]
pub(crate) struct ServerProcess {
    pid: Pid,
    stage: watch::Receiver<Stage>,
}

impl ServerProcess {
    /// Starts the command; its log goes to `log`.
    pub(crate) fn spawn(mut command: Command, log: Log) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let (sender, stage) = watch::channel(Stage::default());
        thread::spawn(move || mind(&mut child, &log, &sender));
        Self { pid, stage }
    }

    /// The fields of the ready event, or `None` if the process ended before it was ready.
    pub(crate) async fn ready(&self) -> Option<Value> {
        let reached = |stage: &Stage| stage.ready.is_some() || stage.exit.is_some();
        self.reaches("ready", reached).await.ready
    }

    /// Waits for the end of the process.
    pub(crate) async fn exited(&self) -> ExitStatus {
        let stage = self.reaches("gone", |stage| stage.exit.is_some()).await;
        stage.exit.expect("waited for it")
    }

    async fn reaches(&self, what: &str, reached: impl FnMut(&Stage) -> bool) -> Stage {
        let mut stage = self.stage.clone();
        let waiting = timeout(DEADLINE, stage.wait_for(reached)).await;
        let stage = waiting.unwrap_or_else(|_| panic!("the server was not {what} in time"));
        stage
            .expect("the minding thread lives until the exit")
            .clone()
    }

    /// Whether the process has ended.
    pub(crate) fn has_exited(&self) -> bool {
        self.stage.borrow().exit.is_some()
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.has_exited() {
            // It may end at this very moment: then there is nobody to signal, which is as well.
            let _already_gone = kill_process(self.pid, signal);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }
}

/// Reads the log to its end, then waits for the process.
fn mind(child: &mut Child, log: &Log, stage: &watch::Sender<Stage>) {
    if let Some(stderr) = child.stderr.take() {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if stage.borrow().ready.is_none()
                && let Some(fields) = ready_fields(&text)
            {
                stage.send_modify(|stage| stage.ready = Some(fields));
            }
            log.push(text);
        }
    }
    let exit = child.wait().expect("the server is a child of this process");
    stage.send_modify(|stage| stage.exit = Some(exit));
}

/// The fields of the ready event, if this line is it.
fn ready_fields(line: &str) -> Option<Value> {
    let mut event: Value = serde_json::from_str(line).ok()?;
    let fields = event.get_mut("fields")?.take();
    (fields["message"] == "greenroom is ready").then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::ready_fields;

    #[test]
    fn the_ready_event_is_found_among_other_lines() {
        assert_eq!(ready_fields("Segmentation fault"), None);
        assert_eq!(
            ready_fields(r#"{"level":"INFO","fields":{"message":"migrated"}}"#),
            None
        );
        let line = r#"{"fields":{"message":"greenroom is ready","url":"http://127.0.0.1:1"}}"#;
        assert_eq!(
            ready_fields(line).expect("ready")["url"],
            "http://127.0.0.1:1"
        );
    }
}
