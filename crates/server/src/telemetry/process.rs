//! Figures of the process that the system keeps, read when they are asked for. Where there is no `/proc` there are none.

use std::{fmt::Write as _, fs};

/// What `utime` and `stime` count in: `USER_HZ`, which Linux fixes at 100 whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the figures, named as Prometheus' own libraries name them.
pub(super) fn render(text: &mut String) {
    if let Some(cpu_s) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(cpu_seconds)
    {
        metric(text, "process_cpu_seconds_total", "counter", cpu_s);
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kib) = number_behind(&status, "VmRSS:") {
            metric(text, "process_resident_memory_bytes", "gauge", kib * 1024.0);
        }
        if let Some(threads) = number_behind(&status, "Threads:") {
            metric(text, "process_threads", "gauge", threads);
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        let open = u32::try_from(entries.count()).unwrap_or(u32::MAX);
        metric(text, "process_open_fds", "gauge", open.into());
    }
}

fn metric(text: &mut String, name: &str, kind: &str, value: f64) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
}

/// User and system time. The name in the second field may have spaces and parentheses of its own.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn number_behind(status: &str, name: &str) -> Option<f64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_odd_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1000";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a"), None);
    }

    #[test]
    fn memory_is_found_by_its_name() {
        assert_eq!(
            number_behind("Name:\ta\nVmRSS:\t  2048 kB\n", "VmRSS:"),
            Some(2048.0)
        );
        assert_eq!(number_behind("Name:\ta\n", "VmRSS:"), None);
    }
}
