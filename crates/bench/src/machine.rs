//! What the figures were measured on.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// A machine, in the words of its own `/proc`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution.
    pub system: String,
    /// The file system that the databases are on.
    pub file_system: String,
    /// When and what was measured, in the words of whoever did.
    #[serde(default)]
    pub note: String,
}

impl Machine {
    /// Describes this machine; `dir` is where the databases are, `note` is kept as it is.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`] if `dir` does not exist.
    pub fn describe(dir: &Path, note: &str) -> Result<Self> {
        let dir = dir
            .canonicalize()
            .map_err(BenchError::io(format!("finding {}", dir.display())))?;
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory = field(&read("/proc/meminfo"), "MemTotal", ':');
        let memory_kib: u64 = memory
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        Ok(Self {
            processor: field(&read("/proc/cpuinfo"), "model name", ':'),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            memory_mib: memory_kib / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: field(&read("/etc/os-release"), "PRETTY_NAME", '=')
                .trim_matches('"')
                .to_owned(),
            file_system: file_system(&read("/proc/self/mounts"), &dir),
            note: note.to_owned(),
        })
    }
}

fn field(text: &str, key: &str, separator: char) -> String {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

/// The type of the file system mounted nearest above `dir`.
fn file_system(mounts: &str, dir: &Path) -> String {
    let mut best = (0, String::new());
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        if let (Some(at), Some(kind)) = (words.next(), words.next())
            && dir.starts_with(at)
            && at.len() >= best.0
        {
            best = (at.len(), kind.to_owned());
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{field, file_system};

    #[test]
    fn the_nearest_mount_decides() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /var xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/tmpx")), "ext4");
    }

    #[test]
    fn fields_are_read_without_their_padding() {
        assert_eq!(
            field("model name\t: A B\nmodel name\t: C", "model name", ':'),
            "A B"
        );
        assert_eq!(field("x", "y", ':'), "");
    }
}
