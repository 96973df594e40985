//! The machine, and every scenario of every configuration.

use std::fmt::Write as _;

use super::number;
use super::results::Results;
use crate::outcome::{Outcome, ServerUse};

/// The machine as a Markdown list.
pub(super) fn machine(results: &Results) -> String {
    let Some(machine) = &results.machine else {
        return String::new();
    };
    format!(
        "### Machine\n\n- {}, {} cores, {} GiB of memory\n- {}, Linux {}\n- databases on {}\n{}",
        machine.processor,
        machine.cores,
        number(machine.memory_mib as f64 / 1_024.0),
        machine.system,
        machine.kernel,
        machine.file_system,
        if machine.note.is_empty() {
            String::new()
        } else {
            format!("- {}\n", machine.note)
        },
    )
}

/// All scenarios of Greenroom's own runs; the comparison has its own table.
pub(super) fn scenarios(results: &Results) -> String {
    let mut text = String::from(
        "### All scenarios\n\nLatencies in ms; CPU in ms per operation; memory in MiB at the end of the scenario.\n\n\
         | run | operation | with | count | per s | p50 | p99 | max | server CPU | generator CPU | RSS | peak |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut figures = String::from("\n| run | figure | value |\n|---|---|--:|\n");
    for (name, outcome) in &results.outcomes {
        if name.starts_with("compare-") {
            continue;
        }
        text.push_str(&row(name, outcome));
        for (figure, value) in &outcome.figures {
            let _infallible = writeln!(figures, "| {name} | `{figure}` | {} |", number(*value));
        }
    }
    text.push_str(&figures);
    text
}

fn row(name: &str, outcome: &Outcome) -> String {
    if let Some(failure) = &outcome.failure {
        return format!("| {name} | **failed: {failure}** |  |  |  |  |  |  |  |  |  |  |\n");
    }
    let with: Vec<String> = outcome
        .parameters
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let server = |read: fn(&ServerUse) -> f64| {
        outcome
            .server
            .as_ref()
            .map_or_else(|| "—".to_owned(), |server| number(read(server)))
    };
    let mut cells = vec![
        name.to_owned(),
        outcome.operation.clone(),
        with.join(", "),
        outcome.operations.to_string(),
    ];
    let latency = &outcome.latency;
    cells.extend(
        [
            outcome.per_second,
            latency.p50_ms,
            latency.p99_ms,
            latency.max_ms,
        ]
        .map(number),
    );
    cells.push(server(|server| server.cpu_ms));
    cells.push(number(outcome.bench_cpu_ms));
    cells.push(server(|server| server.rss_after_kib as f64 / 1_024.0));
    cells.push(server(|server| server.hwm_kib as f64 / 1_024.0));
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::scenarios;
    use crate::outcome::Outcome;
    use crate::report::results::Results;

    #[test]
    fn every_row_has_as_many_cells_as_the_header() {
        let mut results = Results::default();
        results.outcomes.insert(
            "a".into(),
            Outcome::new("message", &[("senders", 1), ("rooms", 2)]),
        );
        results.outcomes.insert(
            "b".into(),
            Outcome {
                failure: Some("lost".into()),
                ..Outcome::default()
            },
        );
        results
            .outcomes
            .insert("compare-synapse.joins".into(), Outcome::new("join", &[]));
        let text = scenarios(&results);
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.matches('|').count() > 4)
            .collect();
        assert_eq!(rows.len(), 4, "{text}");
        assert!(
            rows.iter().all(|row| row.matches('|').count() == 13),
            "{text}"
        );
    }
}
