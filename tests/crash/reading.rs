//! Reads everything back and compares it with the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use greenroom_tests::{Client, encode};
use serde_json::Value;

use crate::act::{Act, Kind, mark_of};
use crate::creations::compare_creations;
use crate::findings::Findings;
use crate::journal::Record;
use crate::watcher::Watched;
use crate::world::{World, resumed};

/// The journal: what each writer did, in order.
pub type History = BTreeMap<usize, Vec<Record>>;

/// Compares the journal with all that the server gives back: history paged both ways, sync from
/// scratch, the single reads, and what came down a sync that was kept up all along.
pub async fn compare(world: &World, history: &History, watched: Option<&Watched>) -> Findings {
    let mut findings = Findings::default();
    let mut timelines = BTreeMap::new();
    for room in world.rooms() {
        let timeline = page(&world.witness, room, "f").await;
        let mut backward = page(&world.witness, room, "b").await;
        backward.reverse();
        if ids(&timeline) != ids(&backward) {
            let what = format!("{room} paged backward is not what it is forward");
            findings.altered.push(what);
        }
        if let Some(watched) = watched
            && marked(&watched[room]) != marked(&timeline)
        {
            let what = format!(
                "{room} as synced all along ({} events) is not its history ({})",
                marked(&watched[room]).len(),
                marked(&timeline).len()
            );
            findings.altered.push(what);
        }
        timelines.insert(room.clone(), timeline);
    }
    for (writer, records) in history {
        for (room, timeline) in &timelines {
            let sender = &world.writers[*writer].user_id;
            compare_timeline(&mut findings, room, timeline, sender, records);
        }
        compare_places(&mut findings, world, *writer, records, &timelines).await;
        compare_creations(&mut findings, world, &world.writers[*writer], records).await;
        let acked = records.iter().filter(|record| record.ack.is_some());
        findings.compared += acked.count() as u64;
    }
    findings
}

/// All events of a room, as paged in one direction.
async fn page(client: &Client, room: &str, direction: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let mut query = format!("dir={direction}&limit=500");
        if let Some(token) = &from {
            query = format!("{query}&from={}", encode(token));
        }
        let body = client.messages(room, &query).await;
        let chunk = body["chunk"].as_array().expect("a chunk");
        events.extend(chunk.iter().cloned());
        let end = body["end"].as_str().filter(|_| !chunk.is_empty());
        match end {
            Some(end) => from = Some(end.to_owned()),
            None => return events,
        }
    }
}

fn ids(events: &[Value]) -> Vec<&str> {
    let ids = events.iter().map(|event| event["event_id"].as_str());
    ids.map(|id| id.expect("an event id")).collect()
}

/// The ids of the events that came of acts.
fn marked(events: &[Value]) -> Vec<&str> {
    let marked = events.iter().filter(|event| mark_of(event).is_some());
    marked
        .map(|event| event["event_id"].as_str().expect("an event id"))
        .collect()
}

