//! Anything in any order: what sync says is unread is what a naive count of the room says.

use std::collections::BTreeMap;

use greenroom_tests::{Client, TestServer, encode};
use serde_json::{Value, json};

use super::{mention, pair, read, rule, threads_apart};
use crate::sync::{Dice, next, since};

const MAIN: &str = "main";

/// An event as the reader of the model remembers it.
struct Said {
    id: String,
    thread: String,
    notifies: bool,
    highlights: bool,
    redacted: bool,
}

/// The room as its reader ought to see it.
#[derive(Default)]
struct Story {
    said: Vec<Said>,
    /// How many of the first events are read, by the thread that is read, or all.
    read: BTreeMap<String, usize>,
    muted: bool,
    /// Whether the deputy may call the whole room.
    deputy_may: bool,
}

impl Story {
    /// Counts from the beginning: all that is behind no receipt.
    fn counts(&self, thread: Option<&str>) -> [u64; 2] {
        let mut counts = [0, 0];
        for (index, said) in self.said.iter().enumerate() {
            let upto = |of: &str| self.read.get(of).copied().unwrap_or_default();
            let is_read = index < upto("all") || index < upto(&said.thread);
            let is_wanted = thread.is_none_or(|thread| said.thread == thread);
            if said.notifies && !said.redacted && !is_read && is_wanted {
                counts[0] += 1;
                counts[1] += u64::from(said.highlights);
            }
        }
        counts
    }

    fn threads(&self) -> Value {
        let mut threads = serde_json::Map::new();
        for said in self.said.iter().filter(|said| said.thread != MAIN) {
            let [notifications, highlights] = self.counts(Some(&said.thread));
            if notifications > 0 {
                let counts = json!({
                    "notification_count": notifications, "highlight_count": highlights,
                });
                threads.insert(said.thread.clone(), counts);
            }
        }
        match threads.is_empty() {
            true => Value::Null,
            false => threads.into(),
        }
    }

    fn read(&mut self, what: &str, upto: usize) {
        let mark = self.read.entry(what.to_owned()).or_default();
        *mark = upto.max(*mark);
    }
}

struct Players {
    reader: Client,
    talker: Client,
    /// Whose power changes.
    deputy: Client,
    /// Whom the reader ignores.
    noisy: Client,
    room: String,
    txn: usize,
}

impl Players {
    /// Something happens, in the room and in the story.
    #[expect(clippy::too_many_lines, reason = "a list of what may happen")]
    async fn step(&mut self, dice: &mut Dice, story: &mut Story) {
        self.txn += 1;
        let txn = self.txn.to_string();
        let any = |dice: &mut Dice| {
            let count = story.said.len();
            (count > 0).then(|| dice.below(count))
        };
        match dice.below(18) {
            0..=5 => {
                let highlights = dice.below(3) == 0;
                let thread = any(dice).filter(|_| dice.below(2) == 0);
                let thread = thread.map_or(MAIN.to_owned(), |index| {
                    let said = &story.said[index];
                    // Threads are not nested.
                    match said.thread.as_str() {
                        MAIN => said.id.clone(),
                        thread => thread.to_owned(),
                    }
                });
                let mut content = json!({"msgtype": "m.text", "body": "x"});
                if highlights {
                    content["m.mentions"] = json!({"user_ids": [self.reader.user_id]});
                }
                if thread != MAIN {
                    content["m.relates_to"] = json!({"rel_type": "m.thread", "event_id": thread});
                }
                let own = dice.below(8) == 0;
                let sender = if own { &self.reader } else { &self.talker };
                let id = sender
                    .send(&self.room, "m.room.message", &txn, content)
                    .await;
                if own {
                    let upto = story.said.len();
                    let what = if thread == MAIN { "all" } else { &thread };
                    story.read(what, upto);
                }
                let muted = story.muted;
                story.said.push(Said {
                    id,
                    thread,
                    // A mention is an override rule, which comes before the rule for the room.
                    notifies: !own && (highlights || !muted),
                    highlights,
                    redacted: false,
                });
            }
            6 => {
                let Some(index) = any(dice) else { return };
                let target = story.said[index].id.clone();
                let (event_type, rel_type) = match dice.below(2) {
                    0 => ("m.reaction", "m.annotation"),
                    _ => ("m.room.message", "m.replace"),
                };
                let content = json!({
                    "body": "* x", "msgtype": "m.text",
                    "m.new_content": {"body": "x", "msgtype": "m.text"},
                    "m.relates_to": {"rel_type": rel_type, "event_id": target, "key": txn},
                });
                self.talker
                    .send(&self.room, event_type, &txn, content)
                    .await;
            }
            7 => {
                let Some(index) = any(dice) else { return };
                let target = encode(&story.said[index].id);
                let path = format!("rooms/{}/redact/{target}/{txn}", encode(&self.room));
                self.talker.put(&path, json!({})).await.expect_ok();
                story.said[index].redacted = true;
            }
            8..=11 => {
                let Some(index) = any(dice) else { return };
                let kind = ["m.read", "m.read.private"][dice.below(2)];
                let event = story.said[index].id.clone();
                let thread = match dice.below(2) {
                    0 => Value::Null,
                    _ if story.said[index].redacted => return,
                    _ => json!(story.said[index].thread),
                };
                read(&self.reader, &self.room, kind, &event, thread.clone()).await;
                story.read(thread.as_str().unwrap_or("all"), index + 1);
            }
            12 => {
                let path = rule(&format!("room/{}", encode(&self.room)));
                match story.muted {
                    true => self.reader.delete(&path).await.expect_ok(),
                    false => self
                        .reader
                        .put(&path, json!({"actions": []}))
                        .await
                        .expect_ok(),
                };
                story.muted = !story.muted;
            }
            13 => {
                let levels = self.talker.state(&self.room, "m.room.power_levels", "");
                let mut levels = levels.await.expect_ok();
                story.deputy_may = !story.deputy_may;
                let level = if story.deputy_may { 50 } else { 49 };
                levels["users"][&self.deputy.user_id] = json!(level);
                self.talker
                    .send_state(&self.room, "m.room.power_levels", "", levels)
                    .await;
            }
            14 | 15 => {
                let everybody = json!({
                    "msgtype": "m.text", "body": "all", "m.mentions": {"room": true},
                });
                let id = self
                    .deputy
                    .send(&self.room, "m.room.message", &txn, everybody)
                    .await;
                story.said.push(Said {
                    id,
                    thread: MAIN.to_owned(),
                    notifies: story.deputy_may || !story.muted,
                    highlights: story.deputy_may,
                    redacted: false,
                });
            }
            16 => {
                mention(&self.noisy, &self.room, &txn, &self.reader).await;
            }
            _ => {
                let path = format!("profile/{}/displayname", encode(&self.talker.user_id));
                let name = json!({"displayname": txn});
                self.talker.put(&path, name).await.expect_ok();
            }
        }
    }

