//! History visibility: every way through a room, under every visibility and every change of it,
//! read in every way there is. What is right is computed by [`rule`] alone.

mod lists;
mod rule;
mod story;

use futures_util::future::join_all;
use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use self::rule::{Reader, Room, id};
use crate::rooms::{ids, in_room};

const VISIBILITIES: [&str; 4] = ["world_readable", "shared", "invited", "joined"];

/// Where a check is in the matrix, for the message of one that fails.
struct Cell<'a> {
    client: &'a Client,
    room: &'a Room,
    reader: Reader<'a>,
    name: String,
    /// Which cell this is. Of what is asked event by event each asks a part, another one than its
    /// neighbors do.
    nth: usize,
}

/// The IDs of the events of a list, sorted.
fn sorted(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let mut found = ids(list);
    found.sort_unstable();
    found
}

impl Cell<'_> {
    async fn ask(&self, rest: &str) -> greenroom_tests::Answer {
        self.client.get(&in_room(&self.room.id, rest)).await
    }

    /// The answer of something that is for those who may read the room as such.
    async fn read(&self, rest: &str) -> Option<Value> {
        let answer = self.ask(rest).await;
        if self.reader.state_upto().is_some() {
            assert_eq!(answer.status, 200, "{}: {}", self.name, answer.describe());
            return Some(answer.body);
        }
        assert_eq!(answer.status, 403, "{}: {}", self.name, answer.describe());
        answer.expect_error(403, "M_FORBIDDEN");
        None
    }

    async fn pages(&self) {
        let all = self.reader.visible(0..self.room.events.len());
        for dir in ["f", "b"] {
            let query = format!("messages?limit=1000&dir={dir}");
            let Some(page) = self.read(&query).await else {
                continue;
            };
            let mut chunk = page["chunk"].as_array().unwrap().clone();
            if dir == "b" {
                chunk.reverse();
            }
            assert_eq!(ids(&chunk), all, "{}: messages {dir}", self.name);
            self.no_hidden_past(&chunk, "messages");
            let told = |event: &Value| event["unsigned"]["membership"].is_string();
            assert!(chunk.iter().all(told), "{}: {chunk:?}", self.name);
            for event in &chunk {
                let thread = &event["unsigned"]["m.relations"]["m.thread"];
                let replies = self.replies(id(event));
                let latest = replies.last().map_or(Value::Null, |last| json!(last));
                let count = thread["count"].as_u64().unwrap_or(0);
                assert_eq!(count, replies.len() as u64, "{}: {event}", self.name);
                assert_eq!(thread["latest_event"]["event_id"], latest, "{}", self.name);
            }
        }
    }

    /// The IDs of the replies to an event that the reader sees, oldest first.
    fn replies(&self, event_id: &str) -> Vec<&str> {
        let replies = self.room.replies(event_id).into_iter();
        replies
            .filter(|at| self.reader.sees(*at))
            .map(|at| id(&self.room.events[at]))
            .collect()
    }

    /// What relates to each event, and the threads.
    async fn relations(&self) {
        let client = self.client.over("v1");
        let mut threads = Vec::new();
        for (at, event) in self.room.events.iter().enumerate() {
            if self.room.replies(id(event)).is_empty() {
                continue;
            }
            let path = format!("relations/{}?dir=f&limit=1000", encode(id(event)));
            let answer = client.get(&in_room(&self.room.id, &path)).await;
            let (replies, name) = (self.replies(id(event)), &self.name);
            if !self.reader.sees(at) {
                assert_eq!(answer.status, 404, "{name}: {}", answer.describe());
                answer.expect_error(404, "M_NOT_FOUND");
                continue;
            }
            assert_eq!(answer.status, 200, "{name}: {}", answer.describe());
            let chunk = answer.body["chunk"].as_array().unwrap();
            assert_eq!(ids(chunk), replies, "{name}: relations of {event}");
            if let Some(last) = replies.last() {
                threads.push((self.room.position(last), id(event)));
            }
        }
        threads.sort_unstable();
        let path = in_room(&self.room.id, "threads?limit=100");
        let answer = client.get(&path).await;
        if self.reader.state_upto().is_none() {
            assert_eq!(answer.status, 403, "{}", self.name);
            answer.expect_error(403, "M_FORBIDDEN");
            return;
        }
        let found = answer.expect_ok();
        let right: Vec<&str> = threads.iter().rev().map(|(_, opening)| *opening).collect();
        assert_eq!(
            ids(found["chunk"].as_array().unwrap()),
            right,
            "{}: threads",
            self.name
        );
    }

    /// What an event replaced is shown only to those who may see that too; and of themselves readers
    /// are told what they were "at the point of the event, including any changes caused by the event".
    fn no_hidden_past(&self, events: &[Value], what: &str) {
        for event in events {
            let unsigned = &event["unsigned"];
            if let Some(membership) = unsigned["membership"].as_str() {
                let right = self.reader.membership_at(self.room.position(id(event)));
                assert_eq!(membership, right, "{}: {what}: {event}", self.name);
            }
            let Some(replaced) = unsigned["replaces_state"].as_str() else {
                continue;
            };
            let shown = unsigned["prev_content"].is_object();
            let right = self.reader.sees(self.room.position(replaced));
            assert_eq!(shown, right, "{}: {what}: {event}", self.name);
        }
    }

    /// The event closest to a time, asked for at the times of some of the events.
    async fn by_time(&self) {
        let time = |event: &Value| event["origin_server_ts"].as_u64().unwrap();
        let all = self.reader.visible(0..self.room.events.len());
        let seen: Vec<&Value> = all.iter().map(|found| self.room.event(found)).collect();
        for event in self.room.events.iter().skip(self.nth % 17).step_by(17) {
            let ts = time(event);
            let later = seen.iter().filter(|other| time(other) >= ts);
            let earlier = seen.iter().filter(|other| time(other) <= ts);
            // The first of those that are as close, and the last.
            let later = later.min_by_key(|other| time(other));
            let earlier = earlier.max_by_key(|other| time(other));
            for (dir, right) in [("f", later), ("b", earlier)] {
                let path = format!("timestamp_to_event?ts={ts}&dir={dir}");
                let path = in_room(&self.room.id, &path);
                let answer = self.client.over("v1").get(&path).await;
                let shown = (&self.name, dir, answer.describe());
                let Some(right) = right.filter(|_| self.reader.state_upto().is_some()) else {
                    let refused = if self.reader.state_upto().is_some() {
                        404
                    } else {
                        403
                    };
                    assert_eq!(answer.status, refused, "{shown:?}");
                    continue;
                };
                assert_eq!(answer.body["event_id"], right["event_id"], "{shown:?}");
            }
        }
    }

    /// The messages that a search finds. Who was never in a room does not search it.
    async fn search(&self) {
        let request = json!({"search_categories": {"room_events": {
            "search_term": "words",
            "order_by": "recent",
            "filter": {"rooms": [self.room.id], "limit": 100},
        }}});
        let answer = self.client.post("search", request).await.expect_ok();
        let found = &answer["search_categories"]["room_events"]["results"];
        let found: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|result| id(&result["result"]))
            .collect();
        let mut right = match self.reader.knows_the_room() {
            true => self.reader.visible(0..self.room.events.len()),
            false => Vec::new(),
        };
        right.retain(|event_id| self.room.event(event_id)["type"] == "m.room.message");
        right.reverse();
        assert_eq!(found, right, "{}: search", self.name);
    }

    async fn state(&self) {
        let upto = self.reader.state_upto().unwrap_or(0);
        let state = self.room.state(upto);
        let members: Vec<&str> = state
            .iter()
            .filter(|event_id| self.room.event(event_id)["type"] == "m.room.member")
            .copied()
            .collect();
        if let Some(found) = self.read("state").await {
            assert_eq!(sorted(&found), state, "{}: state", self.name);
        }
        if let Some(found) = self.read("members").await {
            assert_eq!(sorted(&found["chunk"]), members, "{}: members", self.name);
        }
        if let Some(page) = self.read("messages?limit=1&dir=b").await {
            let at = encode(page["start"].as_str().unwrap());
            let found = self.read(&format!("members?at={at}")).await.unwrap();
            assert_eq!(sorted(&found["chunk"]), members, "{}: at", self.name);
        }
        if let Some(found) = self.read("state/org.example.note").await {
            let notes = self.room.events[..upto].iter().rev();
            let mut notes = notes.filter(|event| event["type"] == "org.example.note");
            let right = &notes.next().unwrap()["content"];
            assert_eq!(&found, right, "{}: note", self.name);
        }
        let joined = self.ask("joined_members").await;
        let right = if self.reader.membership() == "join" {
            200
        } else {
            403
        };
        assert_eq!(joined.status, right, "{}: joined_members", self.name);
    }

    async fn single_events(&self) {
        for (at, event) in self.room.events.iter().enumerate() {
            // Other people's member events are many and all alike.
            let of_others =
                event["type"] == "m.room.member" && event["state_key"] != *self.client.user_id;
            let part = at + self.nth;
            if !part.is_multiple_of(if of_others { 11 } else { 2 }) {
                continue;
            }
            let right = if self.reader.sees(at) { 200 } else { 404 };
            let path = match part % 3 {
                0 => format!("events/{}", encode(id(event))),
                _ => in_room(&self.room.id, &format!("event/{}", encode(id(event)))),
            };
            let answer = self.client.get(&path).await;
            let shown = (&self.name, answer.describe(), event);
            assert_eq!(answer.status, right, "{shown:?}");
            match right {
                200 => self.no_hidden_past(&[answer.body], "event"),
                _ => drop(answer.expect_error(404, "M_NOT_FOUND")),
            }
            if part.is_multiple_of(5) {
                self.context(at, right).await;
            }
        }
    }

    async fn context(&self, at: usize, right: u16) {
        let event = &self.room.events[at];
        let path = format!("context/{}?limit=1000", encode(id(event)));
        let answer = self.ask(&path).await;
        let shown = (&self.name, answer.describe(), event);
        assert_eq!(answer.status, right, "{shown:?}");
        if right != 200 {
            answer.expect_error(404, "M_NOT_FOUND");
            return;
        }
        let list = |name: &str| answer.body[name].as_array().unwrap().clone();
        let (mut before, after) = (list("events_before"), list("events_after"));
        before.reverse();
        let name = &self.name;
        assert_eq!(ids(&before), self.reader.visible(0..at), "{name}: before");
        let rest = at + 1..self.room.events.len();
        assert_eq!(ids(&after), self.reader.visible(rest), "{name}: after");
        let newest = after.last().unwrap_or(event);
        let state = self.room.state(self.room.position(id(newest)) + 1);
        assert_eq!(sorted(&answer.body["state"]), state, "{name}: {event}");
        self.no_hidden_past(&before, "before");
        self.no_hidden_past(&after, "after");
    }

    /// The event that says what the reader is to the room now.
    fn own_last(&self) -> Option<&str> {
        let state = self.room.state(self.room.events.len());
        state.into_iter().find(|event_id| {
            let event = self.room.event(event_id);
            event["type"] == "m.room.member" && event["state_key"] == *self.client.user_id
        })
    }

    /// The room in a sync: what its timeline must have, and what it may have.
    fn synced(&self, sections: &Value, what: &str) {
        let name = format!("{}: {what}", self.name);
        let section = |kind: &str| &sections[kind][&self.room.id];
        let membership = self.reader.membership();
        let kind = match membership {
            "join" | "invite" | "knock" => membership,
            _ => "leave",
        };
        for other in ["join", "invite", "knock", "leave"] {
            let absent = section(other).is_null();
            assert!(other == kind || absent, "{name}: in {other}");
        }
        let section = section(kind);
        let own_last = self.own_last();
        match kind {
            "join" => {}
            "leave" if own_last.is_some() => {}
            "leave" => assert!(section.is_null(), "{name}: {section}"),
            // Stripped state: events without an ID.
            _ => {
                let stripped = section.to_string();
                assert!(stripped.contains(&self.client.user_id), "{name}: {section}");
                assert!(!stripped.contains("event_id"), "{name}: {section}");
                assert!(!stripped.contains("m.room.message"), "{name}: {section}");
            }
        }
        let Some(events) = section["timeline"]["events"].as_array() else {
            assert_ne!(kind, "join", "{name}: {sections}");
            return;
        };
        let found = ids(events);
        let upto = self.reader.departed();
        let must = match self.reader.knows_the_room() {
            true => self.reader.visible(0..upto),
            false => Vec::new(),
        };
        assert!(must.len() <= 100, "more than a sync gives at once");
        let missing = must.iter().filter(|event_id| !found.contains(event_id));
        if missing.count() > 0 {
            // A timeline ends where state has changed unseen before it, and says so.
            let cut = kind == "join" && section["timeline"]["limited"] == true;
            assert!(cut && must.ends_with(&found), "{name}: {found:?}");
            let before = self.room.position(found[0]) - 1;
            assert!(!self.reader.sees(before), "{name}: cut at {}", found[0]);
        }
        let may = self.reader.visible(0..self.room.events.len());
        for event_id in &found {
            let allowed = may.contains(event_id) || own_last == Some(event_id);
            let event = self.room.event(event_id);
            assert!(allowed, "{name}: {event}");
        }
        let order: Vec<usize> = found.iter().map(|it| self.room.position(it)).collect();
        assert!(order.is_sorted(), "{name}: {found:?}");
        for state in ["state", "state_after"] {
            let state = section[state]["events"].as_array();
            for event_id in ids(state.map_or(&[], Vec::as_slice)) {
                let known = self.room.position(event_id) < upto && self.reader.knows_the_room();
                assert!(known, "{name}: {}", self.room.event(event_id));
            }
        }
        if kind == "join" && section["state"].is_null() {
            let now = self.room.state(self.room.events.len());
            assert_eq!(sorted(&section["state_after"]["events"]), now, "{name}");
        }
        if self.reader.knows_the_room() {
            self.no_hidden_past(events, what);
        }
    }

    /// The room as the first API shows it on its own.
    async fn initial_sync(&self) {
        let Some(found) = self.read("initialSync?limit=100").await else {
            return;
        };
        let chunk = found["messages"]["chunk"].as_array().unwrap();
        let all = self.reader.visible(0..self.room.events.len());
        let upto = match self.room.visibility(self.room.events.len()) {
            "world_readable" => self.room.events.len(),
            _ => self.reader.departed(),
        };
        let known = self.reader.visible(0..upto);
        assert!(self.room.events.len() <= 100, "more than one answer has");
        let found_ids = ids(chunk);
        assert_eq!(found_ids, known, "{}: initialSync", self.name);
        assert!(found_ids.iter().all(|it| all.contains(it)));
        let state = self.room.state(upto);
        assert_eq!(sorted(&found["state"]), state, "{}: state", self.name);
        self.no_hidden_past(chunk, "initialSync");
    }

    /// The room among all of the first API's first answer.
    fn in_initial_sync(&self, all: &Value) {
        let rooms = all["rooms"].as_array().unwrap();
        let found = rooms.iter().find(|room| room["room_id"] == *self.room.id);
        let Some(chunk) = found.and_then(|room| room["messages"]["chunk"].as_array()) else {
            let in_it = self.reader.membership() == "join";
            assert!(!in_it, "{}: {all}", self.name);
            return;
        };
        let known = self.reader.visible(0..self.reader.departed());
        assert_eq!(ids(chunk), known, "{}: initialSync of all", self.name);
        self.no_hidden_past(chunk, "initialSync of all");
    }

    /// Whose receipts arrive for which events: the owner has one for each.
    fn receipts(&self, section: &Value, what: &str) {
        let events = section["ephemeral"]["events"].as_array();
        let contents = events
            .into_iter()
            .flatten()
            .filter(|event| event["type"] == "m.receipt");
        let mut found: Vec<usize> = contents
            .flat_map(|event| event["content"].as_object().unwrap().keys())
            .map(|event_id| self.room.position(event_id))
            .collect();
        found.sort_unstable();
        let right: Vec<usize> = match self.reader.membership() {
            "join" => (0..self.room.events.len())
                .filter(|at| self.reader.sees(*at))
                .collect(),
            // How far others have read is for those who are in the room.
            _ => Vec::new(),
        };
        assert_eq!(found, right, "{}: receipts in {what}", self.name);
    }

    /// What the reader may say to have read.
    async fn reads(&self) {
        for (at, event) in self.room.events.iter().enumerate() {
            let part = (at + self.nth).is_multiple_of(9);
            if !part && event["state_key"] != *self.client.user_id {
                continue;
            }
            let (status, errcode) = match (self.reader.membership(), self.reader.sees(at)) {
                ("join", true) => (200, None),
                ("join", false) => (404, Some("M_NOT_FOUND")),
                _ => (403, Some("M_FORBIDDEN")),
            };
            let kind = ["m.read", "m.read.private", "m.fully_read"][at % 3];
            let path = format!("receipt/{kind}/{}", encode(id(event)));
            let path = in_room(&self.room.id, &path);
            let answer = self.client.post(&path, json!({})).await;
            let found = (answer.status, answer.body["errcode"].as_str());
            let shown = (&self.name, answer.describe(), event);
            assert_eq!(found, (status, errcode), "{shown:?}");
        }
    }

    /// The room's events among those of the old stream, which has what one was there for.
    fn streamed(&self, stream: &[Value]) {
        let here = stream
            .iter()
            .filter(|event| event["room_id"] == *self.room.id && event["event_id"].is_string());
        let may = self.reader.visible(0..self.room.events.len());
        for event in here {
            let own = event["state_key"] == *self.client.user_id;
            assert!(own || may.contains(&id(event)), "{}: {event}", self.name);
        }
    }
}

