//! The swarm: its writers, its watcher, and the stage they share with whoever interrupts them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use greenroom_tests::{Answer, Client, DEADLINE};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::act::Kind;
use crate::journal::{Journal, Record};
use crate::watcher::{self, Watched};
use crate::world::{END, World, resumed};
use crate::writer::Writer;

/// What happens to the server, and so what its clients have to bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Requests get no answer.
    Killed,
    /// Requests are refused with 503.
    DatabaseGone,
    /// Writes are refused with 503, reads go on.
    DiskFull,
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, Default)]
struct Phase {
    /// How many interruptions are over.
    generation: u64,
    /// Whether one has begun.
    interrupted: bool,
    /// Whether nobody shall begin another act.
    stopping: bool,
}

/// What the writers have come to.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Acknowledged acts, by writer.
    pub acked: Vec<u64>,
    /// Writers that wait for the end of the interruption.
    pub waiting: Vec<bool>,
    /// Acknowledged acts, by kind.
    pub acked_by_kind: BTreeMap<Kind, u64>,
    /// Attempts that got no answer, by kind.
    pub unanswered: BTreeMap<Kind, u64>,
    /// Attempts that were refused, by kind.
    pub refused: BTreeMap<Kind, u64>,
    /// Acknowledged messages that were sent again later, under the same transaction id.
    pub replayed: u64,
}

/// Why an attempt has to be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There was no answer.
    Unanswered,
    /// The answer was 503.
    Refused,
}

/// What all who take part share.
pub struct Stage {
    interruption: Interruption,
    phase: watch::Sender<Phase>,
    progress: watch::Sender<Progress>,
    /// What was intended and acknowledged.
    pub journal: Journal,
}

impl Stage {
    /// Whether nobody shall begin another act.
    pub fn is_stopping(&self) -> bool {
        self.phase.borrow().stopping
    }

    /// How many interruptions are over.
    pub fn generation(&self) -> u64 {
        self.phase.borrow().generation
    }

    /// Notes what a writer has come to.
    pub fn note(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// One attempt: an answer, or a trouble that the interruption explains.
    pub async fn attempt(
        &self,
        client: &Client,
        request: &(Method, String, Value),
    ) -> Result<Answer, Trouble> {
        let (method, path, body) = request;
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let headers = [("content-type", "application/json")];
        let before = *self.phase.borrow();
        let answer = timeout(
            DEADLINE,
            client.attempt(method.clone(), path, &headers, body),
        )
        .await
        .unwrap_or_else(|_| panic!("{method} {path} got no answer in time"));
        let now = *self.phase.borrow();
        let explained = before.interrupted || now.interrupted || now.generation > before.generation;
        let read = *method == Method::GET;
        match (self.interruption, answer) {
            (Interruption::Killed, Err(_)) if explained => Err(Trouble::Unanswered),
            (_, Err(error)) => panic!("{method} {path} got no answer: {error:?}"),
            (Interruption::DatabaseGone, Ok(answer)) if explained && answer.status == 503 => {
                answer.expect_error(503, "M_UNKNOWN");
                Err(Trouble::Refused)
            }
            (Interruption::DiskFull, Ok(answer)) if explained && !read && answer.status == 503 => {
                answer.expect_error(503, "M_UNKNOWN");
                Err(Trouble::Refused)
            }
            (_, Ok(answer)) => Ok(answer),
        }
    }

    /// Attempts until there is an answer, once more after each interruption. Gives the answer and
    /// the number of attempts.
    pub async fn insist(
        &self,
        client: &Client,
        request: &(Method, String, Value),
        mut troubled: impl FnMut(Trouble),
    ) -> (Answer, u64) {
        let mut tries = 0;
        loop {
            let generation = self.generation();
            tries += 1;
            match self.attempt(client, request).await {
                Ok(answer) => return (answer, tries),
                Err(trouble) => troubled(trouble),
            }
            self.wait_for_phase(|phase| phase.generation > generation)
                .await;
        }
    }

    async fn wait_for_phase(&self, reached: impl FnMut(&Phase) -> bool) {
        let mut phases = self.phase.subscribe();
        // Longer than a restart may take.
        let waiting = timeout(DEADLINE * 4, phases.wait_for(reached)).await;
        let reached = waiting.expect("the interruption ends");
        let _phase = reached.expect("the stage holds the sender");
    }
}

/// The swarm at work.
pub struct Swarm {
    stage: Arc<Stage>,
    writers: JoinSet<()>,
    watcher: tokio::task::JoinHandle<Watched>,
    world: World,
}

/// What there is to know when the swarm has ended.
pub struct Outcome {
    /// The journal, read back from disk.
    pub history: BTreeMap<usize, Vec<Record>>,
    /// What came down the watcher's sync.
    pub watched: Watched,
    /// The counts.
    pub progress: Progress,
}

impl Swarm {
    /// Lets all of them loose.
    pub async fn start(
        world: &World,
        directory: &Path,
        seed: u64,
        interruption: Interruption,
    ) -> Self {
        let count = world.writers.len();
        let stage = Arc::new(Stage {
            interruption,
            phase: watch::Sender::default(),
            progress: watch::Sender::new(Progress {
                acked: vec![0; count],
                waiting: vec![false; count],
                ..Progress::default()
            }),
            journal: Journal::create(directory),
        });
        let since = world.witness.now().await;
        let watcher = tokio::spawn(watcher::watch(world.clone(), Arc::clone(&stage), since));
        let mut writers = JoinSet::new();
        for index in 0..count {
            writers.spawn(Writer::new(world, index, Arc::clone(&stage), seed).run());
        }
        Self {
            stage,
            writers,
            watcher,
            world: world.clone(),
        }
    }

