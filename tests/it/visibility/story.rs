//! What happens in the rooms of the matrix: twenty people come and go in all ways while somebody
//! goes on talking and changes the visibility back and forth.

use futures_util::future::join_all;
use greenroom_tests::{Client, encode};
use serde_json::{Value, json};

use super::rule::Room;
use crate::rooms::{in_room, text, timeline};

/// For each way through a room: what the person does, or has done to them, at each stage.
pub(super) const COURSES: &[(&str, [&str; 4])] = &[
    ("never there", ["", "", "", ""]),
    ("invited", ["", "invite", "", ""]),
    ("invite declined", ["invite", "", "leave", ""]),
    ("knocking", ["", "knock", "", ""]),
    ("knock taken back", ["knock", "", "leave", ""]),
    ("banned stranger", ["", "ban", "", ""]),
    ("joined late", ["", "", "join", ""]),
    ("joined early", ["join", "", "", ""]),
    ("invited, joined", ["invite", "", "join", ""]),
    ("knocked, invited, joined", ["knock", "invite", "join", ""]),
    ("left", ["", "join", "", "leave"]),
    ("kicked", ["join", "", "kick", ""]),
    ("banned", ["join", "", "ban", ""]),
    ("banned, unbanned", ["join", "ban", "", "unban"]),
    ("left, banned", ["join", "leave", "", "ban"]),
    ("joined again", ["join", "leave", "", "join"]),
    ("left, invited", ["join", "leave", "", "invite"]),
    ("left, knocking", ["join", "leave", "", "knock"]),
    ("left, declined", ["join", "leave", "invite", "leave"]),
    ("renamed, left", ["join", "rename", "", "leave"]),
    ("forgotten", ["join", "", "leave", "forget"]),
];

/// Makes a room whose visibility goes from `first` to `second` and back at every stage, leads
/// everybody through it, and gives all that was sent.
pub(super) async fn played(owner: &Client, people: &[Client], first: &str, second: &str) -> Room {
    let rule = |value: &str| json!({ "history_visibility": value });
    let id = owner
        .create_room(json!({"initial_state": [
            {"type": "m.room.history_visibility", "content": rule(first)},
            {"type": "m.room.join_rules", "content": {"join_rule": "knock"}},
        ]}))
        .await;
    let stages = COURSES[0].1.len();
    let mut openings: Vec<String> = Vec::new();
    for stage in 0..=stages {
        if let Some(at) = stage.checked_sub(1) {
            let steps = COURSES.iter().zip(people);
            join_all(steps.map(|((_, course), person)| step(owner, &id, person, course[at]))).await;
        }
        openings.push(speak(owner, &id, 2 * stage, None).await);
        let next = if stage % 2 == 0 { second } else { first };
        let event_type = "m.room.history_visibility";
        owner.send_state(&id, event_type, "", rule(next)).await;
        // A reply to what was said a stage before.
        let opening = &openings[stage.saturating_sub(1)];
        speak(owner, &id, 2 * stage + 1, Some(opening)).await;
    }
    let events = timeline(owner, &id).await;
    // In a thread of its own each event has its receipt.
    join_all(events.iter().map(async |event| {
        let event_id = event["event_id"].as_str().unwrap();
        let path = format!("receipt/m.read/{}", encode(event_id));
        let body = json!({ "thread_id": event_id });
        owner.post(&in_room(&id, &path), body).await.expect_ok();
    }))
    .await;
    Room { id, events }
}

async fn speak(owner: &Client, room: &str, n: usize, opening: Option<&str>) -> String {
    let mut content = text("words");
    if let Some(opening) = opening {
        content["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": opening });
    }
    let txn = format!("say {n}");
    let sent = owner.send(room, "m.room.message", &txn, content).await;
    owner
        .send_state(room, "org.example.note", "", json!({ "n": n }))
        .await;
    sent
}

async fn step(owner: &Client, room: &str, person: &Client, what: &str) {
    let act = async |client: &Client, verb: &str, body: Value| {
        client.post(&in_room(room, verb), body).await.expect_ok();
    };
    match what {
        "" => {}
        "join" => {
            // The room is not open to all: who was not invited is now.
            owner
                .post(&in_room(room, "invite"), json!({"user_id": person.user_id}))
                .await
                .expect_ok();
            person.join(room).await;
        }
        "rename" => {
            let content = json!({"membership": "join", "displayname": "Somebody else"});
            person
                .send_state(room, "m.room.member", &person.user_id, content)
                .await;
        }
        "knock" => {
            let path = format!("knock/{}", encode(room));
            person.post(&path, json!({})).await.expect_ok();
        }
        "leave" | "forget" => act(person, what, json!({})).await,
        _ => act(owner, what, json!({"user_id": person.user_id})).await,
    }
}
