//! The files of a results directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{BenchError, Result};
use crate::machine::Machine;
use crate::outcome::Outcome;

/// The machine, and each result by the name of its file without `.json`.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) machine: Option<Machine>,
    pub(super) outcomes: BTreeMap<String, Outcome>,
}

impl Results {
    /// Reads every `*.json` of `dir`; `machine.json` is the machine.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let mut results = Self::default();
        let entries =
            fs::read_dir(dir).map_err(BenchError::io(format!("reading {}", dir.display())))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            let text = fs::read_to_string(&path)
                .map_err(BenchError::io(format!("reading {}", path.display())))?;
            let broken = |error: serde_json::Error| {
                BenchError::Protocol(format!("{}: {error}", path.display()))
            };
            if name == "machine" {
                results.machine = Some(serde_json::from_str(&text).map_err(broken)?);
                continue;
            }
            let mut outcomes: Vec<Outcome> = serde_json::from_str(&text).map_err(broken)?;
            // One file for each scenario is what the scripts write; a file of `all` has several.
            if outcomes.len() == 1 {
                results
                    .outcomes
                    .extend(outcomes.pop().map(|outcome| (name.to_owned(), outcome)));
            } else {
                let named = outcomes
                    .into_iter()
                    .map(|outcome| (format!("{}.{}", outcome.label, outcome.scenario), outcome));
                results.outcomes.extend(named);
            }
        }
        Ok(results)
    }

    /// A result that counts: it is there and its verification was clean.
    pub(super) fn valid(&self, name: &str) -> Option<&Outcome> {
        self.outcomes
            .get(name)
            .filter(|outcome| outcome.failure.is_none())
    }

    /// CPU time of the server per operation, in milliseconds.
    pub(super) fn cpu_ms(&self, name: &str) -> Option<f64> {
        self.valid(name)?.server.map(|server| server.cpu_ms)
    }

    /// A figure that only this scenario has.
    pub(super) fn figure(&self, name: &str, figure: &str) -> Option<f64> {
        self.valid(name)?.figures.get(figure).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::outcome::Outcome;

    #[test]
    fn files_are_results_by_their_names_and_a_failed_one_does_not_count() {
        let dir = tempfile::tempdir().expect("makes a directory");
        let write = |name: &str, outcomes: &[Outcome]| {
            let json = serde_json::to_string(outcomes).expect("writes");
            std::fs::write(dir.path().join(name), json).expect("writes");
        };
        let named = |scenario: &str| Outcome {
            scenario: scenario.into(),
            label: "x".into(),
            ..Outcome::default()
        };
        write("x.joins-small.json", &[named("joins")]);
        write("several.json", &[named("paging"), named("one-room")]);
        let failed = Outcome {
            failure: Some("lost".into()),
            ..named("fan-out")
        };
        write("x.fan-out.json", &[failed]);
        write("notes.txt", &[]);
        let results = Results::read(dir.path()).expect("reads");
        let files: Vec<&str> = results.outcomes.keys().map(String::as_str).collect();
        assert_eq!(
            files,
            ["x.fan-out", "x.joins-small", "x.one-room", "x.paging"]
        );
        assert!(results.valid("x.fan-out").is_none() && results.valid("x.paging").is_some());
    }
}
