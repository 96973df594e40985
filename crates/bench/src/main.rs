//! `greenroom-bench`: measures any Matrix homeserver by its URL.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use greenroom_bench::error::{BenchError, Result};
use greenroom_bench::machine::Machine;
use greenroom_bench::options::{Cli, Command, RunOptions};
use greenroom_bench::outcome::{Outcome, table};
use greenroom_bench::report;
use greenroom_bench::scenario::{Bench, Scenario};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Command::Report { dir, into }) => report::render(dir, into.as_deref()).map(|()| true),
        Some(Command::Compare { dir }) => report::compare(dir).map(|()| true),
        Some(Command::Machine { dir, note, json }) => {
            describe_machine(dir, note, json.as_deref()).map(|()| true)
        }
        None if cli.run.list => {
            list();
            Ok(true)
        }
        None => run(&cli.run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("greenroom-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for scenario in Scenario::ALL {
        println!("{:<16}{}", scenario.name(), scenario.description());
    }
}

fn describe_machine(dir: &Path, note: &str, json: Option<&Path>) -> Result<()> {
    let text = serde_json::to_string_pretty(&Machine::describe(dir, note)?)?;
    let Some(path) = json else {
        println!("{text}");
        return Ok(());
    };
    fs::write(path, text).map_err(BenchError::io(format!("writing {}", path.display())))
}

/// Runs what the options ask for; `false` if a verification failed.
fn run(options: &RunOptions) -> Result<bool> {
    let scenarios = chosen(options)?;
    if options.url.is_none() && scenarios.iter().any(|scenario| scenario.needs_server()) {
        return Err(BenchError::Setup("--url is missing".into()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::io("starting"))?;
    let mut outcomes = Vec::new();
    let mut failed = None;
    for scenario in scenarios {
        eprintln!("{}: {}", scenario.name(), scenario.description());
        // A fresh set of accounts each: one scenario's rooms must not weigh on another's syncs.
        match Bench::new(options).and_then(|bench| runtime.block_on(scenario.run(&bench))) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                failed = Some(BenchError::Setup(format!("{}: {error}", scenario.name())));
                break;
            }
        }
    }
    println!("{}", table(&outcomes).trim_end());
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&outcomes)?;
        fs::write(path, text).map_err(BenchError::io(format!("writing {}", path.display())))?;
    }
    failed.map_or_else(
        || {
            Ok(outcomes
                .iter()
                .all(|outcome: &Outcome| outcome.failure.is_none()))
        },
        Err,
    )
}

fn chosen(options: &RunOptions) -> Result<Vec<Scenario>> {
    match options.scenario.as_deref() {
        Some("all") => Ok(Scenario::ALL
            .into_iter()
            .filter(|scenario| scenario.is_part_of_all(options))
            .collect()),
        Some(name) => Scenario::by_name(name)
            .map(|scenario| vec![scenario])
            .ok_or_else(|| BenchError::Setup(format!("no scenario is called {name}: see --list"))),
        None => Err(BenchError::Setup(
            "--scenario is missing: see --list".into(),
        )),
    }
}
