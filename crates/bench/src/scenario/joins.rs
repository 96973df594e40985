//! Joins into public rooms of a given size.

use std::sync::Arc;
use std::time::Instant;

use super::setup::join_all;
use super::{Bench, cyclic};
use crate::error::{BenchError, Result};
use crate::latency::Latencies;
use crate::matrix::{Client, Room, history};
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::parallel;
use crate::verify::Verdict;

/// `--count` accounts join, spread over `--rooms` rooms that have `--members` each.
pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (count, many) = (bench.count(300), bench.rooms(1));
    let (members, at_once) = (bench.options.members as usize, bench.senders(16));
    let parameters = [
        ("members", members as u64),
        ("rooms", many as u64),
        ("joins", count as u64),
        ("at_once", at_once as u64),
    ];
    let mut outcome = Outcome::new("join", &parameters);
    let (mut owners, rooms) = bench.public_rooms(bench.accounts(1).await?, many).await?;
    let mut owner = owners
        .pop()
        .ok_or_else(|| BenchError::Setup("no account was registered".into()))?;
    // The owner is the first member.
    let before = join_all(bench.accounts(members - 1).await?, rooms.clone()).await?;
    let residents: Vec<String> = before
        .into_iter()
        .map(|client| client.user_id)
        .chain([owner.user_id.clone()])
        .collect();

    let mut joiners = Vec::with_capacity(count);
    for (index, client) in bench.accounts(count).await?.into_iter().enumerate() {
        joiners.push((client, Arc::clone(cyclic(&rooms, index)?)));
    }
    let join = |(mut client, room): (Client, Arc<Room>)| async move {
        let started = Instant::now();
        client.join(&room).await?;
        Ok((started.elapsed(), client.user_id, room))
    };
    let measurement = Measurement::begin(&bench.options.pid).await?;
    let joined = parallel::each(at_once, joiners, join).await?;
    let mut latencies = Latencies::default();
    for (elapsed, ..) in &joined {
        latencies.push(*elapsed);
    }
    measurement
        .end(&mut outcome, count as u64, latencies)
        .await?;

    for room in &rooms {
        let arrived = joined
            .iter()
            .filter(|(_, _, joined)| joined.id == room.id)
            .map(|(_, user_id, _)| user_id.clone());
        let expected: Vec<Vec<String>> = residents
            .iter()
            .cloned()
            .chain(arrived)
            .map(|user_id| vec![user_id])
            .collect();
        outcome
            .verified
            .add(&verify(&mut owner, room, &expected).await?);
    }
    Ok(outcome)
}

/// Each of `expected` is a member and has exactly one member event.
async fn verify(owner: &mut Client, room: &Room, expected: &[Vec<String>]) -> Result<Verdict> {
    let members = owner.joined_members(room).await?;
    let mut verdict = Verdict::compare(expected, &members);
    let events = history(owner, room, &mut Latencies::default()).await?;
    let joins: Vec<String> = events
        .into_iter()
        .filter(|event| event.event_type == "m.room.member")
        .filter_map(|event| event.state_key)
        .collect();
    verdict.add(&Verdict::compare(expected, &joins));
    Ok(verdict)
}
