//! Everybody at once: whatever the order comes to be, a room's state is what its events say, and
//! each event was allowed where it stands.
//!
//! The order is chance. A failure names its seed; `GREENROOM_RACE_SEED` plays the same choices again,
//! if not the same scheduling.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use greenroom_tests::{Client, TestServer, encode, shared_server};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rooms::{in_room, shared_room, text, timeline};

/// `SplitMix64`: small, and good enough to choose by.
struct Random(u64);

impl Random {
    /// From the seed of this run, which is printed: what a failing test prints is shown.
    fn seeded() -> Self {
        let given = std::env::var("GREENROOM_RACE_SEED");
        let seed = given.ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        println!("GREENROOM_RACE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The state at some point: the event ID in each place.
type State = BTreeMap<(String, String), String>;

fn id(event: &Value) -> &str {
    event["event_id"].as_str().unwrap()
}

/// All events of a room, oldest first, the last ones with what other servers would be told: the
/// events that they follow and that allow them.
async fn events(member: &Client, room: &str) -> Vec<Value> {
    let filter = json!({"event_format": "federation", "presence": {"not_types": ["*"]},
        "room": {"rooms": [room], "timeline": {"limit": 1000}}});
    let filter = encode(&filter.to_string());
    let news = member.sync(&format!("filter={filter}")).await;
    let told = &news["rooms"]["join"][room]["timeline"]["events"];
    let mut found = timeline(member, room).await;
    for (event, told) in found
        .iter_mut()
        .rev()
        .zip(told.as_array().unwrap().iter().rev())
    {
        assert_eq!(event["type"], told["type"]);
        assert_eq!(event["sender"], told["sender"]);
        for field in ["prev_events", "auth_events"] {
            event[field] = told[field].clone();
        }
    }
    found
}

/// Plays a room's events again from the first: each stands on the one before, is allowed by what
/// was in its place then, and at the end the state is the one that the server has stored. Gives the
/// events, with the state before each.
async fn replayed(member: &Client, room: &str) -> Vec<(Value, State)> {
    let mut state = State::new();
    let mut played = Vec::new();
    let mut before: Option<String> = None;
    for event in events(member, room).await {
        if let (Some(named), Some(before)) = (event["prev_events"].as_array(), &before) {
            assert_eq!(named.len(), 1, "a fork: {event}");
            assert!(named[0].to_string().contains(before), "a gap: {event}");
        }
        for named in event["auth_events"].as_array().into_iter().flatten() {
            let named = named.as_str().or(named[0].as_str()).unwrap();
            let held = state.values().any(|held| held == named);
            assert!(held, "{named} was not in the state before {event}");
        }
        before = Some(id(&event).to_owned());
        played.push((event.clone(), state.clone()));
        if let Some(key) = event["state_key"].as_str() {
            let event_type = event["type"].as_str().unwrap().to_owned();
            state.insert((event_type, key.to_owned()), id(&event).to_owned());
        }
    }
    let stored = member.get(&in_room(room, "state")).await.expect_ok();
    let stored = stored.as_array().unwrap().iter();
    let mut stored: Vec<&str> = stored.map(id).collect();
    stored.sort_unstable();
    let mut replayed: Vec<&str> = state.values().map(String::as_str).collect();
    replayed.sort_unstable();
    assert_eq!(stored, replayed, "the state is not what the events say");
    played
}

/// Each sender's membership at each of their messages.
fn assert_senders_were_joined(played: &[(Value, State)]) {
    let members: BTreeMap<&str, &Value> = played
        .iter()
        .map(|(event, _)| (id(event), &event["content"]["membership"]))
        .collect();
    for (event, state) in played {
        if event["type"] != "m.room.message" {
            continue;
        }
        let sender = event["sender"].as_str().unwrap().to_owned();
        let member = &state[&("m.room.member".to_owned(), sender)];
        assert_eq!(members[member.as_str()], "join", "{event}");
    }
}

#[tokio::test]
async fn b21_bans_against_sends() {
    let server = shared_server().await;
    let mut random = Random::seeded();
    for version in ["1", "6", "12"] {
        let request = json!({"preset": "public_chat", "room_version": version});
        let alice = server.register("alice").await;
        let room = alice.create_room(request).await;
        let others = join_all(["b", "c"].map(|name| server.register(name))).await;
        join_all(others.iter().map(|other| other.join(&room))).await;
        let acts = (0..60).map(|n| {
            let other = &others[random.below(others.len())];
            let act = *random.pick(&["say", "say", "say", "join", "ban", "unban", "kick", "name"]);
            (n, other, act)
        });
        let acts: Vec<_> = acts.collect();
        let outcomes = join_all(acts.iter().map(async |(n, other, act)| {
            let path = in_room(&room, act);
            let named = json!({"user_id": other.user_id});
            let answer = match *act {
                "say" => {
                    let path = in_room(&room, &format!("send/m.room.message/{n}"));
                    other.put(&path, text(&format!("{n}"))).await
                }
                "name" => {
                    let path = in_room(&room, "state/m.room.name");
                    alice.put(&path, json!({"name": n})).await
                }
                "join" => other.post(&path, json!({})).await,
                _ => alice.post(&path, named).await,
            };
            let fair = [200, 400, 403].contains(&answer.status);
            assert!(fair, "{act}: {}", answer.describe());
            let sent = answer.body["event_id"].as_str().map(str::to_owned);
            (*act, answer.status, sent)
        }));
        let outcomes = outcomes.await;
        let played = replayed(&alice, &room).await;
        assert_senders_were_joined(&played);
        let said = |event_id: &String| played.iter().any(|(event, _)| id(event) == event_id);
        let messages = played.iter();
        let messages = messages.filter(|(event, _)| event["type"] == "m.room.message");
        let accepted = outcomes
            .iter()
            .filter(|(act, status, _)| (*act, *status) == ("say", 200));
        assert_eq!(
            messages.count(),
            accepted.clone().count(),
            "version {version}"
        );
        assert!(accepted.filter_map(|(_, _, sent)| sent.as_ref()).all(said));
    }
}

#[tokio::test]
async fn b25_upgrades_against_everything() {
    let server = shared_server().await;
    let mut random = Random::seeded();
    for (old, new) in [("1", "12"), ("10", "11"), ("12", "12")] {
        let alice = server.register("alice").await;
        let others = join_all(["b", "c", "d"].map(|name| server.register(name))).await;
        let request = json!({"room_version": old, "preset": "public_chat",
            "power_level_content_override": {"events": {"m.room.tombstone": 60},
                "users": {alice.user_id.as_str(): 100, others[0].user_id.as_str(): 60}}});
        let mut request = request;
        if old == "12" {
            let users = &mut request["power_level_content_override"]["users"];
            users.as_object_mut().unwrap().remove(&alice.user_id);
        }
        let room = alice.create_room(request).await;
        join_all(others.iter().map(|other| other.join(&room))).await;
        let first = json!({"name": "first"});
        let first = alice.send_state(&room, "m.room.name", "", first).await;
        let acts = ["say", "name", "topic", "ban", "unban", "redact", "upgrade"];
        let mut acts: Vec<(usize, &str)> = (0..40).map(|n| (n, *random.pick(&acts))).collect();
        acts.extend([(40, "upgrade"), (41, "upgrade"), (42, "name")]);
        for at in 0..acts.len() {
            let other = random.below(acts.len());
            acts.swap(at, other);
        }
        let outcomes = join_all(acts.iter().map(async |(n, act)| {
            let admin = [&alice, &others[0]][n % 2];
            let target = &others[1 + n % 2];
            let answer = match *act {
                "say" => {
                    let path = in_room(&room, &format!("send/m.room.message/{n}"));
                    target.put(&path, text(&format!("{n}"))).await
                }
                "name" | "topic" => {
                    let path = in_room(&room, &format!("state/m.room.{act}"));
                    let content = json!({*act: format!("{act} {n}")});
                    alice.put(&path, content).await
                }
                "redact" => {
                    let path = in_room(&room, &format!("redact/{}/{n}", encode(&first)));
                    alice.put(&path, json!({})).await
                }
                "upgrade" => {
                    let body = json!({"new_version": new});
                    admin.post(&in_room(&room, act), body).await
                }
                _ => {
                    let body = json!({"user_id": target.user_id});
                    alice.post(&in_room(&room, act), body).await
                }
            };
            let fair = [200, 403].contains(&answer.status);
            assert!(fair || *act == "upgrade", "{act}: {}", answer.describe());
            (*act, answer)
        }));
        let outcomes = outcomes.await;
        let upgrades = outcomes.into_iter().filter(|(act, _)| *act == "upgrade");
        let mut replacements: Vec<Value> = upgrades
            .map(|(_, answer)| answer.expect_ok()["replacement_room"].clone())
            .collect();
        replacements.dedup();
        assert_eq!(replacements.len(), 1, "{replacements:?}");
        let next = replacements[0].as_str().unwrap();
        let played = replayed(&alice, &room).await;
        assert_senders_were_joined(&played);
        assert_is_carried_over(&played, &alice, &others[0], next).await;
    }
}

/// The replacement says what the room said when its tombstone was put up, and nothing later.
async fn assert_is_carried_over(
    played: &[(Value, State)],
    alice: &Client,
    other_admin: &Client,
    next: &str,
) {
    let tombstones = played.iter();
    let mut tombstones = tombstones.filter(|(event, _)| event["type"] == "m.room.tombstone");
    let (tombstone, state) = tombstones.next().unwrap();
    assert!(tombstones.next().is_none(), "two tombstones");
    assert_eq!(tombstone["content"]["replacement_room"], next);
    let upgrader = [alice, other_admin]
        .into_iter()
        .find(|admin| tombstone["sender"] == *admin.user_id)
        .unwrap();
    let content = |event_id: &String| {
        let (event, _) = played
            .iter()
            .find(|(event, _)| id(event) == event_id)
            .unwrap();
        event["content"].clone()
    };
    let now = replayed(upgrader, next).await;
    let said = |event_type: &str, key: &str| {
        let mut events = now.iter().rev().map(|(event, _)| event);
        let found = events.find(|it| it["type"] == event_type && it["state_key"] == key);
        found.map(|event| event["content"].clone())
    };
    for event_type in ["m.room.name", "m.room.topic"] {
        let key = (event_type.to_owned(), String::new());
        let right = state.get(&key).map(content);
        let found = said(event_type, "");
        match &right {
            // It was redacted before the tombstone, or after it: then it may be there.
            Some(right) if right.as_object().unwrap().is_empty() => {}
            _ => assert_eq!(found, right, "{event_type}"),
        }
    }
    for ((event_type, user), member) in state {
        if event_type != "m.room.member" || *user == upgrader.user_id {
            continue;
        }
        let banned = content(member)["membership"] == "ban";
        let found = said("m.room.member", user);
        assert_eq!(found.is_some(), banned, "{user}: {found:?}");
    }
}

/// What stands inside of the words that are redacted, and of those that are kept: an index may
/// leave out how a word begins.
const GONE: &str = "hushhush";
const KEPT: &str = "keepkeep";

/// Whether a search for a word finds the event.
async fn finds(client: &Client, word: &str, event_id: &str) -> bool {
    let request = json!({"search_categories": {"room_events": {"search_term": word}}});
    let answer = client.post("search", request).await.expect_ok();
    let results = &answer["search_categories"]["room_events"]["results"];
    let mut results = results.as_array().unwrap().iter();
    results.any(|result| id(&result["result"]) == event_id)
}

#[tokio::test]
async fn b33_a39_redactions_against_searches() {
    let server = TestServer::start().await;
    let mut random = Random::seeded();
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let mut kept = Vec::new();
    for round in 0..3 {
        // Each message has a course of its own: searched for before it is redacted, while it is,
        // or not at all; by somebody, or by nobody.
        let courses: Vec<_> = (0..40)
            .map(|n| (n, random.below(4), random.below(2), random.below(2)))
            .collect();
        let said = join_all(courses.iter().map(async |(n, course, by, before)| {
            let (gone, searcher) = (*course < 3, [&alice, &bob][*by]);
            let inside = if gone { GONE } else { KEPT };
            let word = format!("r{round}n{n}{inside}");
            let (txn, said) = (format!("{round}-{n}"), format!("{word} and {word}s"));
            let event_id = bob.send_text(&room, &txn, &said).await;
            if *before == 1 {
                assert!(finds(searcher, &word, &event_id).await, "{word}");
            }
            if !gone {
                return (word, event_id, gone);
            }
            let path = format!("redact/{}/{txn}", encode(&event_id));
            let path = in_room(&room, &path);
            let redact = alice.put(&path, json!({}));
            let redacted = match *course {
                // At the same time: what it finds is chance.
                0 => tokio::join!(redact, finds(searcher, &word, &event_id)).0,
                _ => redact.await,
            };
            redacted.expect_ok();
            assert!(!finds(searcher, &word, &event_id).await, "{word}");
            (word, event_id, gone)
        }))
        .await;
        match random.below(3) {
            0 => drop(server.kill9().await),
            1 => drop(server.stop().await),
            _ => {}
        }
        server.restart().await;
        for (word, event_id, gone) in &said {
            assert_eq!(finds(&alice, word, event_id).await, !gone, "{word}");
        }
        kept.extend(said.into_iter().filter(|(_, _, gone)| !gone));
    }
    replayed(&alice, &room).await;
    let status = server.stop().await;
    assert!(status.success(), "{status}");
    let stored = server.stored();
    let holds = |text: &str| stored.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(
        kept.is_empty() || holds(KEPT),
        "this test cannot read what is stored"
    );
    assert!(!holds(GONE), "something of what was redacted is left");
}
