//! Anything in any order: what each user has put together from their syncs is the room.

use std::{cell::Cell, collections::BTreeMap};

use greenroom_tests::{Client, TestServer, encode};
use serde_json::{Value, json};

use super::{events, next, since};

/// Small and good enough: the same seed makes the same story.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// A room as a client has put it together.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The events since the last gap that was not filled, oldest first.
    timeline: Vec<String>,
    /// `(type, state key) → event`.
    state: BTreeMap<(String, String), String>,
}

impl Known {
    fn learn(&mut self, event: &Value) {
        let Some(state_key) = event["state_key"].as_str() else {
            return;
        };
        let place = (text(&event["type"]), state_key.to_owned());
        self.state.insert(place, text(&event["event_id"]));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// One device of a user, with what it knows.
struct Device {
    client: Client,
    since: Option<String>,
    rooms: BTreeMap<String, Known>,
    filter: String,
    state_after: bool,
    /// Whether it wants to know members only when they speak.
    lazy: bool,
}

impl Device {
    fn new(client: Client, limit: u64, state_after: bool, lazy: bool) -> Self {
        let filter = json!({"room": {
            "timeline": {"limit": limit},
            "state": {"lazy_load_members": lazy},
        }});
        let filter = filter.to_string();
        Self {
            client,
            since: None,
            rooms: BTreeMap::new(),
            filter: encode(&filter),
            state_after,
            lazy,
        }
    }

    fn query(&self, timeout: u64) -> String {
        let since = self.since.as_deref().map(since).unwrap_or_default();
        format!(
            "{since}&timeout={timeout}&filter={}&use_state_after={}",
            self.filter, self.state_after
        )
    }

    /// Syncs once; every so often the answer is lost, and asked for again.
    async fn sync(&mut self, dice: &mut Dice) {
        let answer = self.client.sync(&self.query(0)).await;
        if dice.below(4) > 0 {
            self.take(answer).await;
        }
    }

    /// Waits for what comes, again and again, until it is over.
    async fn follow(&mut self, over: &Cell<bool>) {
        while !over.get() {
            let answer = self.client.sync(&self.query(30_000)).await;
            self.take(answer).await;
        }
    }

    /// Takes what is left, after which there must be nothing.
    async fn catch_up(&mut self, story: &str) {
        let answer = self.client.sync(&self.query(0)).await;
        self.take(answer).await;
        let answer = self.client.sync(&self.query(0)).await;
        assert!(answer["rooms"].is_null(), "{story}: {answer}");
        self.check(&format!("{story}, {}", self.client.user_id))
            .await;
    }

    async fn take(&mut self, answer: Value) {
        self.since = Some(next(&answer));
        let left = answer["rooms"]["leave"].as_object();
        for room in left.into_iter().flat_map(|rooms| rooms.keys()) {
            self.rooms.remove(room);
        }
        let joined = answer["rooms"]["join"].as_object();
        for (room, section) in joined.into_iter().flatten() {
            let timeline = &section["timeline"];
            let mut known = self.rooms.remove(room).unwrap_or_default();
            let ids = super::ids(timeline);
            if timeline["limited"] == true || known.timeline.is_empty() {
                let prev = timeline["prev_batch"].as_str().unwrap();
                self.fill(room, &mut known, prev).await;
            }
            known.timeline.extend(ids.into_iter().map(str::to_owned));
            if self.state_after {
                assert!(section["state"].is_null(), "{section}");
                assert!(section["state_after"]["events"].is_array(), "{section}");
                for event in events(&section["state_after"]) {
                    known.learn(event);
                }
            } else {
                assert!(section["state_after"].is_null(), "{section}");
                for event in events(&section["state"]).iter().chain(events(timeline)) {
                    known.learn(event);
                }
            }
            for event in events(timeline) {
                let member = ("m.room.member".to_owned(), text(&event["sender"]));
                let introduced = known.state.contains_key(&member);
                assert!(introduced, "{event} came without its sender: {section}");
            }
            self.rooms.insert(room.clone(), known);
        }
    }

    /// Pages back until what is known already, or the beginning.
    async fn fill(&self, room: &str, known: &mut Known, prev: &str) {
        let mut gap = Vec::new();
        let mut from = prev.to_owned();
        'page: loop {
            let query = format!("dir=b&limit=4&from={}", encode(&from));
            let page = self.client.messages(room, &query).await;
            let chunk = page["chunk"].as_array().unwrap();
            for event in chunk {
                let id = text(&event["event_id"]);
                if known.timeline.contains(&id) {
                    let upto = known.timeline.iter().position(|known| *known == id);
                    known.timeline.truncate(upto.unwrap() + 1);
                    break 'page;
                }
                gap.push(id);
            }
            match page["end"].as_str() {
                Some(end) if !chunk.is_empty() => end.clone_into(&mut from),
                _ => {
                    known.timeline.clear();
                    break;
                }
            }
        }
        known.timeline.extend(gap.into_iter().rev());
    }

    /// Compares what this device knows with what the server says of each room.
    async fn check(&self, story: &str) {
        let joined = self.client.get("joined_rooms").await.expect_ok();
        let mut rooms: Vec<String> = joined["joined_rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        rooms.sort();
        let known: Vec<String> = self.rooms.keys().cloned().collect();
        assert_eq!(known, rooms, "{story}");
        for (room, known) in &self.rooms {
            let all = self.client.messages(room, "dir=f&limit=1000").await;
            let all: Vec<String> = all["chunk"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| text(&event["event_id"]))
                .collect();
            assert_eq!(known.timeline, all, "the timeline; {story}");
            let state = self
                .client
                .get(&format!("rooms/{}/state", encode(room)))
                .await
                .expect_ok();
            let mut truth = Known::default();
            for event in state.as_array().unwrap() {
                truth.learn(event);
            }
            if self.lazy {
                // Whom it does not know it does not miss.
                truth.state.retain(|place, _| {
                    place.0 != "m.room.member" || known.state.contains_key(place)
                });
            }
            assert_eq!(known.state, truth.state, "the state; {story}");
        }
    }
}

/// Something that a random user does, whether they may or not.
async fn act(dice: &mut Dice, users: &[Client], rooms: &[String], step: usize) {
    let user = &users[dice.below(users.len())];
    let other = &users[dice.below(users.len())];
    let room = &rooms[dice.below(rooms.len())];
    let path = |rest: &str| format!("rooms/{}/{rest}", encode(room));
    let answer = match dice.below(12) {
        0..=4 => {
            let body = json!({"msgtype": "m.text", "body": step.to_string()});
            let path = path(&format!("send/m.room.message/s{step}"));
            user.put(&path, body).await
        }
        5 => {
            let path = path("state/m.room.topic");
            user.put(&path, json!({"topic": step.to_string()})).await
        }
        6 => {
            let path = path(&format!("state/org.example.place/{}", dice.below(3)));
            user.put(&path, json!({"n": step})).await
        }
        7 | 8 => user.post(&path("join"), json!({})).await,
        9 => user.post(&path("leave"), json!({})).await,
        10 => {
            let body = json!({"user_id": other.user_id});
            user.post(&path("kick"), body).await
        }
        _ => {
            let body = json!({"membership": "join", "displayname": format!("n{step}")});
            let path = path(&format!("state/m.room.member/{}", encode(&user.user_id)));
            user.put(&path, body).await
        }
    };
    assert!(answer.status < 500, "{}", answer.describe());
}

/// Three users with four devices each, and a room of each.
async fn cast(server: &TestServer) -> (Vec<Client>, Vec<String>, Vec<Device>) {
    let mut users = Vec::new();
    for name in ["alice", "bob", "carol"] {
        users.push(server.register(name).await);
    }
    let mut rooms = Vec::new();
    for user in &users {
        rooms.push(user.create_public_room().await);
    }
    let mut devices = Vec::new();
    for (n, user) in users.iter().enumerate() {
        let limit = [10, 1, 3][n];
        devices.push(Device::new(user.clone(), limit, false, false));
        for lazy in [false, true] {
            let other = server.login(&user.user_id).await;
            devices.push(Device::new(other, 5 - limit / 3, true, lazy));
        }
        let other = server.login(&user.user_id).await;
        devices.push(Device::new(other, limit, false, true));
    }
    (users, rooms, devices)
}

async fn story(server: &TestServer, seed: u64, steps: usize, restarts: bool) {
    let mut dice = Dice(seed);
    let (users, rooms, mut devices) = cast(server).await;
    for step in 0..steps {
        act(&mut dice, &users, &rooms, step).await;
        if dice.below(3) == 0 {
            let which = dice.below(devices.len());
            devices[which].sync(&mut dice).await;
        }
        if restarts && step % 40 == 39 {
            server.restart().await;
        }
    }
    for device in &mut devices {
        device.catch_up(&format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn whatever_happens_a_client_puts_the_rooms_together_as_they_are() {
    let server = TestServer::start().await;
    for seed in [1, 2, 3, 4, 5, 99] {
        story(&server, seed, 120, false).await;
    }
}

#[tokio::test]
async fn whatever_happens_with_restarts_in_between_nothing_is_lost() {
    let server = TestServer::start().await;
    story(&server, 42, 160, true).await;
}

#[tokio::test]
async fn who_waits_while_everything_happens_at_once_loses_nothing() {
    let server = TestServer::start().await;
    let (users, rooms, mut devices) = cast(&server).await;
    for device in &mut devices {
        let first = device.client.sync(&device.query(0)).await;
        device.take(first).await;
    }
    let over = Cell::new(false);
    let write = async |seed: u64| {
        let mut dice = Dice(seed);
        for step in 0..100 {
            let step = usize::try_from(seed).unwrap() * 1_000 + step;
            act(&mut dice, &users, &rooms, step).await;
        }
    };
    let writers = async {
        tokio::join!(write(1), write(2), write(3), write(4));
        over.set(true);
        // Whatever the readers wait for now, this ends it.
        for user in &users {
            let path = format!("user/{}/account_data/over", encode(&user.user_id));
            user.put(&path, json!({})).await.expect_ok();
        }
    };
    let readers = devices.iter_mut().map(|device| device.follow(&over));
    tokio::join!(futures_util::future::join_all(readers), writers);
    for device in &mut devices {
        device.catch_up("all at once").await;
    }
}
