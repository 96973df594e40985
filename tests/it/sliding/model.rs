//! A client that loses, repeats and reorders answers, changes its mind about what it wants, and is
//! removed and comes back: what it has put together is always a stretch of what it may see, and
//! when it has caught up, it has all of it.

use std::collections::BTreeMap;

use greenroom_tests::{Client, TestServer, encode};
use serde_json::{Value, json};

use self::Membership::{Banned, Invited, Joined, Left, Never};
use super::{ask, ids, pos};

/// How many steps; more are set by `GREENROOM_MODEL_STEPS`.
const STEPS: usize = 1_200;
/// How many steps lie between two moments at which the client catches up.
const PHASE: usize = 150;
const ROOMS: usize = 5;

/// Small and good enough: the same seed makes the same story.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// What a user is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    Never,
    Invited,
    Joined,
    Left,
    Banned,
}

impl Membership {
    fn name(self) -> &'static str {
        match self {
            Self::Never => "",
            Self::Invited => "invite",
            Self::Joined => "join",
            Self::Left => "leave",
            Self::Banned => "ban",
        }
    }
}

/// A room as it is.
#[derive(Debug)]
struct Room {
    id: String,
    events: Vec<String>,
    /// `type/state key → event`, without members.
    state: BTreeMap<String, String>,
    membership: Membership,
    was_in: bool,
    /// How many of the events somebody sees who is no longer in it.
    seen: usize,
    /// Member events that are seen beside them.
    also: Vec<String>,
}

impl Room {
    /// The events that Bob may see, but for those by which he is told what became of him.
    fn visible(&self) -> &[String] {
        let upto = match self.membership {
            Joined => self.events.len(),
            _ => self.seen,
        };
        &self.events[..upto]
    }
}

/// A room as the client has put it together.
#[derive(Debug, Default)]
struct Known {
    membership: String,
    timeline: Vec<String>,
    state: BTreeMap<String, String>,
    members: BTreeMap<String, String>,
    stamp: i64,
}

struct Story {
    alice: Client,
    bob: Client,
    rooms: Vec<Room>,
    dice: Dice,
    number: usize,
}

impl Story {
    async fn begin(server: &TestServer, seed: u64) -> Self {
        let alice = server.register("alice").await;
        let bob = server.register("bob").await;
        let mut story = Self {
            alice,
            bob,
            rooms: Vec::new(),
            dice: Dice(seed),
            number: 0,
        };
        for _ in 0..ROOMS {
            let id = story.alice.create_public_room().await;
            let page = story.alice.messages(&id, "dir=f&limit=100").await;
            let mut room = Room {
                id,
                events: Vec::new(),
                state: BTreeMap::new(),
                membership: Never,
                was_in: false,
                seen: 0,
                also: Vec::new(),
            };
            for event in page["chunk"].as_array().unwrap() {
                let id = event["event_id"].as_str().unwrap().to_owned();
                room.events.push(id.clone());
                let event_type = event["type"].as_str().unwrap();
                if event_type != "m.room.member" {
                    let key = event["state_key"].as_str().unwrap();
                    room.state.insert(format!("{event_type}/{key}"), id);
                }
            }
            story.rooms.push(room);
        }
        story
    }

    /// Something happens.
    async fn act(&mut self) {
        match self.dice.below(12) {
            kind @ 0..8 => self.say(kind).await,
            _ => self.change_membership().await,
        }
    }

    /// Somebody says something, or changes the state.
    async fn say(&mut self, kind: usize) {
        self.number += 1;
        let number = self.number;
        let which = self.dice.below(ROOMS);
        let room = self.rooms[which].id.clone();
        if kind >= 6 {
            let key = self.dice.below(3).to_string();
            let content = json!({"n": number});
            let event = self.alice.send_state(&room, "x.y", &key, content).await;
            let room = &mut self.rooms[which];
            room.events.push(event.clone());
            room.state.insert(format!("x.y/{key}"), event);
            return;
        }
        let sender = match self.rooms[which].membership {
            Joined if number.is_multiple_of(3) => &self.bob,
            _ => &self.alice,
        };
        let event = sender.send_text(&room, &format!("t{number}"), "x").await;
        self.rooms[which].events.push(event);
    }