    /// What follows until [`Swarm::resume`] is explained.
    pub fn interrupt(&mut self) {
        while let Some(ended) = self.writers.try_join_next() {
            ended.expect("a writer goes on until it is stopped");
        }
        self.stage
            .phase
            .send_modify(|phase| phase.interrupted = true);
    }

    /// Whoever was interrupted tries again.
    pub async fn resume(&self) {
        self.world
            .announce(&resumed(self.stage.generation() + 1))
            .await;
        self.stage.note(|progress| progress.waiting.fill(false));
        self.stage.phase.send_modify(|phase| {
            phase.generation += 1;
            phase.interrupted = false;
        });
    }

    /// Waits until the writers have come to this.
    pub async fn reaches(&self, what: &str, reached: impl FnMut(&Progress) -> bool) -> Progress {
        let mut progress = self.stage.progress.subscribe();
        let waiting = timeout(DEADLINE * 2, progress.wait_for(reached)).await;
        match waiting {
            Ok(reached) => reached.expect("the stage holds the sender").clone(),
            Err(late) => panic!("{what}: {late}; {:?}", self.stage.progress.borrow()),
        }
    }

    /// Waits until each writer has done so many acts more.
    pub async fn works(&self, more: u64) {
        let before = self.stage.progress.borrow().acked.clone();
        let worked = |progress: &Progress| {
            let mut both = progress.acked.iter().zip(&before);
            both.all(|(now, before)| *now >= before + more)
        };
        self.reaches("every writer works", worked).await;
    }

    /// What the journal says now.
    pub fn history(&self) -> BTreeMap<usize, Vec<Record>> {
        self.stage.journal.read()
    }

    /// Lets everyone finish the act at hand, and the watcher see all of it.
    pub async fn finish(mut self) -> Outcome {
        self.stage.phase.send_modify(|phase| phase.stopping = true);
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("a writer finishes its act");
        }
        self.world.announce(END).await;
        let watched = timeout(DEADLINE * 2, self.watcher).await;
        Outcome {
            history: self.stage.journal.read(),
            watched: watched
                .expect("the watcher sees the end")
                .expect("no panic"),
            progress: self.stage.progress.borrow().clone(),
        }
    }
}
