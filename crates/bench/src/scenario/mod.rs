//! The scenarios: each sets up, measures one phase and reads everything back.

mod audience;
mod fan_out;
#[cfg(test)]
mod faults;
mod joins;
mod local;
mod long_history;
mod one_of_many;
mod paging;
mod parked;
mod rooms;
mod send;
mod setup;
mod stored;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use self::one_of_many::Way;
use crate::error::{BenchError, Result};
use crate::http::Target;
use crate::limits;
use crate::matrix::Registrar;
use crate::options::RunOptions;
use crate::outcome::Outcome;

/// Clients that set up at once.
const SETUP_CONCURRENCY: usize = 16;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Resident memory of a server at rest.
    Memory,
    /// From launch to first answer.
    StartUp,
    /// One SQLite commit, without a server.
    CommitLatency,
    /// One client sending.
    OneSender,
    /// Many clients, each sending in a room of its own.
    ManyRooms,
    /// Many clients sending in one room.
    OneRoom,
    /// One message to many waiting syncs.
    FanOut,
    /// First syncs of an account in many rooms.
    InitialSync,
    /// Syncs with nothing new of an account in many rooms.
    IdleSync,
    /// Joins into a public room.
    Joins,
    /// Waiting syncs, thousands of them.
    Parked,
    /// Reading a room's history back to its beginning.
    Paging,
    /// Reading a very long room of encrypted messages once.
    LongHistory,
    /// Creating rooms.
    CreateRoom,
    /// A sync that brings one event to an account in very many rooms.
    OneOfMany,
    /// The same by sliding sync.
    SlidingOneOfMany,
    /// Messages in a room of a given size.
    Audience,
    /// A large room.
    Fill,
    /// What that takes on the disk.
    DatabaseSize,
}

impl Scenario {
    /// All of them, in the order in which `all` runs them.
    pub const ALL: [Self; 19] = [
        Self::Memory,
        Self::StartUp,
        Self::CommitLatency,
        Self::OneSender,
        Self::ManyRooms,
        Self::OneRoom,
        Self::FanOut,
        Self::InitialSync,
        Self::IdleSync,
        Self::Joins,
        Self::Paging,
        Self::LongHistory,
        Self::CreateRoom,
        Self::OneOfMany,
        Self::SlidingOneOfMany,
        Self::Audience,
        Self::Fill,
        Self::DatabaseSize,
        Self::Parked,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::StartUp => "start-up",
            Self::CommitLatency => "commit-latency",
            Self::OneSender => "one-sender",
            Self::ManyRooms => "many-rooms",
            Self::OneRoom => "one-room",
            Self::FanOut => "fan-out",
            Self::InitialSync => "initial-sync",
            Self::IdleSync => "idle-sync",
            Self::Joins => "joins",
            Self::Parked => "parked",
            Self::Paging => "paging",
            Self::LongHistory => "long-history",
            Self::CreateRoom => "create-room",
            Self::OneOfMany => "one-of-many",
            Self::SlidingOneOfMany => "sliding-one-of-many",
            Self::Audience => "audience",
            Self::Fill => "fill",
            Self::DatabaseSize => "database-size",
        }
    }

    /// What it measures and its defaults, in one line.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Memory => "resident memory at rest, by --pid (start the server fresh for it)",
            Self::StartUp => "from --launched-at to the first answer of /versions",
            Self::CommitLatency => {
                "one SQLite commit and one fdatasync of 4 KiB in --dir, without a server"
            }
            Self::OneSender => "1 client sending as fast as it is acknowledged, 10 s",
            Self::ManyRooms => "64 clients sending, each in its own room, 10 s",
            Self::OneRoom => "64 clients sending in one room, 10 s",
            Self::FanOut => {
                "50 messages to 200 waiting syncs: from the acknowledgement to the last receipt"
            }
            Self::InitialSync => {
                "20 initial syncs of 100 rooms with 50 messages each, timeline limit 10"
            }
            Self::IdleSync => "incremental syncs with nothing new, 100 rooms, timeout=0, 5 s",
            Self::Joins => "300 joins into one public room of --members, 16 at a time",
            Self::Parked => {
                "10,000 waiting syncs: memory of each, and waking them all by one message"
            }
            Self::Paging => "paging back through 5,000 events by 100, 20 times",
            Self::LongHistory => {
                "paging back through 100,000 events of the size of encrypted ones by 100, once"
            }
            Self::CreateRoom => "200 rooms created by 4 clients",
            Self::OneOfMany => {
                "500 times a message into one of 2,000 rooms and the sync that brings it"
            }
            Self::SlidingOneOfMany => "the same by simplified sliding sync, a window of one room",
            Self::Audience => {
                "2,000 messages into a room of --members, of whom --receivers sync before and after"
            }
            Self::Fill => "50,000 messages by 64 clients into one room of --members",
            Self::DatabaseSize => {
                "the size of --database, which no server has open, against its events' JSON"
            }
        }
    }

    /// The scenario of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
    }

    /// Whether it asks a server anything.
    #[must_use]
    pub const fn needs_server(self) -> bool {
        !matches!(self, Self::CommitLatency | Self::DatabaseSize)
    }

    /// Whether `all` runs it with these options.
    #[must_use]
    pub const fn is_part_of_all(self, options: &RunOptions) -> bool {
        match self {
            Self::Memory => !options.pid.is_empty(),
            Self::StartUp => options.launched_at.is_some(),
            Self::DatabaseSize => options.database.is_some(),
            // Not of every server, and not without --members.
            Self::SlidingOneOfMany | Self::Audience => false,
            _ => true,
        }
    }

    /// Runs it. A failed verification is in the outcome; any other failure is an error.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, refuses, or has stopped.
    pub async fn run(self, bench: &Bench) -> Result<Outcome> {
        let mut outcome = match self {
            Self::Memory => local::memory(bench).await,
            Self::StartUp => local::start_up(bench).await,
            Self::CommitLatency => local::commit_latency(bench),
            Self::OneSender => send::run(bench, 1, 1).await,
            Self::ManyRooms => send::run(bench, 64, 64).await,
            Self::OneRoom => send::run(bench, 64, 1).await,
            Self::FanOut => fan_out::run(bench).await,
            Self::InitialSync => sync::initial(bench).await,
            Self::IdleSync => sync::idle(bench).await,
            Self::Joins => joins::run(bench).await,
            Self::Parked => parked::run(bench).await,
            Self::Paging => paging::run(bench).await,
            Self::LongHistory => long_history::run(bench).await,
            Self::CreateRoom => rooms::run(bench).await,
            Self::OneOfMany => one_of_many::run(bench, Way::Classic).await,
            Self::SlidingOneOfMany => one_of_many::run(bench, Way::Sliding).await,
            Self::Audience => audience::run(bench).await,
            Self::Fill => stored::fill(bench).await,
            Self::DatabaseSize => stored::database_size(bench),
        }?;
        self.name().clone_into(&mut outcome.scenario);
        outcome.label.clone_from(&bench.options.label);
        if outcome.failure.is_none() {
            outcome.failure = outcome
                .verified
                .check()
                .err()
                .map(|error| error.to_string());
        }
        Ok(outcome)
    }
}