/// One writer's events of a room: each once, in order, as acknowledged, and no others.
pub fn compare_timeline(
    findings: &mut Findings,
    room: &str,
    timeline: &[Value],
    sender: &str,
    records: &[Record],
) {
    let mut found: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut interruptions: HashMap<&str, usize> = HashMap::new();
    for (index, event) in timeline.iter().enumerate() {
        let Some(mark) = mark_of(event) else { continue };
        if event["sender"] == sender {
            found.entry(mark).or_default().push(index);
        } else if mark.starts_with("resumed.") {
            interruptions.insert(mark, index);
        }
    }
    let mut before = None;
    let of_room = |record: &&Record| record.act.room == room && record.act.kind.makes_event();
    for record in records.iter().filter(of_room) {
        let mark = record.act.mark();
        let what = format!("{} {mark} in {room}", record.act.kind.name());
        let indexes = found.remove(mark.as_str()).unwrap_or_default();
        let Some(&index) = indexes.first() else {
            if record.ack.is_some() {
                findings.lost.push(what);
            }
            continue;
        };
        if indexes.len() > 1 {
            findings
                .duplicated
                .push(format!("{what}: {} times", indexes.len()));
        }
        if before.is_some_and(|before| index < before) {
            findings.reordered.push(what.clone());
        }
        before = Some(index);
        let event = &timeline[index];
        if !says(event, &record.act, sender) {
            findings.altered.push(format!("{what}: {event}"));
        }
        let Some(ack) = &record.ack else { continue };
        if ack.id.as_ref().is_some_and(|id| event["event_id"] != **id) {
            findings
                .altered
                .push(format!("{what}: answered {:?}, is {event}", ack.id));
        }
        if ack.tries > 1 {
            findings.retried += 1;
            let resumed = interruptions.get(resumed(ack.generation).as_str());
            findings.kept += u64::from(resumed.is_some_and(|resumed| index < *resumed));
        }
    }
    for mark in found.keys() {
        findings.stray.push(format!("{mark} by {sender} in {room}"));
    }
}

/// Whether an event is what the act wanted.
fn says(event: &Value, act: &Act, sender: &str) -> bool {
    let content = &event["content"];
    match act.kind {
        Kind::Message => {
            event["type"] == "m.room.message"
                && content["body"] == format!("message {}", act.mark())
        }
        Kind::State => event["type"] == act.slot && event["state_key"] == sender,
        Kind::Join | Kind::Leave => {
            event["type"] == "m.room.member"
                && event["state_key"] == sender
                && content["membership"] == act.kind.name()
        }
        _ => false,
    }
}

/// What may stand in a place: what was acknowledged last, or what was tried after it.
#[derive(Default)]
struct Place<'a> {
    acked: Option<&'a Act>,
    tried: Option<&'a Act>,
}

impl Place<'_> {
    fn allows(&self, allowed: impl Fn(&Act) -> bool, is_empty: bool) -> bool {
        let tried = self.tried.is_some_and(&allowed);
        tried || self.acked.map_or(is_empty, allowed)
    }
}

/// What overwrites itself: the last acknowledged value stands, in each way it can be read.
async fn compare_places(
    findings: &mut Findings,
    world: &World,
    writer: usize,
    records: &[Record],
    timelines: &BTreeMap<String, Vec<Value>>,
) {
    let client = &world.writers[writer];
    let mut places: BTreeMap<_, Place<'_>> = BTreeMap::new();
    for record in records {
        let place = places.entry(record.act.place()).or_default();
        match &record.ack {
            Some(_) => place.acked = Some(&record.act),
            None => place.tried = Some(&record.act),
        }
    }
    let own = client.sync("").await;
    let seen = world.witness.sync("").await;
    compare_newest(findings, &own, timelines);
    compare_newest(findings, &seen, timelines);
    for ((_, kind, room, slot), place) in &places {
        for (how, value) in standing(client, world, (*kind, room, slot), &own, &seen).await {
            let stands = |act: &Act| match kind {
                Kind::Join => (value.as_str() == Some("join")) == (act.kind == Kind::Join),
                Kind::Receipt => value == act.slot.as_str(),
                _ => value == act.mark().as_str(),
            };
            let is_empty = value.is_null() || value == "leave";
            if !place.allows(stands, is_empty) {
                let acked = place.acked.map(|act| (act.mark(), &act.slot));
                let tried = place.tried.map(|act| (act.mark(), &act.slot));
                findings.lost.push(format!(
                    "{} {slot} of writer {writer} in {room:?}: {how} gives {value}; \
                     acknowledged {acked:?}, then tried {tried:?}",
                    kind.name()
                ));
            }
        }
    }
}

