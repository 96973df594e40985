//! What was intended and what was acknowledged, on disk before anything else happens.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::act::Act;
use crate::say;

/// How the server acknowledged an act.
#[derive(Debug, Clone)]
pub struct Ack {
    /// The event or the room, where the answer names one.
    pub id: Option<String>,
    /// How many times the client had to ask.
    pub tries: u64,
    /// After how many interruptions the answer came.
    pub generation: u64,
}

/// An act and what became of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// What was intended.
    pub act: Act,
    /// None if nobody knows whether it was done.
    pub ack: Option<Ack>,
}

struct Entry {
    line: Value,
    written: oneshot::Sender<()>,
}

/// Appends to the journal. One thread writes, so that one fsync serves all who wait.
#[derive(Clone)]
pub struct Journal {
    entries: mpsc::Sender<Entry>,
    path: PathBuf,
}

impl Journal {
    /// A new journal in this directory.
    pub fn create(directory: &Path) -> Self {
        let path = directory.join("journal");
        let file = File::create(&path).expect("the journal");
        let (entries, waiting) = mpsc::channel();
        thread::spawn(move || write(file, &waiting));
        Self { entries, path }
    }

    /// The act is about to be asked for.
    pub async fn intend(&self, act: &Act) {
        self.append(act.to_json()).await;
    }

    /// The act was acknowledged.
    pub async fn acknowledge(&self, act: &Act, ack: &Ack) {
        self.append(json!({
            "writer": act.writer,
            "act": act.number,
            "id": ack.id,
            "tries": ack.tries,
            "generation": ack.generation,
        }))
        .await;
    }

    async fn append(&self, line: Value) {
        let (written, wait) = oneshot::channel();
        self.entries
            .send(Entry { line, written })
            .expect("the journal's thread");
        wait.await.expect("the journal's thread");
    }

    /// Reads the journal back from disk: what each writer did, in order.
    pub fn read(&self) -> BTreeMap<usize, Vec<Record>> {
        let text = fs::read_to_string(&self.path).expect("the journal");
        let mut records: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of the journal");
            if let Some(act) = Act::from_json(&line) {
                let of_writer = records.entry(act.writer).or_default();
                of_writer.push(Record { act, ack: None });
                continue;
            }
            let writer = line["writer"].as_u64().expect("a writer");
            let of_writer = records.get_mut(&usize::try_from(writer).expect("small"));
            let last = of_writer
                .and_then(|records| records.last_mut())
                .filter(|last| line["act"] == last.act.number)
                .unwrap_or_else(|| panic!("an ack without its intent: {line}"));
            last.ack = Some(Ack {
                id: line["id"].as_str().map(str::to_owned),
                tries: line["tries"].as_u64().expect("a count"),
                generation: line["generation"].as_u64().expect("a count"),
            });
        }
        records
    }
}

fn write(mut file: File, waiting: &mpsc::Receiver<Entry>) {
    while let Ok(first) = waiting.recv() {
        let batch: Vec<Entry> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let mut lines = Vec::new();
        for entry in &batch {
            writeln!(lines, "{}", entry.line).expect("memory");
        }
        file.write_all(&lines).expect("the journal");
        file.sync_data().expect("the journal");
        for entry in batch {
            // A writer that has panicked does not wait.
            let _ = entry.written.send(());
        }
    }
}

/// Where the journal is kept; a test that fails leaves it there for a look.
pub struct Shelf(Option<TempDir>);

impl Shelf {
    /// A new directory, not on the disk that a test may fill.
    pub fn new() -> Self {
        Self(Some(
            TempDir::with_prefix("greenroom-crash-").expect("a temporary directory"),
        ))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("kept until dropped").path()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(directory) = self.0.take()
        {
            say!("the journal is kept in {}", directory.keep().display());
        }
    }
}
