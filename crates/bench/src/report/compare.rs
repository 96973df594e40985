//! Greenroom beside Synapse, measured in turn in one run.

use std::fmt::Write as _;

use super::number;
use super::results::Results;

const GREENROOM: &str = "compare-greenroom";
/// The label of a configuration of Synapse, and its heading.
const OTHERS: [(&str, &str); 2] = [
    ("compare-synapse", "Synapse, SQLite"),
    ("compare-synapse-postgresql", "Synapse, PostgreSQL"),
];

/// What is compared: the scenario, in words, and the figure.
const LINES: &[(&str, &str, Figure)] = &[
    (
        "many-rooms",
        "CPU per message, 64 senders over 64 rooms, ms",
        Figure::Cpu,
    ),
    ("one-sender", "CPU per message, one sender, ms", Figure::Cpu),
    ("joins", "CPU per join, ms", Figure::Cpu),
    ("initial-sync", "CPU per initial sync, ms", Figure::Cpu),
    (
        "idle-sync",
        "CPU per sync with nothing new, ms",
        Figure::Cpu,
    ),
    ("fan-out", "CPU per waiting sync answered, ms", Figure::Cpu),
    ("create-room", "CPU per room created, ms", Figure::Cpu),
    (
        "many-rooms",
        "messages per second, 64 senders over 64 rooms",
        Figure::Rate,
    ),
    ("one-sender", "one sender, p50, ms", Figure::P50),
    ("joins", "a join, p50, ms", Figure::P50),
    ("initial-sync", "an initial sync, p50, ms", Figure::P50),
    (
        "fan-out",
        "from the acknowledgement to the last receipt, p99, ms",
        Figure::LastReceipt,
    ),
    ("memory", "memory at rest, MiB", Figure::Memory),
    (
        "create-room",
        "memory after all of this, MiB",
        Figure::Memory,
    ),
];

#[derive(Debug, Clone, Copy)]
enum Figure {
    Cpu,
    Rate,
    P50,
    LastReceipt,
    Memory,
}

impl Figure {
    fn read(self, results: &Results, name: &str) -> Option<f64> {
        match self {
            Self::Cpu => results.cpu_ms(name),
            Self::Rate => results.valid(name).map(|outcome| outcome.per_second),
            Self::P50 => results.valid(name).map(|outcome| outcome.latency.p50_ms),
            Self::LastReceipt => results.figure(name, "ack_to_last_receipt_p99_ms"),
            Self::Memory => results
                .valid(name)?
                .server
                .map(|server| server.rss_after_kib as f64 / 1_024.0),
        }
    }

    /// How many times better the first is than the second.
    fn factor(self, first: f64, second: f64) -> Option<f64> {
        let (over, under) = if matches!(self, Self::Rate) {
            (first, second)
        } else {
            (second, first)
        };
        if under > 0.0 {
            Some(over / under)
        } else {
            None
        }
    }
}

/// The comparison as a Markdown table; empty if nothing of it has been measured.
pub(super) fn table(results: &Results) -> String {
    let measured = |label: &str| {
        let prefix = format!("{label}.");
        results
            .outcomes
            .keys()
            .any(|name| name.starts_with(&prefix))
    };
    let others: Vec<_> = OTHERS.iter().filter(|(label, _)| measured(label)).collect();
    if others.is_empty() && !measured(GREENROOM) {
        return String::new();
    }
    let mut text = String::from("### Against Synapse\n\n| | Greenroom |");
    for (_, heading) in &others {
        let _infallible = write!(text, " {heading} | ratio |");
    }
    text.push_str("\n|---|--:|");
    text.push_str(&"--:|--:|".repeat(others.len()));
    text.push('\n');
    let shown = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), number);
    for (scenario, what, figure) in LINES {
        let own = figure.read(results, &format!("{GREENROOM}.{scenario}"));
        let _infallible = write!(text, "| {what} | {} |", shown(own));
        for (label, _) in &others {
            let other = figure.read(results, &format!("{label}.{scenario}"));
            let factor = own
                .zip(other)
                .and_then(|(own, other)| figure.factor(own, other));
            let factor =
                factor.map_or_else(|| "—".to_owned(), |factor| format!("{} ×", number(factor)));
            let _infallible = write!(text, " {} | {factor} |", shown(other));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::outcome::{Outcome, ServerUse};
    use crate::report::results::Results;

    fn measured(cpu_ms: f64, per_second: f64) -> Outcome {
        let server = ServerUse {
            cpu_ms,
            ..ServerUse::default()
        };
        Outcome {
            server: Some(server),
            per_second,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_ratio_says_how_many_times_better_greenroom_is() {
        let mut results = Results::default();
        results.outcomes.insert(
            "compare-greenroom.many-rooms".into(),
            measured(0.2, 6_000.0),
        );
        results
            .outcomes
            .insert("compare-synapse.many-rooms".into(), measured(12.0, 60.0));
        let text = table(&results);
        assert!(
            text.contains(
                "| CPU per message, 64 senders over 64 rooms, ms | 0.200 | 12.0 | 60.0 × |"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "| messages per second, 64 senders over 64 rooms | 6,000 | 60.0 | 100 × |"
            ),
            "{text}"
        );
        assert!(
            text.contains("| CPU per join, ms | not measured | not measured | — |"),
            "{text}"
        );
    }

    #[test]
    fn nothing_measured_is_no_table() {
        assert_eq!(table(&Results::default()), "");
    }
}