/// What stands in a place, by each way of reading it.
async fn standing(
    client: &Client,
    world: &World,
    (kind, room, slot): (Kind, &str, &str),
    own: &Value,
    seen: &Value,
) -> Vec<(&'static str, Value)> {
    let user = encode(&client.user_id);
    let joined = &own["rooms"]["join"][room];
    let get = async |path: String| client.get(&path).await.body["mark"].clone();
    match kind {
        Kind::AccountData => {
            let path = format!("user/{user}/account_data/{slot}");
            vec![
                ("sync", typed(&own["account_data"], slot)),
                ("get", get(path).await),
            ]
        }
        Kind::RoomAccountData => {
            let path = format!("user/{user}/rooms/{}/account_data/{slot}", encode(room));
            vec![
                ("sync", typed(&joined["account_data"], slot)),
                ("get", get(path).await),
            ]
        }
        Kind::State => {
            let state = client.state(room, slot, &client.user_id).await;
            vec![
                ("sync", state_in(joined, slot, &client.user_id)),
                (
                    "the witness's sync",
                    state_in(&seen["rooms"]["join"][room], slot, &client.user_id),
                ),
                ("get", state.body["mark"].clone()),
            ]
        }
        Kind::Receipt => vec![
            ("sync", receipt_in(joined, &client.user_id)),
            (
                "the witness's sync",
                receipt_in(&seen["rooms"]["join"][room], &client.user_id),
            ),
        ],
        Kind::Join | Kind::Leave => {
            let membership = |inside: bool| Value::from(if inside { "join" } else { "leave" });
            let rooms = client.get("joined_rooms").await.expect_ok();
            let rooms = rooms["joined_rooms"].as_array().expect("a list");
            let path = format!("rooms/{}/joined_members", encode(room));
            let members = world.witness.get(&path).await.expect_ok();
            vec![
                ("sync", membership(joined.is_object())),
                (
                    "joined_rooms",
                    membership(rooms.iter().any(|it| it == room)),
                ),
                (
                    "joined_members",
                    membership(members["joined"].get(&client.user_id).is_some()),
                ),
            ]
        }
        Kind::Message | Kind::Create => Vec::new(),
    }
}

/// The mark of the account data of this type.
fn typed(section: &Value, data_type: &str) -> Value {
    let mut events = section["events"].as_array().into_iter().flatten();
    let found = events.find(|event| event["type"] == data_type);
    found.map_or(Value::Null, |event| event["content"]["mark"].clone())
}

/// The mark of the state of this type under this key.
fn state_in(joined: &Value, event_type: &str, state_key: &str) -> Value {
    let events = |section: &str| joined[section]["events"].as_array().into_iter().flatten();
    let found = events("state")
        .chain(events("timeline"))
        .rfind(|event| event["type"] == event_type && event["state_key"] == state_key);
    found.map_or(Value::Null, |event| event["content"]["mark"].clone())
}

/// The event that a user has read up to.
fn receipt_in(joined: &Value, user_id: &str) -> Value {
    let events = joined["ephemeral"]["events"].as_array();
    let receipts = events
        .into_iter()
        .flatten()
        .filter(|event| event["type"] == "m.receipt")
        .filter_map(|event| event["content"].as_object())
        .flatten();
    let mut read = receipts.filter(|(_, types)| types["m.read"].get(user_id).is_some());
    read.next()
        .map_or(Value::Null, |(event_id, _)| event_id.as_str().into())
}

/// The timelines of a sync from scratch are the newest part of each room's history.
fn compare_newest(findings: &mut Findings, body: &Value, timelines: &BTreeMap<String, Vec<Value>>) {
    for (room, joined) in body["rooms"]["join"].as_object().into_iter().flatten() {
        let newest = joined["timeline"]["events"].as_array();
        let newest = ids(newest.expect("a timeline"));
        // The swarm has made rooms besides.
        let Some(all) = timelines.get(room).map(|events| ids(events)) else {
            continue;
        };
        let distinct: BTreeSet<_> = newest.iter().collect();
        if newest.is_empty() || distinct.len() < newest.len() || !all.ends_with(&newest) {
            findings.altered.push(format!(
                "{room}: a sync from scratch is not its newest part"
            ));
        }
    }
}