    async fn change_membership(&mut self) {
        let which = self.dice.below(ROOMS);
        let was = self.rooms[which].membership;
        let (client, action, now) = match (was, self.dice.below(6)) {
            (Joined | Invited, 0) => (&self.bob, "leave", Left),
            (Joined | Invited, 1) => (&self.alice, "kick", Left),
            (Joined, 2) | (Left, 0) => (&self.alice, "ban", Banned),
            (Joined, _) => return,
            (Banned, _) => (&self.alice, "unban", Left),
            (Never | Left, 1) => (&self.alice, "invite", Invited),
            (Never | Left | Invited, _) => (&self.bob, "join", Joined),
        };
        let room = self.rooms[which].id.clone();
        let path = format!("rooms/{}/{action}", encode(&room));
        let body = match client.user_id == self.alice.user_id {
            true => json!({"user_id": self.bob.user_id}),
            false => json!({}),
        };
        client.post(&path, body).await.expect_ok();
        let path = format!(
            "rooms/{}/state/m.room.member/{}?format=event",
            encode(&room),
            encode(&self.bob.user_id)
        );
        let event = self.alice.get(&path).await.expect_ok();
        let event = event["event_id"].as_str().unwrap().to_owned();
        let room = &mut self.rooms[which];
        room.events.push(event.clone());
        if was == Joined {
            room.seen = room.events.len();
            room.also.clear();
        } else if now != Invited {
            room.also.push(event);
        }
        if now == Joined {
            room.also.clear();
            room.was_in = true;
        }
        room.membership = now;
    }

    fn room(&self, id: &str) -> &Room {
        self.rooms.iter().find(|room| room.id == id).unwrap()
    }
}

/// The client under test.
#[derive(Default)]
struct Phone {
    pos: Option<String>,
    /// The position that the last answer was asked with.
    before: Option<String>,
    rooms: BTreeMap<String, Known>,
    lost: usize,
    afresh: usize,
}

fn rule(limit: usize, everything: bool) -> Value {
    let mut required = json!([
        ["m.room.member", "$LAZY"],
        ["m.room.member", "$ME"],
        ["x.y", "1"]
    ]);
    if everything {
        required.as_array_mut().unwrap().push(json!(["*", "*"]));
        // Beside everything, the one key would leave out the others.
        required.as_array_mut().unwrap().remove(2);
    }
    json!({"timeline_limit": limit, "required_state": required})
}

/// A request for everything.
fn all() -> Value {
    json!({"lists": {"all": rule(4, true)}})
}

impl Phone {
    /// What it wants now.
    fn wants(story: &mut Story) -> Value {
        let dice = &mut story.dice;
        let everything = dice.is(4);
        let mut list = rule(1 + dice.below(4), everything);
        list["ranges"] = json!([[0, dice.below(ROOMS + 1)]]);
        let mut body = json!({"lists": {"all": list}});
        if dice.is(3) {
            let mut other = rule(dice.below(3), false);
            other["filters"] = json!({"is_invite": dice.is(2)});
            body["lists"]["other"] = other;
        }
        if dice.is(3) {
            let room = &story.rooms[dice.below(ROOMS)].id;
            body["room_subscriptions"] = json!({room: rule(dice.below(12), dice.is(2))});
        }
        body
    }

    async fn step(&mut self, story: &mut Story) {
        let body = Self::wants(story);
        if let Some(before) = self.before.clone().filter(|_| story.dice.is(20)) {
            // A request that was late: its answer is nobody's, and harms none.
            let answer = ask(&story.bob, Some(&before), 0, body.clone()).await;
            assert!([200, 400].contains(&answer.status), "{}", answer.describe());
        }
        let answer = self.ask(story, &body).await;
        match story.dice.below(10) {
            // It was lost.
            0..2 => self.lost += 1,
            // It is late: the next one overtakes it.
            2 => {
                story.say(story.number % 8).await;
                let second = self.ask(story, &body).await;
                let first_wins = story.dice.is(2);
                self.take(story, if first_wins { &answer } else { &second });
            }
            _ => self.take(story, &answer),
        }
        if story.dice.is(150) {
            // The application was closed, and has kept nothing.
            self.afresh += 1;
            *self = Self {
                lost: self.lost,
                afresh: self.afresh,
                ..Self::default()
            };
        }
    }

    async fn ask(&mut self, story: &mut Story, body: &Value) -> Value {
        let answer = ask(&story.bob, self.pos.as_deref(), 0, body.clone()).await;
        answer.expect_ok()
    }

    fn take(&mut self, story: &Story, answer: &Value) {
        self.before = self.pos.replace(pos(answer).to_owned());
        for (id, section) in answer["rooms"].as_object().unwrap() {
            let known = self.rooms.entry(id.clone()).or_default();
            known.take(section, story.room(id));
        }
    }

    /// Takes what is left, after which there must be nothing.
    async fn catch_up(&mut self, story: &mut Story) {
        let answer = self.ask(story, &all()).await;
        self.take(story, &answer);
        let answer = self.ask(story, &all()).await;
        assert_eq!(answer["rooms"], json!({}), "twice");
        self.take(story, &answer);
        for room in &story.rooms {
            let Some(known) = self.rooms.get(&room.id) else {
                let is_untold = match room.membership {
                    Never | Left => true,
                    Banned => !room.was_in,
                    Invited | Joined => false,
                };
                assert!(is_untold, "{room:?} is missing");
                continue;
            };
            let now = room.membership.name();
            assert_eq!(known.membership, now, "{known:?} {room:?}");
            if room.membership == Joined {
                assert_eq!(
                    known.timeline.last(),
                    room.events.last(),
                    "{known:?} {room:?}"
                );
                assert_eq!(known.state, room.state, "{known:?} {room:?}");
            }
        }
    }
}

