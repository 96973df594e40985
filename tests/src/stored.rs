//! What a server has written down, for tests that look for what must not be there.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::TestServer;

impl TestServer {
    /// Every byte of the files in the data directory and, on PostgreSQL, every row as text.
    ///
    /// ASCII is found there as it is: no column is compressed or encoded.
    pub fn stored(&self) -> Vec<u8> {
        let mut stored = Vec::new();
        read_all(&self.data_dir(), &mut stored);
        if let Some(url) = self.postgres_url() {
            let tables = psql(
                url,
                &["SELECT tablename FROM pg_tables WHERE schemaname = 'public'"],
            );
            for table in String::from_utf8_lossy(&tables).lines() {
                let copy = format!("COPY \"{table}\" TO STDOUT");
                stored.extend(psql(url, &["SET bytea_output = 'escape'", &copy]));
            }
        }
        stored
    }
}

fn read_all(directory: &Path, bytes: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).expect("the server's own directory") {
        let entry = entry.expect("an entry of the directory");
        let kind = entry.file_type().expect("the kind of an entry");
        if kind.is_dir() {
            read_all(&entry.path(), bytes);
        } else if kind.is_file() {
            bytes.extend(fs::read(entry.path()).expect("a file of the server"));
        }
    }
}

fn psql(url: &str, statements: &[&str]) -> Vec<u8> {
    let mut command = Command::new("psql");
    command.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url]);
    for statement in statements {
        command.args(["-c", statement]);
    }
    let output = command.output().expect("psql");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
