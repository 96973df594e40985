//! Clients that send as fast as they are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::setup::message_ids;
use super::{Bench, cyclic};
use crate::error::Result;
use crate::latency::Latencies;
use crate::matrix::{Client, Room};
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::parallel;
use crate::verify::Verdict;

/// Messages of each client before the measured phase.
const WARM_UP: usize = 10;

/// A client with its room and what it has been acknowledged.
struct Sender {
    number: usize,
    client: Client,
    room: Arc<Room>,
    acked: Vec<String>,
    latencies: Latencies,
}

/// When the measured phase ends.
#[derive(Clone)]
enum Stop {
    At(Instant),
    /// How many are still to be sent, by all together.
    After(Arc<AtomicUsize>),
}

impl Stop {
    /// Whether one more is to be sent.
    fn goes_on(&self) -> bool {
        match self {
            Self::At(end) => Instant::now() < *end,
            Self::After(left) => left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok(),
        }
    }
}

impl Sender {
    async fn send(&mut self) -> Result<()> {
        let sequence = self.acked.len();
        let text = format!("message {sequence} of sender {}", self.number);
        let started = Instant::now();
        let event_id = self
            .client
            .send_text(&self.room, &format!("m{sequence}"), &text)
            .await?;
        self.latencies.push(started.elapsed());
        self.acked.push(event_id);
        Ok(())
    }
}

/// `senders` clients over `rooms` rooms, where the command line does not say otherwise.
pub(super) async fn run(bench: &Bench, senders: usize, rooms: usize) -> Result<Outcome> {
    let (many, rooms) = (bench.senders(senders), bench.rooms(rooms));
    let seconds = bench.options.seconds.unwrap_or(10);
    let mut outcome = Outcome::new(
        "acknowledged message",
        &[("senders", many as u64), ("rooms", rooms as u64)],
    );
    let senders = prepare(bench, many, rooms).await?;
    let warm = |mut sender: Sender| async move {
        for _ in 0..WARM_UP {
            sender.send().await?;
        }
        sender.latencies = Latencies::default();
        Ok(sender)
    };
    let senders = parallel::each(many, senders, warm).await?;

    let measurement = Measurement::begin(&bench.options.pid).await?;
    let stop = bench.options.count.map_or_else(
        || Stop::At(measurement.started() + Duration::from_secs(u64::from(seconds))),
        |count| Stop::After(Arc::new(AtomicUsize::new(count as usize))),
    );
    let load = |mut sender: Sender| {
        let stop = stop.clone();
        async move {
            while stop.goes_on() {
                sender.send().await?;
            }
            Ok(sender)
        }
    };
    let mut senders = parallel::each(many, senders, load).await?;
    let mut latencies = Latencies::default();
    for sender in &mut senders {
        latencies.append(&mut sender.latencies);
    }
    let operations = senders
        .iter()
        .map(|sender| sender.acked.len() - WARM_UP)
        .sum::<usize>();
    measurement
        .end(&mut outcome, operations as u64, latencies)
        .await?;
    outcome.verified = verify(senders, rooms).await?;
    Ok(outcome)
}

/// Registers the senders; room `n % rooms` is sender `n`'s, created by sender `n` and joined by the rest.
async fn prepare(bench: &Bench, many: usize, rooms: usize) -> Result<Vec<Sender>> {
    let mut clients = bench.accounts(many).await?;
    let others = clients.split_off(rooms.min(many));
    let (owners, rooms) = bench.public_rooms(clients, rooms).await?;
    let mut senders = Vec::with_capacity(many);
    for (number, client) in owners.into_iter().chain(others).enumerate() {
        let room = Arc::clone(cyclic(&rooms, number)?);
        senders.push(Sender {
            number,
            client,
            room,
            acked: Vec::new(),
            latencies: Latencies::default(),
        });
    }
    let join = |mut sender: Sender| async move {
        sender.client.join(&sender.room).await?;
        Ok(sender)
    };
    parallel::each(super::SETUP_CONCURRENCY, senders, join).await
}

/// Reads every room back and compares.
async fn verify(senders: Vec<Sender>, rooms: usize) -> Result<Verdict> {
    let mut by_room: Vec<Vec<Sender>> = Vec::new();
    by_room.resize_with(rooms.min(senders.len()), Vec::new);
    let many = by_room.len().max(1);
    for (number, sender) in senders.into_iter().enumerate() {
        if let Some(room) = by_room.get_mut(number % many) {
            room.push(sender);
        }
    }
    let read_back = |mut senders: Vec<Sender>| async move {
        let acked: Vec<Vec<String>> = senders
            .iter_mut()
            .map(|sender| std::mem::take(&mut sender.acked))
            .collect();
        let Some(reader) = senders.first_mut() else {
            return Ok(Verdict::default());
        };
        let found = message_ids(&mut reader.client, &reader.room).await?;
        Ok(Verdict::compare(&acked, &found))
    };
    let mut total = Verdict::default();
    for verdict in parallel::each(8, by_room, read_back).await? {
        total.add(&verdict);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::Stop;

    #[test]
    fn a_count_is_shared_by_all_senders() {
        let stop = Stop::After(Arc::new(AtomicUsize::new(3)));
        let other = stop.clone();
        assert!(stop.goes_on() && other.goes_on() && stop.goes_on());
        assert!(!stop.goes_on() && !other.goes_on());
    }
}
