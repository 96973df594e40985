//! What a scenario measured, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::latency::LatencySummary;
use crate::verify::Verdict;

/// The result of one scenario.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The server or its configuration.
    pub label: String,
    /// What one operation is, in words.
    pub operation: String,
    /// What the scenario was run with.
    pub parameters: BTreeMap<String, u64>,
    /// How many operations were measured.
    pub operations: u64,
    /// How long the measured phase took, in seconds.
    pub elapsed_seconds: f64,
    /// Operations per second.
    pub per_second: f64,
    /// The latency of one operation.
    pub latency: LatencySummary,
    /// What the server used, if its process was named.
    pub server: Option<ServerUse>,
    /// CPU time of the load generator per operation, in milliseconds.
    pub bench_cpu_ms: f64,
    /// The comparison of what was acknowledged with what was read back.
    pub verified: Verdict,
    /// Figures that only this scenario has; the name ends with the unit.
    pub figures: BTreeMap<String, f64>,
    /// Why the run does not count, if it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
}

/// What the server used in the measured phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUse {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    /// The same per operation, in milliseconds.
    pub cpu_ms: f64,
    /// Resident memory before, in KiB.
    pub rss_before_kib: u64,
    /// Resident memory after, in KiB.
    pub rss_after_kib: u64,
    /// The most it has been since the server started, in KiB.
    pub hwm_kib: u64,
    /// How many processes that is.
    pub processes: u64,
}

impl Outcome {
    /// An empty result with its parameters.
    #[must_use]
    pub fn new(operation: &str, parameters: &[(&str, u64)]) -> Self {
        Self {
            operation: operation.to_owned(),
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            ..Self::default()
        }
    }

    /// A parameter, or zero.
    #[must_use]
    pub fn parameter(&self, name: &str) -> u64 {
        self.parameters.get(name).copied().unwrap_or(0)
    }

    /// Sets a figure that only this scenario has.
    pub fn set(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }
}

/// A table for a terminal, with each scenario's own figures below it.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let header = [
        "scenario",
        "ops",
        "op/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "server ms/op",
        "bench ms/op",
        "RSS MiB",
        "HWM MiB",
        "verified",
    ];
    let rows: Vec<[String; 11]> = outcomes.iter().map(row).collect();
    let mut widths = header.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    push_row(&mut text, &header.map(str::to_owned), &widths);
    for (row, outcome) in rows.iter().zip(outcomes) {
        push_row(&mut text, row, &widths);
        for (name, value) in &outcome.figures {
            let _infallible = writeln!(text, "    {name} = {value:.3}");
        }
        if let Some(failure) = &outcome.failure {
            let _infallible = writeln!(text, "    FAILED: {failure}");
        }
    }
    text
}

fn row(outcome: &Outcome) -> [String; 11] {
    let server = |read: fn(&ServerUse) -> f64, places: usize| {
        outcome.server.as_ref().map_or_else(
            || "-".to_owned(),
            |server| format!("{:.places$}", read(server)),
        )
    };
    [
        outcome.scenario.clone(),
        outcome.operations.to_string(),
        format!("{:.1}", outcome.per_second),
        format!("{:.2}", outcome.latency.p50_ms),
        format!("{:.2}", outcome.latency.p99_ms),
        format!("{:.2}", outcome.latency.max_ms),
        server(|server| server.cpu_ms, 3),
        format!("{:.3}", outcome.bench_cpu_ms),
        server(|server| server.rss_after_kib as f64 / 1024.0, 1),
        server(|server| server.hwm_kib as f64 / 1024.0, 1),
        if outcome.failure.is_some() {
            "FAILED".into()
        } else {
            outcome.verified.found.to_string()
        },
    ]
}

fn push_row(text: &mut String, cells: &[String; 11], widths: &[usize; 11]) {
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let _infallible = if column == 0 {
            write!(text, "{cell:<width$}")
        } else {
            write!(text, "  {cell:>width$}")
        };
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{Outcome, table};

    #[test]
    fn a_result_survives_json_and_the_table_names_a_failure() {
        let mut outcome = Outcome::new("message", &[("senders", 64)]);
        outcome.scenario = "one-room".into();
        outcome.failure = Some("1 lost".into());
        outcome.set("settle_ms", 1.5);
        let json = serde_json::to_string(&outcome).expect("writes");
        let back: Outcome = serde_json::from_str(&json).expect("reads");
        assert_eq!(
            (back.parameter("senders"), back.parameter("rooms")),
            (64, 0)
        );
        let text = table(&[back]);
        assert!(
            text.contains("one-room")
                && text.contains("FAILED: 1 lost")
                && text.contains("settle_ms = 1.500"),
            "{text}"
        );
    }
}
