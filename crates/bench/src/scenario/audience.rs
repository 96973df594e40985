//! Messages in a room of a given size, some of whose members follow it: what each member more
//! costs a message.

use std::sync::Arc;

use super::Bench;
use super::setup::{Filling, fill_together, join_all};
use crate::error::{BenchError, Result};
use crate::latency::Latencies;
use crate::matrix::{Client, escape, history};
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::parallel;
use crate::verify::Verdict;

/// Clients that send at once.
const SENDERS: usize = 8;

/// `--count` messages into a room of `--members`, of whom `--receivers` have synced before and
/// sync after: a server that puts the work off until somebody asks has done it then.
pub(super) async fn run(bench: &Bench) -> Result<Outcome> {
    let (members, count) = (bench.options.members as usize, bench.count(2_000));
    let followers = bench.options.receivers as usize;
    let least = SENDERS + followers;
    if members < least {
        return Err(BenchError::Setup(format!(
            "--members must be {least} at least: {SENDERS} send and --receivers follow"
        )));
    }
    let parameters = [("members", members as u64), ("receivers", followers as u64)];
    let mut outcome = Outcome::new("acknowledged message", &parameters);
    let mut clients = bench.accounts(members).await?;
    let others = clients.split_off(1);
    let (mut owners, rooms) = bench.public_rooms(clients, 1).await?;
    let Some(room) = rooms.first().map(Arc::clone) else {
        return Err(BenchError::Setup("no room was created".into()));
    };
    let mut others = join_all(others, rooms).await?;
    // The rest is away, and was never there.
    let _away = others.split_off(least - 1);
    let senders = others.split_off(followers);
    owners.extend(senders);
    let sync = |(mut client, since): (Client, Option<String>)| async move {
        let since = since.map_or_else(String::new, |since| format!("&since={}", escape(&since)));
        let answer = client.sync(&format!("timeout=0{since}")).await?;
        Ok((client, Some(answer.next_batch)))
    };
    let followers = others.into_iter().map(|client| (client, None)).collect();
    let followers = parallel::each(SENDERS, followers, sync).await?;
    let measurement = Measurement::begin(&bench.options.pid).await?;
    let (mut senders, acked) = fill_together(owners, &room, count, Filling::Text).await?;
    parallel::each(SENDERS, followers, sync).await?;
    measurement
        .end(&mut outcome, count as u64, Latencies::default())
        .await?;
    let Some(reader) = senders.first_mut() else {
        return Err(BenchError::Setup("nobody sends".into()));
    };
    let events = history(reader, &room, &mut Latencies::default()).await?;
    let found = super::setup::ids_of_messages(events);
    outcome.verified = Verdict::compare(&acked, &found);
    Ok(outcome)
}
