//! What is redacted is gone from every copy that was made of it, in every version of rooms.

use greenroom_tests::{Client, TestServer, encode};
use serde_json::{Value, json};

use super::{in_room, shared_room, text};

/// In everything that is redacted here, and in nothing that is kept. It stands inside of words, so
/// that an index which leaves out how a word begins is seen through too.
const SECRET: &str = "hushhush";

fn related(rel_type: &str, to: &str, mut content: Value) -> Value {
    content["m.relates_to"] = json!({ "rel_type": rel_type, "event_id": to });
    content
}

fn edit(of: &str, body: &str) -> Value {
    let mut content = related("m.replace", of, text(&format!("* {body}")));
    content["m.new_content"] = text(body);
    content
}

/// Alice's room with Bob in it, in which there is something secret of each kind.
struct Secrets<'a> {
    alice: &'a Client,
    bob: &'a Client,
    room: &'a str,
    said: u32,
    redacted: u32,
}

impl Secrets<'_> {
    async fn say(&mut self, content: Value) -> String {
        self.said += 1;
        let txn = format!("say{}", self.said);
        let room = self.room;
        self.alice.send(room, "m.room.message", &txn, content).await
    }

    /// A word that nobody else says.
    fn word(&self) -> String {
        format!("w{}{SECRET}", self.said)
    }

    /// By either of the two ways in turn.
    async fn redact(&mut self, target: &str, reason: &str) -> String {
        self.redacted += 1;
        let txn = self.redacted;
        if txn.is_multiple_of(2) {
            let content = json!({ "redacts": target, "reason": reason });
            let txn = format!("redact{txn}");
            let sent = self
                .alice
                .send(self.room, "m.room.redaction", &txn, content);
            return sent.await;
        }
        let path = format!("redact/{}/{txn}", encode(target));
        let body = json!({ "reason": reason });
        let sent = self.alice.put(&in_room(self.room, &path), body).await;
        sent.expect_ok()["event_id"].as_str().unwrap().to_owned()
    }

    /// Messages, and what relates to them. Gives what is to be redacted.
    async fn talk(&mut self) -> Vec<String> {
        let kept = self.say(text("kept")).await;
        let secret = self.word();
        let mut mention = text(&secret);
        mention["m.mentions"] = json!({ "user_ids": [self.bob.user_id] });
        let mut secrets = vec![self.say(mention).await];
        // Of an edited message both; of another one only the edit.
        let secret = self.word();
        let original = self.say(text(&secret)).await;
        secrets.push(self.say(edit(&original, &secret)).await);
        secrets.push(original);
        secrets.push(self.say(edit(&kept, &secret)).await);
        // Replies in a thread: the newest, which sums it up, and one before it.
        for _ in 0..2 {
            let secret = self.word();
            let reply = related("m.thread", &kept, text(&secret));
            secrets.push(self.say(reply).await);
        }
        let mut annotation = related("m.annotation", &kept, json!({}));
        annotation["m.relates_to"]["key"] = SECRET.into();
        let reacted = self.bob.send(self.room, "m.reaction", "r", annotation);
        secrets.push(reacted.await);
        secrets
    }

    /// State that holds and state that was replaced, with the names and reasons of members.
    async fn state(&self, carol: &Client) -> Vec<String> {
        let (alice, bob, room) = (self.alice, self.bob, self.room);
        let mut secrets = Vec::new();
        for (event_type, field) in [
            ("m.room.topic", "topic"),
            ("m.room.name", "name"),
            ("org.example.note", "note"),
        ] {
            for n in 0..2 {
                let content = json!({ field: format!("s{n}{SECRET}") });
                secrets.push(alice.send_state(room, event_type, "", content).await);
            }
        }
        let name = json!({ "membership": "join", "displayname": format!("d{SECRET}") });
        let renamed = bob.send_state(room, "m.room.member", &bob.user_id, name);
        secrets.push(renamed.await);
        // Whoever was invited has seen the name without its event.
        for verb in ["invite", "kick", "ban", "unban", "invite"] {
            let body = json!({ "user_id": carol.user_id, "reason": SECRET });
            let answer = alice.post(&in_room(room, verb), body).await;
            answer.expect_ok();
            let member = format!("state/m.room.member/{}", encode(&carol.user_id));
            let path = in_room(room, &format!("{member}?format=event"));
            let member = alice.get(&path).await.expect_ok();
            secrets.push(member["event_id"].as_str().unwrap().to_owned());
        }
        secrets
    }
}

