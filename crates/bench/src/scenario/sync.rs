//! First syncs of an account in many rooms, and syncs with nothing new.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Bench;
use super::setup::{fill, join_all};
use crate::error::{BenchError, Result};
use crate::http::Method;
use crate::latency::Latencies;
use crate::matrix::{Client, Room, SyncAnswer, escape};
use crate::measure::Measurement;
use crate::outcome::Outcome;
use crate::parallel;
use crate::verify::Verdict;

/// The timeline limit that the initial syncs ask for.
const LIMIT: usize = 10;

/// Initial syncs with a timeline limit of 10.
pub(super) async fn initial(bench: &Bench) -> Result<Outcome> {
    let (rooms, messages, count) = (bench.rooms(100), bench.messages(50), bench.count(20));
    let parameters = [
        ("rooms", rooms as u64),
        ("messages", messages as u64),
        ("limit", LIMIT as u64),
    ];
    let mut outcome = Outcome::new("initial sync", &parameters);
    let (mut reader, newest) = prepare(bench, rooms, messages).await?;
    let mut latencies = Latencies::default();
    let mut answers = Vec::with_capacity(count);
    let measurement = Measurement::begin(&bench.options.pid).await?;
    for number in 0..count {
        // Another filter each time, so that no server answers from a cache of whole answers.
        let filter = format!(
            r#"{{"room":{{"timeline":{{"limit":{LIMIT},"not_types":["bench.{number}"]}}}}}}"#
        );
        let path = format!(
            "/_matrix/client/v3/sync?timeout=0&filter={}",
            escape(&filter)
        );
        let started = Instant::now();
        let body = reader.call(Method::Get, &path, b"").await?;
        let elapsed = started.elapsed();
        if number == 0 {
            outcome.set("first_ms", elapsed.as_secs_f64() * 1_000.0);
            outcome.set("answer_kib", body.len() as f64 / 1_024.0);
        }
        latencies.push(elapsed);
        answers.push(body);
    }
    measurement
        .end(&mut outcome, count as u64, latencies)
        .await?;
    for body in answers {
        let answer: SyncAnswer = serde_json::from_slice(&body)?;
        outcome
            .verified
            .add(&check_initial(&answer, &newest, messages)?);
    }
    Ok(outcome)
}

/// Incremental syncs of an account in many rooms where nothing happens.
pub(super) async fn idle(bench: &Bench) -> Result<Outcome> {
    let (rooms, messages) = (bench.rooms(100), bench.messages(1));
    let mut outcome = Outcome::new("sync with nothing new", &[("rooms", rooms as u64)]);
    let (mut reader, newest) = prepare(bench, rooms, messages).await?;
    let mut answer = reader.sync("timeout=0").await?;
    outcome.verified = check_initial(&answer, &newest, messages)?;
    // What the account's own arrival still causes (presence, say) is not what is measured.
    for _ in 0..10 {
        answer = reader
            .sync(&format!("timeout=0&since={}", escape(&answer.next_batch)))
            .await?;
    }
    let limit = Duration::from_secs(u64::from(bench.options.seconds.unwrap_or(5)));
    let count = bench.count(usize::MAX);
    let mut latencies = Latencies::default();
    let mut operations = 0;
    let mut busy = 0_u64;
    let measurement = Measurement::begin(&bench.options.pid).await?;
    while operations < count
        && (bench.options.count.is_some() || measurement.started().elapsed() < limit)
    {
        let path = format!(
            "/_matrix/client/v3/sync?timeout=0&since={}",
            escape(&answer.next_batch)
        );
        let started = Instant::now();
        let body = reader.call(Method::Get, &path, b"").await?;
        latencies.push(started.elapsed());
        answer = serde_json::from_slice(&body)?;
        busy += u64::from(!answer.joined().is_empty());
        operations += 1;
    }
    measurement
        .end(&mut outcome, operations as u64, latencies)
        .await?;
    if busy > 0 {
        outcome.failure = Some(format!(
            "{busy} answers had rooms although nothing had happened"
        ));
    }
    Ok(outcome)
}