impl Known {
    fn take(&mut self, section: &Value, room: &Room) {
        let is = |flag: &str| section[flag] == true;
        let whole = is("initial");
        if let Some(membership) = section["membership"].as_str() {
            membership.clone_into(&mut self.membership);
        }
        if let Some(stamp) = section["bump_stamp"].as_i64() {
            let goes_back = self.membership == "join" && !whole && stamp < self.stamp;
            assert!(!goes_back, "{section}");
            self.stamp = stamp;
        }
        if whole {
            self.state.clear();
            self.members.clear();
        }
        if section["invite_state"].is_array() {
            assert_eq!(section["timeline"], Value::Null, "{section}");
            self.timeline.clear();
            return;
        }
        if is("limited") {
            self.members.clear();
        }
        for event in section["required_state"].as_array().into_iter().flatten() {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            match text("type").as_str() {
                "m.room.member" => self.members.insert(text("state_key"), text("event_id")),
                other => {
                    let place = format!("{other}/{}", text("state_key"));
                    self.state.insert(place, text("event_id"))
                }
            };
        }
        let new: Vec<String> = ids(&section["timeline"])
            .iter()
            .map(ToString::to_string)
            .collect();
        let last = self.timeline.last().cloned();
        if whole || is("limited") || is("unstable_expanded_timeline") {
            self.timeline.clone_from(&new);
        } else {
            let twice = new.iter().find(|event| self.timeline.contains(event));
            assert_eq!(twice, None, "{section} {self:?}");
            self.timeline.extend(new.clone());
        }
        self.check(section, room, last.filter(|_| !whole));
        if self.membership == "join" {
            for event in section["timeline"].as_array().into_iter().flatten() {
                let sender = event["sender"].as_str().unwrap();
                assert!(
                    self.members.contains_key(sender),
                    "{sender}: {section} {self:?}"
                );
            }
        }
        let live = section["num_live"].as_u64().unwrap_or_default();
        assert!(live <= new.len() as u64, "{section}");
    }

    /// What it has is a stretch of what it may see, and goes no further back than before.
    fn check(&self, section: &Value, room: &Room, last: Option<String>) {
        let story = || format!("{section}\n{self:?}\n{room:?}");
        let visible = room.visible();
        let after = self
            .timeline
            .iter()
            .position(|event| room.also.contains(event));
        let (stretch, also) = self.timeline.split_at(after.unwrap_or(self.timeline.len()));
        assert!(
            also.iter().all(|event| room.also.contains(event)),
            "{}",
            story()
        );
        if let Some(first) = stretch.first() {
            let start = visible.iter().position(|event| event == first);
            let start = start.unwrap_or_else(|| panic!("{first} is not to be seen: {}", story()));
            let end = start + stretch.len();
            let has = visible.get(start..end) == Some(stretch);
            assert!(has, "something is missing: {}", story());
            assert!(
                also.is_empty() || end == visible.len(),
                "the end is missing: {}",
                story()
            );
        }
        let place = |wanted: &String| {
            let all = visible.iter().chain(&room.also);
            all.clone().position(|event| event == wanted)
        };
        if let Some(last) = last.filter(|_| !self.timeline.is_empty()) {
            let now = self.timeline.last().and_then(place);
            assert!(now >= place(&last), "it went back: {}", story());
        }
    }
}

#[tokio::test]
async fn a_client_that_loses_repeats_and_reorders_answers_ends_up_with_the_truth() {
    let steps = std::env::var("GREENROOM_MODEL_STEPS").ok();
    let steps = steps.and_then(|it| it.parse().ok()).unwrap_or(STEPS);
    let seed = std::env::var("GREENROOM_MODEL_SEED").ok();
    let seed = seed.and_then(|it| it.parse().ok()).unwrap_or(0x5eed_0001);
    let server = TestServer::start().await;
    let mut story = Story::begin(&server, seed).await;
    let mut phone = Phone::default();
    let mut left = steps;
    while left > 0 {
        for _ in 0..PHASE.min(left) {
            match story.dice.is(2) {
                true => story.act().await,
                false => phone.step(&mut story).await,
            }
        }
        left -= PHASE.min(left);
        phone.catch_up(&mut story).await;
    }
    println!(
        "{steps} steps, {} lost, {} times afresh",
        phone.lost, phone.afresh
    );
}
