//! The figures to reach, what was measured, and whether it is enough.

use std::fmt::Write as _;

use super::number;
use super::results::Results;

/// How a measured figure is held against its goal.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure to reach.
struct Goal {
    what: &'static str,
    bound: Bound,
    unit: &'static str,
    measured: fn(&Results) -> Option<f64>,
}

/// Half of them at most this: the middle of the commits before and after one sender.
fn commit_p50_ms(results: &Results) -> Option<f64> {
    let p50 = |name: &str| results.valid(name).map(|outcome| outcome.latency.p50_ms);
    let before = p50("greenroom.commit-latency-before")?;
    Some(f64::midpoint(
        before,
        p50("greenroom.commit-latency-after")?,
    ))
}

fn rate(results: &Results, name: &str) -> Option<f64> {
    results.valid(name).map(|outcome| outcome.per_second)
}

fn ratio(results: &Results, name: &str, other: &str) -> Option<f64> {
    let other = results.cpu_ms(other)?;
    if other > 0.0 {
        Some(results.cpu_ms(name)? / other)
    } else {
        None
    }
}

fn against_synapse(results: &Results, scenario: &str) -> Option<f64> {
    ratio(
        results,
        &format!("compare-greenroom.{scenario}"),
        &format!("compare-synapse.{scenario}"),
    )
}

const GOALS: &[Goal] = &[
    Goal {
        what: "acknowledged messages per second, 64 senders over 64 rooms",
        bound: Bound::AtLeast(6_000.0),
        unit: "/s",
        measured: |results| rate(results, "greenroom.many-rooms"),
    },
    Goal {
        what: "server CPU for each of them",
        bound: Bound::AtMost(0.20),
        unit: " ms",
        measured: |results| results.cpu_ms("greenroom.many-rooms"),
    },
    Goal {
        what: "acknowledged messages per second, 64 senders in one room",
        bound: Bound::AtLeast(5_000.0),
        unit: "/s",
        measured: |results| rate(results, "greenroom.one-room"),
    },
    Goal {
        what: "CPU per message with all cores, against one worker",
        bound: Bound::AtMost(1.2),
        unit: " ×",
        measured: |results| {
            ratio(
                results,
                "greenroom.many-rooms",
                "greenroom-1-worker.many-rooms",
            )
        },
    },
    Goal {
        what: "CPU per message, against Synapse",
        bound: Bound::AtMost(1.0 / 50.0),
        unit: RATIO,
        measured: |results| against_synapse(results, "many-rooms"),
    },
    Goal {
        what: "CPU per join, against Synapse",
        bound: Bound::AtMost(1.0 / 50.0),
        unit: RATIO,
        measured: |results| against_synapse(results, "joins"),
    },
    Goal {
        what: "CPU per initial sync, against Synapse",
        bound: Bound::AtMost(1.0 / 50.0),
        unit: RATIO,
        measured: |results| against_synapse(results, "initial-sync"),
    },
    Goal {
        what: "CPU per incremental sync with nothing new, against Synapse",
        bound: Bound::AtMost(1.0 / 50.0),
        unit: RATIO,
        measured: |results| against_synapse(results, "idle-sync"),
    },
    Goal {
        what: "CPU per room created, against Synapse",
        bound: Bound::AtMost(1.0 / 50.0),
        unit: RATIO,
        measured: |results| against_synapse(results, "create-room"),
    },
    Goal {
        what: "one sender alone, p50, against one SQLite commit",
        bound: Bound::AtMost(1.3),
        unit: " ×",
        measured: |results| {
            let sender = results.valid("greenroom.one-sender")?.latency.p50_ms;
            commit_p50_ms(results)
                .filter(|commit| *commit > 0.0)
                .map(|commit| sender / commit)
        },
    },
    Goal {
        what: "fan-out to 200 waiting syncs, from the acknowledgement to the last receipt, p99",
        bound: Bound::AtMost(50.0),
        unit: " ms",
        measured: |results| results.figure("greenroom.fan-out", "ack_to_last_receipt_p99_ms"),
    },
    Goal {
        what: "server CPU for an initial sync, 100 rooms × 50 messages, limit 10",
        bound: Bound::AtMost(60.0),
        unit: " ms",
        measured: |results| results.cpu_ms("greenroom.initial-sync"),
    },
    Goal {
        what: "server CPU for an incremental sync with nothing new, 100 rooms",
        bound: Bound::AtMost(0.2),
        unit: " ms",
        measured: |results| results.cpu_ms("greenroom.idle-sync"),
    },
    Goal {
        what: "page of 100 events in a room of 100,000 of the size of encrypted ones, p99",
        bound: Bound::AtMost(20.0),
        unit: " ms",
        measured: |results| {
            let pages = results.valid("greenroom.long-history")?;
            Some(pages.latency.p99_ms)
        },
    },
    Goal {
        what: "server CPU for a sync with one new event, 2,000 rooms",
        bound: Bound::AtMost(0.5),
        unit: " ms",
        measured: |results| results.figure("greenroom.one-of-many", "sync_cpu_ms"),
    },
    Goal {
        what: "CPU of a message and a sliding sync of one room, in 2,000 rooms against in one",
        bound: Bound::AtMost(1.5),
        unit: " ×",
        measured: |results| ratio(results, "greenroom.sliding-many", "greenroom.sliding-one"),
    },
    Goal {
        what: "server CPU for a room created",
        bound: Bound::AtMost(3.0),
        unit: " ms",
        measured: |results| results.cpu_ms("greenroom.create-room"),
    },
    Goal {
        what: "CPU of a message in a room of 1,000, 50 of whom follow it, against a room of 18, 10 of whom do",
        bound: Bound::AtMost(3.0),
        unit: " ×",
        measured: |results| {
            ratio(
                results,
                "greenroom.audience-large",
                "greenroom.audience-small",
            )
        },
    },
    Goal {
        what: "bytes of database per byte of event JSON, 5,000 members and 50,000 messages",
        bound: Bound::AtMost(3.0),
        unit: "",
        measured: |results| {
            let figure = "database_bytes_per_byte_of_event_json";
            results.figure("greenroom.database-size", figure)
        },
    },
    Goal {
        what: "CPU of a join into a room of 1,000, against a room of 10",
        bound: Bound::AtMost(2.0),
        unit: " ×",
        measured: |results| ratio(results, "greenroom.joins-large", "greenroom.joins-small"),
    },
    Goal {
        what: "memory of a parked sync, with its connection",
        bound: Bound::AtMost(20.0),
        unit: " KiB",
        measured: |results| results.figure("greenroom.parked", "parked_with_connection_kib"),
    },
    Goal {
        what: "resident memory at rest, empty database",
        bound: Bound::AtMost(30.0),
        unit: " MiB",
        measured: |results| results.figure("greenroom.memory", "rss_mib"),
    },
    Goal {
        what: "start on an empty directory to first answer",
        bound: Bound::AtMost(300.0),
        unit: " ms",
        measured: |results| results.figure("greenroom.start-up", "first_answer_ms"),
    },
];

