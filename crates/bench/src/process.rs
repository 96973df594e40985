//! CPU time and memory of the server, read from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::ops::Sub;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// What a set of processes has used up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time in seconds, of the processes, their living
    /// descendants and the descendants they have waited for.
    pub cpu_seconds: f64,
    /// Resident memory in KiB (`VmRSS`), summed.
    pub rss_kib: u64,
    /// The most it has been (`VmHWM`), summed.
    pub hwm_kib: u64,
    /// How many processes that is.
    pub processes: u64,
}

/// CPU time between two moments, in seconds.
impl Sub for Usage {
    type Output = f64;

    fn sub(self, earlier: Self) -> f64 {
        (self.cpu_seconds - earlier.cpu_seconds).max(0.0)
    }
}

/// Reads what `pids` and their descendants have used.
///
/// # Errors
///
/// [`BenchError::Setup`] if one of `pids` is not running.
pub fn usage(pids: &[u32]) -> Result<Usage> {
    let table = process_table()?;
    let mut family: Vec<u32> = Vec::new();
    for pid in pids {
        if !table.contains_key(pid) {
            return Err(BenchError::Setup(format!(
                "no process {pid}: did the server stop?"
            )));
        }
        if !family.contains(pid) {
            family.push(*pid);
        }
    }
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        for (pid, stat) in &table {
            if stat.parent == parent && !family.contains(pid) {
                family.push(*pid);
            }
        }
        next += 1;
    }
    let mut total = Usage {
        processes: family.len() as u64,
        ..Usage::default()
    };
    for pid in family {
        if let Some(stat) = table.get(&pid) {
            let exact = exact_cpu_seconds(pid).unwrap_or_else(|| seconds(stat.own_ticks));
            total.cpu_seconds += exact + seconds(stat.waited_ticks);
        }
        // A child may end between the two reads; its time is then in its parent's.
        if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
            total.rss_kib += status_kib(&status, "VmRSS:");
            total.hwm_kib += status_kib(&status, "VmHWM:");
        }
    }
    Ok(total)
}

/// User and system time of a process to the nanosecond; `/proc` has it in ticks
/// of 10 ms, too coarse for a scenario that takes a tenth of a second.
fn exact_cpu_seconds(pid: u32) -> Option<f64> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    let time = nix::time::clock_getcpuclockid(pid).ok()?.now().ok()?;
    Some(std::time::Duration::from(time).as_secs_f64())
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Reads what this process has used.
///
/// # Errors
///
/// [`BenchError::Setup`] if `/proc` does not show it.
pub fn own_usage() -> Result<Usage> {
    usage(&[std::process::id()])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of its own.
    own_ticks: u64,
    /// User and system time of children that have ended.
    waited_ticks: u64,
}

fn process_table() -> Result<HashMap<u32, Stat>> {
    let mut table = HashMap::new();
    for entry in fs::read_dir(Path::new("/proc"))
        .map_err(BenchError::io("reading /proc"))?
        .flatten()
    {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some(stat) = parse_stat(&stat) {
            table.insert(pid, stat);
        }
    }
    Ok(table)
}

/// Reads `/proc/PID/stat`. The name in parentheses may itself hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Field 4 is the parent; 14 to 17 are utime, stime, cutime, cstime. The first here is 3.
    let parent = fields.get(1)?.parse().ok()?;
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Stat {
        parent,
        own_ticks: ticks(11)? + ticks(12)?,
        waited_ticks: ticks(13)? + ticks(14)?,
    })
}

fn status_kib(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Stat, exact_cpu_seconds, own_usage, parse_stat, status_kib, usage};

    #[test]
    fn a_process_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 5 6 7";
        assert_eq!(
            parse_stat(stat),
            Some(Stat {
                parent: 7,
                own_ticks: 33,
                waited_ticks: 77
            })
        );
        assert_eq!(parse_stat("42 (x) S 7"), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    512 kB\n";
        assert_eq!(
            (
                status_kib(status, "VmRSS:"),
                status_kib(status, "VmHWM:"),
                status_kib(status, "VmNone:")
            ),
            (512, 2048, 0)
        );
    }

    #[test]
    fn this_process_uses_memory_and_a_missing_one_is_an_error() {
        let own = own_usage().expect("reads /proc");
        assert!(own.rss_kib > 0 && own.hwm_kib >= own.rss_kib && own.processes >= 1);
        assert!(usage(&[u32::MAX]).is_err());
    }

    #[test]
    fn the_exact_time_agrees_with_the_ticks() {
        let exact = exact_cpu_seconds(std::process::id()).expect("has a clock");
        let later = own_usage().expect("reads /proc");
        assert!(exact > 0.0 && later.cpu_seconds >= exact);
        assert_eq!(exact_cpu_seconds(u32::MAX), None);
    }
}
