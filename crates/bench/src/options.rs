//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures a Matrix homeserver by its URL and verifies what it counts.
///
/// With no subcommand, runs one scenario (or all) against a server that is
/// already running and has open registration and no rate limits.
#[derive(Debug, Parser)]
#[command(
    name = "greenroom-bench",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What else it can do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run scenarios.
    #[command(flatten)]
    pub run: RunOptions,
}

/// What the binary does beside running scenarios.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Renders the results of a directory as Markdown
    Report {
        /// Directory of `*.json` results
        dir: PathBuf,
        /// Document to write them into, between its result markers (default: standard output)
        #[arg(long)]
        into: Option<PathBuf>,
    },
    /// Renders the comparison between two servers alone
    Compare {
        /// Directory of `*.json` results
        dir: PathBuf,
    },
    /// Describes this machine as JSON
    Machine {
        /// Directory whose file system is described
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// When and what is measured
        #[arg(long, default_value = "")]
        note: String,
        /// File to write (default: standard output)
        #[arg(long)]
        json: Option<PathBuf>,
    },
}

/// How to run scenarios.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// The server, as `http://HOST:PORT`
    #[arg(long)]
    pub url: Option<String>,
    /// The scenario to run, or `all`
    #[arg(long)]
    pub scenario: Option<String>,
    /// List the scenarios and what they measure
    #[arg(long)]
    pub list: bool,
    /// A server process whose CPU time and memory are measured with its children's; may be repeated
    #[arg(long)]
    pub pid: Vec<u32>,
    /// Clients that act at once (default: the scenario's)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub senders: Option<u32>,
    /// Rooms (default: the scenario's)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rooms: Option<u32>,
    /// Length of the measured phase in seconds, where the scenario goes by time
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: Option<u32>,
    /// How many operations to measure
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: Option<u32>,
    /// Messages per room (`initial-sync`, `paging`, `long-history`, `fill`)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub messages: Option<u32>,
    /// Members of a room before measuring (`joins`, `audience`, `fill`)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub members: u32,
    /// Waiting syncs (`fan-out`), or members who sync (`audience`)
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub receivers: u32,
    /// Parked syncs of one device, which a server may bound (`parked`)
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub per_device: u32,
    /// Directory for the SQLite database of `commit-latency`, on the server's file system
    #[arg(long, default_value = ".")]
    pub dir: PathBuf,
    /// SQLite database of a Greenroom that is stopped (`database-size`)
    #[arg(long)]
    pub database: Option<PathBuf>,
    /// When the server was launched, in seconds since 1970 with a fraction (`start-up`)
    #[arg(long)]
    pub launched_at: Option<f64>,
    /// Token for registration, if the server asks for one
    #[arg(long)]
    pub registration_token: Option<String>,
    /// Seconds to wait for one answer
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub request_timeout: u32,
    /// Name of the server or its configuration in the results
    #[arg(long, default_value = "server")]
    pub label: String,
    /// Also write the results to this file, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Allow a server that is not on this machine: only one that is yours to load
    #[arg(long)]
    pub allow_remote: bool,
}