/// A unit that is shown as one over the figure.
const RATIO: &str = "1/";

fn shown(value: f64, unit: &str) -> String {
    if unit == RATIO {
        return format!("1/{}", number(1.0 / value.max(f64::MIN_POSITIVE)));
    }
    format!("{}{unit}", number(value))
}

/// The goals as a Markdown table. What has not been measured, or failed its
/// verification, is not met.
pub(super) fn table(results: &Results) -> String {
    let mut text = String::from(
        "### Figures to reach\n\n| what | goal | measured | met |\n|---|---|---|---|\n",
    );
    for goal in GOALS {
        let (sign, limit) = match goal.bound {
            Bound::AtLeast(limit) => ('≥', limit),
            Bound::AtMost(limit) => ('≤', limit),
        };
        let (measured, met) = match (goal.measured)(results) {
            None => ("not measured".to_owned(), "—"),
            Some(value) => {
                let met = match goal.bound {
                    Bound::AtLeast(limit) => value >= limit,
                    Bound::AtMost(limit) => value <= limit,
                };
                (shown(value, goal.unit), if met { "yes" } else { "**no**" })
            }
        };
        let limit = shown(limit, goal.unit);
        let _infallible = writeln!(
            text,
            "| {} | {sign} {limit} | {measured} | {met} |",
            goal.what
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::outcome::{Outcome, ServerUse};
    use crate::report::results::Results;

    fn with_cpu(cpu_ms: f64) -> Outcome {
        let server = ServerUse {
            cpu_ms,
            ..ServerUse::default()
        };
        Outcome {
            server: Some(server),
            per_second: 7_000.0,
            ..Outcome::default()
        }
    }

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines()
            .find(|line| line.starts_with(start))
            .expect("has the line")
    }

    #[test]
    fn met_and_missed_goals_are_told_apart() {
        let mut results = Results::default();
        results
            .outcomes
            .insert("greenroom.many-rooms".into(), with_cpu(0.3));
        results
            .outcomes
            .insert("compare-greenroom.joins".into(), with_cpu(0.2));
        results
            .outcomes
            .insert("compare-synapse.joins".into(), with_cpu(20.0));
        let text = table(&results);
        assert!(
            line(&text, "| acknowledged messages per second, 64 senders over")
                .ends_with("| 7,000/s | yes |")
        );
        assert!(
            line(&text, "| server CPU for each").ends_with("| ≤ 0.200 ms | 0.300 ms | **no** |")
        );
        assert!(
            line(&text, "| CPU per join").ends_with("| ≤ 1/50.0 | 1/100 | yes |"),
            "{text}"
        );
        assert!(line(&text, "| memory of a parked").ends_with("| not measured | — |"));
    }

    #[test]
    fn a_run_that_failed_its_verification_is_not_measured() {
        let mut results = Results::default();
        let failed = Outcome {
            failure: Some("1 lost".into()),
            ..with_cpu(0.1)
        };
        results
            .outcomes
            .insert("greenroom.many-rooms".into(), failed);
        assert!(line(&table(&results), "| server CPU for each").ends_with("| not measured | — |"));
    }
}