    /// What sync says must be what the story says, and what it said last if it has no news.
    async fn check(&self, story: &Story, token: &mut Option<String>, told: &mut Value, step: &str) {
        let from = token.as_deref().map(since).unwrap_or_default();
        let answer = self
            .reader
            .sync(&format!("{}&{from}", threads_apart()))
            .await;
        *token = Some(next(&answer));
        let section = &answer["rooms"]["join"][&self.room];
        if section.is_object() {
            *told = section.clone();
        }
        let counts = pair(&told["unread_notifications"]);
        assert_eq!(
            counts,
            story.counts(Some(MAIN)),
            "{step}: the main timeline"
        );
        assert_eq!(
            told["unread_thread_notifications"],
            story.threads(),
            "{step}"
        );
        let answer = self.reader.sync("").await;
        let section = &answer["rooms"]["join"][&self.room];
        let counts = pair(&section["unread_notifications"]);
        assert_eq!(counts, story.counts(None), "{step}: the whole room");
    }
}

#[tokio::test]
async fn what_sync_says_is_unread_is_what_a_naive_count_says() {
    for seed in [0x9e37_79b9, 0x1234_5678_9abc] {
        let server = TestServer::start().await;
        let (reader, talker) = (
            server.register("reader").await,
            server.register("talker").await,
        );
        let room = talker.create_public_room().await;
        let (deputy, noisy) = (
            server.register("deputy").await,
            server.register("noisy").await,
        );
        for member in [&reader, &deputy, &noisy] {
            member.join(&room).await;
        }
        let list = format!(
            "user/{}/account_data/m.ignored_user_list",
            encode(&reader.user_id)
        );
        let ignored = json!({"ignored_users": {&noisy.user_id: {}}});
        reader.put(&list, ignored).await.expect_ok();
        let mut players = Players {
            reader,
            talker,
            deputy,
            noisy,
            room,
            txn: 0,
        };
        let (mut dice, mut story) = (Dice(seed), Story::default());
        let (mut token, mut told) = (None, Value::Null);
        for step in 0..250 {
            players.step(&mut dice, &mut story).await;
            match dice.below(60) {
                0 => server.restart().await,
                1 => {
                    server.kill9().await;
                    server.restart().await;
                }
                _ => {}
            }
            if dice.below(3) == 0 {
                let step = format!("seed {seed:x}, step {step}");
                players.check(&story, &mut token, &mut told, &step).await;
            }
        }
    }
}