/// A server to measure and how.
#[derive(Debug)]
pub struct Bench {
    /// Makes its accounts.
    pub registrar: Arc<Registrar>,
    /// The command line.
    pub options: RunOptions,
    /// Distinguishes this scenario's names from those of any other run.
    pub run: String,
}

impl Bench {
    /// Prepares to measure the server of `options`.
    ///
    /// # Errors
    ///
    /// [`BenchError::Setup`] if the URL does not do or files cannot be opened.
    pub fn new(options: &RunOptions) -> Result<Self> {
        // `commit-latency` alone needs no server; it never connects to this address.
        let url = options.url.as_deref().unwrap_or("http://127.0.0.1:8008");
        let target = Arc::new(Target::resolve(url, options.allow_remote)?);
        let run: String = uuid::Uuid::new_v4()
            .simple()
            .to_string()
            .chars()
            .take(8)
            .collect();
        let timeout = Duration::from_secs(u64::from(options.request_timeout));
        limits::raise_open_files()?;
        let registrar = Registrar::new(
            target,
            timeout,
            options.registration_token.clone(),
            run.clone(),
        );
        Ok(Self {
            registrar: Arc::new(registrar),
            options: options.clone(),
            run,
        })
    }

    fn senders(&self, default: usize) -> usize {
        self.options
            .senders
            .map_or(default, |senders| senders as usize)
    }

    fn rooms(&self, default: usize) -> usize {
        self.options.rooms.map_or(default, |rooms| rooms as usize)
    }

    fn count(&self, default: usize) -> usize {
        self.options.count.map_or(default, |count| count as usize)
    }

    fn messages(&self, default: usize) -> usize {
        self.options
            .messages
            .map_or(default, |messages| messages as usize)
    }
}

/// The item at `index`, cyclically: the setups deal clients and rooms out by it.
fn cyclic<T>(items: &[T], index: usize) -> Result<&T> {
    items
        .get(index % items.len().max(1))
        .ok_or_else(|| BenchError::Setup("the scenario has nothing to work with".into()))
}

#[cfg(test)]
mod tests {
    use super::Scenario;

    #[test]
    fn every_scenario_is_found_by_its_name() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::by_name(scenario.name()), Some(scenario));
        }
        assert_eq!(Scenario::by_name("all"), None);
    }
}