/// All that the old stream has had for somebody since a token.
async fn stream(client: &Client, from: &str) -> Vec<Value> {
    let mut from = from.to_owned();
    let mut all = Vec::new();
    loop {
        let path = format!("events?timeout=0&from={}", encode(&from));
        let answer = client.get(&path).await.expect_ok();
        let chunk = answer["chunk"].as_array().unwrap();
        if chunk.is_empty() && answer["end"] == *from {
            return all;
        }
        all.extend(chunk.iter().cloned());
        answer["end"].as_str().unwrap().clone_into(&mut from);
    }
}

#[tokio::test]
async fn b27_a28_each_reader_sees_what_the_rules_give_them_everywhere() {
    let server = shared_server().await;
    let owner = server.register("owner").await;
    let people = story::COURSES.iter().map(|_| server.register("reader"));
    let people = join_all(people).await;
    let starts = join_all(people.iter().map(Client::now)).await;
    let pairs = VISIBILITIES
        .iter()
        .flat_map(|first| VISIBILITIES.map(|second| (*first, second)));
    let rooms = pairs.clone();
    let rooms = rooms.map(|(first, second)| story::played(&owner, &people, first, second));
    let rooms = join_all(rooms).await;
    let readings = people.iter().zip(&starts).zip(story::COURSES);
    join_all(readings.enumerate().map(async |(row, reading)| {
        let ((client, start), (course, steps)) = reading;
        let filter = json!({"room": {"include_leave": true, "timeline": {"limit": 100}}});
        let filter = encode(&filter.to_string());
        let initial = client.sync(&format!("filter={filter}")).await;
        let since = format!("filter={filter}&since={}", encode(start));
        let later = client.sync(&since).await;
        let after = format!("{since}&use_state_after=true");
        let after = client.sync(&after).await;
        let stream = stream(client, start).await;
        let old = client.get("initialSync?limit=100&archived=true").await;
        let old = old.expect_ok();
        let notifications = lists::notifications(client).await;
        let slid = lists::slide(client).await;
        let columns = rooms.iter().zip(pairs.clone()).enumerate();
        for (column, (room, (first, second))) in columns {
            let cell = Cell {
                client,
                room,
                reader: room.read_by(&client.user_id, steps.contains(&"forget")),
                name: format!("{course}, {first} and {second}"),
                nth: row + column,
            };
            cell.synced(&initial["rooms"], "sync");
            cell.synced(&later["rooms"], "sync since");
            cell.synced(&after["rooms"], "sync with the state after");
            cell.streamed(&stream);
            cell.in_initial_sync(&old);
            cell.receipts(&initial["rooms"]["join"][&room.id], "sync");
            cell.receipts(&later["rooms"]["join"][&room.id], "sync since");
            cell.notified(&notifications);
            cell.slid(&slid);
            cell.described().await;
            cell.pages().await;
            cell.relations().await;
            cell.by_time().await;
            cell.search().await;
            cell.state().await;
            cell.initial_sync().await;
            cell.single_events().await;
            cell.reads().await;
        }
    }))
    .await;
}
