//! The columns of what shows many rooms at once: notifications, sliding sync, and what is said of a
//! room to those who are not in it.

use greenroom_tests::{Client, encode};
use serde_json::{Value, json};

use super::{Cell, sorted};
use crate::rooms::ids;

/// All that somebody was notified of.
pub(super) async fn notifications(client: &Client) -> Vec<Value> {
    let (mut all, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("notifications?limit=100{from}");
        let page = client.get(&path).await.expect_ok();
        all.extend(page["notifications"].as_array().unwrap().iter().cloned());
        match page["next_token"].as_str() {
            Some(token) => from = format!("&from={}", encode(token)),
            None => return all,
        }
    }
}

/// The first answer of sliding sync, with all state and more events than there are.
pub(super) async fn slide(client: &Client) -> Value {
    let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
    let body = json!({"lists": {"all": {"ranges": [[0, 99]], "timeline_limit": 100,
        "required_state": [["*", "*"]]}}});
    client.post(path, body).await.expect_ok()
}

impl Cell<'_> {
    /// Somebody is notified of what is said while they are there to hear it, and of nothing that
    /// they may not see.
    pub(super) fn notified(&self, all: &[Value]) {
        let here = all.iter().filter(|it| it["room_id"] == *self.room.id);
        let mut found: Vec<&str> = here
            .map(|it| it["event"]["event_id"].as_str().unwrap())
            .collect();
        found.reverse();
        for event_id in &found {
            let event = self.room.event(event_id);
            // That one is invited is told to those who cannot see the room yet.
            let own = event["type"] == "m.room.member"
                && event["state_key"] == *self.client.user_id
                && event["content"]["membership"] == "invite";
            let heard =
                self.reader.sees(self.room.position(event_id)) && event["type"] == "m.room.message";
            assert!(own || heard, "{}: notified of {event}", self.name);
        }
        if self.reader.membership() == "join" {
            let mut right = self
                .reader
                .visible(self.reader.joined_at()..self.room.events.len());
            right.retain(|event_id| self.room.event(event_id)["type"] == "m.room.message");
            found.retain(|event_id| self.room.position(event_id) > self.reader.joined_at());
            assert_eq!(found, right, "{}: notifications", self.name);
        }
    }

    /// The room in the first answer of sliding sync.
    pub(super) fn slid(&self, answer: &Value) {
        let name = format!("{}: sliding sync", self.name);
        let room = &answer["rooms"][&self.room.id];
        let membership = self.reader.membership();
        let timeline = room["timeline"].as_array().map_or(&[][..], Vec::as_slice);
        let state = room["required_state"].as_array();
        match membership {
            "join" => {
                let found = ids(timeline);
                let must = self.reader.visible(0..self.room.events.len());
                assert!(must.ends_with(&found), "{name}: {found:?}");
                assert!(!found.is_empty(), "{name}: {room}");
                if found.len() < must.len() {
                    // It is cut where there is something before it that is not shown.
                    let before = self.room.position(found[0]) - 1;
                    assert!(!self.reader.sees(before), "{name}: cut at {}", found[0]);
                    assert_eq!(room["limited"], true, "{name}: {room}");
                }
                let now = self.room.state(self.room.events.len());
                assert_eq!(sorted(&room["required_state"]), now, "{name}");
            }
            "invite" | "knock" => {
                assert!(timeline.is_empty() && state.is_none(), "{name}: {room}");
                let stripped = room["invite_state"].to_string();
                assert!(stripped.contains(&self.client.user_id), "{name}: {room}");
                assert!(!stripped.contains("event_id"), "{name}: {room}");
                assert!(!stripped.contains("m.room.message"), "{name}: {room}");
            }
            _ => {
                // Who was thrown out may be told so, with what they saw before.
                let own = self.own_last();
                for event_id in ids(timeline) {
                    let seen = self.reader.sees(self.room.position(event_id));
                    let event = self.room.event(event_id);
                    assert!(seen || own == Some(event_id), "{name}: {event}");
                }
                for event in state.into_iter().flatten() {
                    let at = event["event_id"].as_str().unwrap();
                    let known = self.reader.knows_the_room()
                        && self.room.position(at) < self.reader.departed();
                    assert!(known || own == Some(at), "{name}: {event}");
                }
            }
        }
        self.no_hidden_past(timeline, "sliding sync");
    }

    /// What is said of the room to those who may read it or ask to be let in: here that is
    /// everybody, but whoever is banned may only read.
    pub(super) async fn described(&self) {
        let client = self.client.over("v1");
        let room = encode(&self.room.id);
        let summary = client.get(&format!("room_summary/{room}")).await;
        let hierarchy = client.get(&format!("rooms/{room}/hierarchy")).await;
        let now = self.room.events.len();
        let readable = self.room.visibility(now) == "world_readable";
        let own = self.reader.membership();
        if own == "ban" && !readable {
            assert_eq!(summary.status, 404, "{}", self.name);
            summary.expect_error(404, "M_NOT_FOUND");
            assert_eq!(hierarchy.status, 403, "{}", self.name);
            hierarchy.expect_error(403, "M_FORBIDDEN");
            return;
        }
        for answer in [&summary, &hierarchy] {
            assert_eq!(answer.status, 200, "{}: {}", self.name, answer.describe());
            let shown = answer.body.to_string();
            for event_id in ids(&self.room.events) {
                assert!(!shown.contains(event_id), "{}: {shown}", self.name);
            }
            for hidden in ["m.room.message", "words", "org.example.note"] {
                assert!(!shown.contains(hidden), "{}: {shown}", self.name);
            }
        }
        let summary = summary.expect_ok();
        let listed = &hierarchy.expect_ok()["rooms"][0];
        assert_eq!(listed["children_state"], json!([]), "{}", self.name);
        for said in [&summary, listed] {
            assert_eq!(said["world_readable"], readable, "{}: {said}", self.name);
            let joined = self.room.joined_members();
            assert_eq!(said["num_joined_members"], joined, "{}", self.name);
        }
        assert_eq!(summary["membership"], own, "{}: {summary}", self.name);
    }
}
