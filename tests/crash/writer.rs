//! A client of the swarm: does one act after another, each until it is acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join;
use greenroom_tests::Client;

use crate::act::{Act, Kind};
use crate::journal::Ack;
use crate::random::Random;
use crate::swarm::{Stage, Trouble};
use crate::world::{DATA_TYPES, STATE_TYPES, World};

/// One in so many acts is followed by an old message, sent again under its old transaction id.
const REPLAY_ONE_IN: u64 = 10;

/// One in so many messages is sent by two requests at once, under one transaction id.
const TWICE_ONE_IN: u64 = 8;

/// A client of the swarm.
pub struct Writer {
    index: usize,
    client: Client,
    halls: Vec<String>,
    door: String,
    stage: Arc<Stage>,
    random: Random,
    number: u64,
    /// Whether it is in the room with the door.
    inside: bool,
    /// Its newest event in each hall.
    newest: BTreeMap<String, String>,
    /// Its acknowledged messages.
    sent: Vec<(Act, String)>,
}

impl Writer {
    /// One of the world's writers.
    pub fn new(world: &World, index: usize, stage: Arc<Stage>, seed: u64) -> Self {
        Self {
            index,
            client: world.writers[index].clone(),
            halls: world.halls.clone(),
            door: world.door.clone(),
            stage,
            random: Random::new(seed, 1 + index as u64),
            number: 0,
            inside: false,
            newest: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    /// Writes until it is stopped.
    pub async fn run(mut self) {
        while !self.stage.is_stopping() {
            let act = self.next_act();
            self.stage.journal.intend(&act).await;
            let ack = if act.kind == Kind::Message && self.random.below(TWICE_ONE_IN) == 0 {
                let (ack, twin) = join(self.perform(&act), self.perform(&act)).await;
                assert_eq!(ack.id, twin.id, "two requests with one transaction id");
                ack
            } else {
                self.perform(&act).await
            };
            self.stage.journal.acknowledge(&act, &ack).await;
            self.remember(act, &ack);
            if self.random.below(REPLAY_ONE_IN) == 0 {
                self.replay().await;
            }
        }
    }

    fn next_act(&mut self) -> Act {
        self.number += 1;
        let hall = self.random.pick(&self.halls).clone();
        let (kind, room, slot) = match self.random.below(100) {
            0..10 => {
                let slot = (*self.random.pick(&DATA_TYPES)).to_owned();
                (Kind::AccountData, String::new(), slot)
            }
            10..18 => {
                let slot = (*self.random.pick(&DATA_TYPES)).to_owned();
                (Kind::RoomAccountData, hall, slot)
            }
            18..30 => {
                let slot = (*self.random.pick(&STATE_TYPES)).to_owned();
                (Kind::State, hall, slot)
            }
            30..42 if self.inside => (Kind::Leave, self.door.clone(), String::new()),
            30..42 => (Kind::Join, self.door.clone(), String::new()),
            42..54 if self.newest.contains_key(&hall) => {
                let read = self.newest[&hall].clone();
                (Kind::Receipt, hall, read)
            }
            54..62 if self.inside => (Kind::Message, self.door.clone(), String::new()),
            62..64 => (Kind::Create, String::new(), String::new()),
            _ => (Kind::Message, hall, String::new()),
        };
        Act {
            writer: self.index,
            number: self.number,
            kind,
            room,
            slot,
        }
    }

    /// Asks until the server has acknowledged the act.
    async fn perform(&self, act: &Act) -> Ack {
        let request = act.request(&self.client);
        let troubled = |trouble| {
            self.stage.note(|progress| {
                progress.waiting[self.index] = true;
                let count = match trouble {
                    Trouble::Unanswered => progress.unanswered.entry(act.kind),
                    Trouble::Refused => progress.refused.entry(act.kind),
                };
                *count.or_default() += 1;
            });
        };
        let (answer, tries) = self.stage.insist(&self.client, &request, troubled).await;
        let body = if act.kind == Kind::Create && tries > 1 && answer.status == 400 {
            answer.expect_error(400, "M_ROOM_IN_USE")
        } else {
            answer.expect_ok()
        };
        let id = match act.kind {
            Kind::Create => body["room_id"].as_str(),
            _ => body["event_id"].as_str(),
        };
        Ack {
            id: id.map(str::to_owned),
            tries,
            generation: self.stage.generation(),
        }
    }

    fn remember(&mut self, act: Act, ack: &Ack) {
        self.stage.note(|progress| {
            progress.acked[self.index] += 1;
            *progress.acked_by_kind.entry(act.kind).or_default() += 1;
        });
        match act.kind {
            Kind::Join => self.inside = true,
            Kind::Leave => self.inside = false,
            _ => {}
        }
        let Some(event_id) = ack.id.clone().filter(|_| act.kind.makes_event()) else {
            return;
        };
        if act.room != self.door {
            self.newest.insert(act.room.clone(), event_id.clone());
        }
        if act.kind == Kind::Message {
            self.sent.push((act, event_id));
        }
    }

    /// Sends an old message again: the answer must be the old one, whatever happened since.
    async fn replay(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let (act, event_id) = self.random.pick(&self.sent).clone();
        let request = act.request(&self.client);
        if let Ok(answer) = self.stage.attempt(&self.client, &request).await {
            let body = answer.expect_ok();
            let mark = act.mark();
            assert_eq!(body["event_id"], event_id, "message {mark} sent again");
            self.stage.note(|progress| progress.replayed += 1);
        }
    }
}