/// A reader in `rooms` rooms, and the newest messages of each by room id.
async fn prepare(
    bench: &Bench,
    rooms: usize,
    messages: usize,
) -> Result<(Client, HashMap<String, Vec<String>>)> {
    let mut owners = bench.accounts(5).await?;
    let reader = owners.pop();
    let (owners, rooms) = bench.public_rooms(owners, rooms).await?;
    let many = owners.len();
    let mut shares = Vec::new();
    for (first, owner) in owners.into_iter().enumerate() {
        let own: Vec<Arc<Room>> = rooms
            .iter()
            .skip(first)
            .step_by(many)
            .map(Arc::clone)
            .collect();
        shares.push((owner, own));
    }
    let reader = join_all(reader.into_iter().collect(), rooms).await?.pop();
    let filled = parallel::each(
        many,
        shares,
        move |(mut owner, rooms): (Client, Vec<Arc<Room>>)| async move {
            let sent = fill(&mut owner, &rooms, messages).await?;
            Ok(rooms
                .iter()
                .map(|room| room.id.clone())
                .zip(sent)
                .collect::<Vec<_>>())
        },
    );
    let newest = filled.await?.into_iter().flatten().collect();
    reader
        .map(|reader| (reader, newest))
        .ok_or_else(|| BenchError::Setup("no account was registered".into()))
}

/// Every room is there and its timeline ends with its newest messages.
fn check_initial(
    answer: &SyncAnswer,
    newest: &HashMap<String, Vec<String>>,
    messages: usize,
) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    for (room_id, sent) in newest {
        let tail: Vec<&str> = sent
            .iter()
            .rev()
            .take(LIMIT)
            .rev()
            .map(String::as_str)
            .collect();
        let room = answer
            .joined()
            .get(room_id)
            .ok_or_else(|| BenchError::Verification(format!("{room_id} is missing from a sync")))?;
        let events: Vec<&str> = room
            .timeline
            .events
            .iter()
            .map(|event| event.event_id.as_str())
            .collect();
        let shown: Vec<&str> = events.into_iter().rev().take(tail.len()).rev().collect();
        if messages > LIMIT && (room.timeline.events.len() != LIMIT || !room.timeline.limited) {
            let length = room.timeline.events.len();
            return Err(BenchError::Verification(format!(
                "{room_id}: {length} events where the limit is {LIMIT}"
            )));
        }
        if room.timeline.limited && room.timeline.prev_batch.is_none() {
            return Err(BenchError::Verification(format!(
                "{room_id}: limited, and no prev_batch"
            )));
        }
        verdict.add(&Verdict::compare(&[tail], &shown));
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::check_initial;
    use crate::matrix::SyncAnswer;

    fn answer(events: &[&str], limited: bool) -> SyncAnswer {
        let events: Vec<_> = events
            .iter()
            .map(|id| serde_json::json!({ "event_id": id }))
            .collect();
        let json = serde_json::json!({ "next_batch": "s", "rooms": { "join": { "!a:x": {
            "timeline": { "events": events, "limited": limited, "prev_batch": "p" } } } } });
        serde_json::from_value(json).expect("is an answer")
    }

    fn sent(ids: &[&str]) -> HashMap<String, Vec<String>> {
        HashMap::from([(
            "!a:x".to_owned(),
            ids.iter().map(|id| (*id).to_owned()).collect(),
        )])
    }

    #[test]
    fn the_newest_messages_must_end_the_timeline() {
        let clean = check_initial(
            &answer(&["$state", "$1", "$2"], false),
            &sent(&["$1", "$2"]),
            2,
        )
        .expect("checks");
        assert!(clean.is_clean());
        let stale = check_initial(&answer(&["$state", "$1"], false), &sent(&["$1", "$2"]), 2)
            .expect("checks");
        assert_eq!((stale.lost, stale.unknown), (1, 1));
    }

    #[test]
    fn a_missing_room_and_a_wrong_limit_are_failures() {
        assert!(
            check_initial(
                &answer(&["$1"], false),
                &HashMap::from([("!b:x".to_owned(), vec![])]),
                1
            )
            .is_err()
        );
        let ids: Vec<String> = (0..20).map(|n| format!("${n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert!(check_initial(&answer(&ids, true), &sent(&ids), 20).is_err());
        assert!(
            check_initial(&answer(&ids[10..], true), &sent(&ids), 20)
                .expect("checks")
                .is_clean()
        );
    }
}