/// Everything that somebody in the room can ask for in which there are events, or words of them.
async fn seen(reader: &Client, room: &str, events: &[String]) -> String {
    let mut seen = String::new();
    for path in [
        in_room(room, "messages?dir=b&limit=1000"),
        in_room(room, "messages?dir=f&limit=1000"),
        in_room(room, "state"),
        in_room(room, "members"),
        in_room(room, "joined_members"),
        in_room(room, "initialSync?limit=100"),
        "notifications?limit=1000".to_owned(),
        "notifications?limit=1000&only=highlight".to_owned(),
        "sync?full_state=true".to_owned(),
        "publicRooms".to_owned(),
    ] {
        seen += &reader.get(&path).await.expect_ok().to_string();
    }
    let newest = reader.over("v1");
    for path in [
        format!("room_summary/{}", encode(room)),
        in_room(room, "hierarchy"),
        in_room(room, "threads"),
    ] {
        seen += &newest.get(&path).await.expect_ok().to_string();
    }
    for event in events {
        let event = encode(event);
        for path in [format!("event/{event}"), format!("context/{event}")] {
            let answer = reader.get(&in_room(room, &path)).await;
            seen += &answer.expect_ok().to_string();
        }
        let path = in_room(room, &format!("relations/{event}?limit=100"));
        seen += &newest.get(&path).await.expect_ok().to_string();
    }
    let slid = json!({"lists": {"all": {"ranges": [[0, 99]], "timeline_limit": 100,
        "required_state": [["*", "*"]]}}});
    let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
    seen + &reader.post(path, slid).await.expect_ok().to_string()
}

/// How many events a search for each of the secret words finds.
async fn found(reader: &Client, said: u32) -> usize {
    let mut all = 0;
    for n in 0..said {
        let criteria = json!({ "search_term": format!("w{n}{SECRET}") });
        let body = json!({ "search_categories": { "room_events": criteria } });
        let answer = reader.post("search", body).await.expect_ok();
        let results = &answer["search_categories"]["room_events"]["results"];
        all += results.as_array().unwrap().len();
    }
    all
}

#[tokio::test]
async fn b33_a39_no_copy_is_left_of_what_was_redacted_in_any_version() {
    let server = TestServer::start().await;
    for version in 1..=12 {
        let request = json!({ "room_version": version.to_string(), "visibility": "public" });
        let (alice, bob, room) = shared_room(&server, request).await;
        let carol = server.register("carol").await;
        let mut here = Secrets {
            alice: &alice,
            bob: &bob,
            room: &room,
            said: 0,
            redacted: 0,
        };
        let mut secrets = here.talk().await;
        secrets.extend(here.state(&carol).await);
        // All copies are made: by those who read, are notified, and search.
        let before = seen(&bob, &room, &secrets).await;
        assert!(before.contains(SECRET), "version {version}");
        assert!(found(&bob, here.said).await >= 4, "version {version}");
        let invited = carol.sync("").await.to_string();
        assert!(invited.contains(SECRET), "version {version}: {invited}");

        let mut redactions = Vec::new();
        for secret in &secrets {
            redactions.push(here.redact(secret, SECRET).await);
        }
        // Why it was redacted is said in the redactions, which can be redacted too.
        for redaction in &redactions {
            here.redact(redaction, "kept").await;
        }
        for reader in [&alice, &bob] {
            let after = seen(reader, &room, &secrets).await;
            let at = after.find(SECRET).map(|at| {
                let around = at.saturating_sub(400)..(at + 100).min(after.len());
                String::from_utf8_lossy(&after.as_bytes()[around]).into_owned()
            });
            assert_eq!(at, None, "version {version}");
            assert_eq!(found(reader, here.said).await, 0, "version {version}");
        }
        let invited = carol.sync("").await.to_string();
        assert!(!invited.contains(SECRET), "version {version}: {invited}");
    }
    let status = server.stop().await;
    assert!(status.success(), "{status}");
    let stored = server.stored();
    let holds = |text: &str| stored.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(holds("kept"), "this test cannot read what is stored");
    assert!(!holds(SECRET));
    for line in server.log() {
        assert!(!line.contains(SECRET), "{line}");
    }
}
