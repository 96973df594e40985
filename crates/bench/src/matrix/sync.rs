//! What the scenarios read of a sync's answer.

use std::collections::HashMap;

use serde::Deserialize;

/// The answer to `GET /sync`.
#[derive(Debug, Default, Deserialize)]
pub struct SyncAnswer {
    /// Where the next one goes on.
    pub next_batch: String,
    /// What is new in rooms.
    #[serde(default)]
    rooms: Rooms,
}

#[derive(Debug, Default, Deserialize)]
struct Rooms {
    #[serde(default)]
    join: HashMap<String, JoinedRoom>,
}

/// One joined room of the answer.
#[derive(Debug, Default, Deserialize)]
pub struct JoinedRoom {
    /// Its newest events.
    #[serde(default)]
    pub timeline: Timeline,
}

/// The newest events of a room, oldest first.
#[derive(Debug, Default, Deserialize)]
pub struct Timeline {
    /// The events.
    #[serde(default)]
    pub events: Vec<TimelineEvent>,
    /// Whether there are more that are not shown.
    #[serde(default)]
    pub limited: bool,
    /// Where `/messages` finds those.
    pub prev_batch: Option<String>,
}

/// An event of a timeline.
#[derive(Debug, Deserialize)]
pub struct TimelineEvent {
    /// Its id.
    pub event_id: String,
}

impl SyncAnswer {
    /// The joined rooms in the answer, by room id.
    #[must_use]
    pub fn joined(&self) -> &HashMap<String, JoinedRoom> {
        &self.rooms.join
    }

    /// How often an event stands in a room's timeline.
    #[must_use]
    pub fn count(&self, room_id: &str, event_id: &str) -> usize {
        self.rooms.join.get(room_id).map_or(0, |room| {
            room.timeline
                .events
                .iter()
                .filter(|event| event.event_id == event_id)
                .count()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SyncAnswer;

    #[test]
    fn an_answer_without_rooms_is_read() {
        let answer: SyncAnswer = serde_json::from_str(r#"{"next_batch":"s1"}"#).expect("reads");
        assert_eq!(
            (answer.next_batch.as_str(), answer.joined().len()),
            ("s1", 0)
        );
    }

    #[test]
    fn an_event_is_counted_in_its_own_room_alone() {
        let json = r#"{"next_batch":"s1","presence":{"events":[]},"rooms":{"join":{
            "!a:x":{"state":{"events":[]},"timeline":{"limited":true,"prev_batch":"p","events":[{"event_id":"$1","type":"t"}]}},
            "!b:x":{}}}}"#;
        let answer: SyncAnswer = serde_json::from_str(json).expect("reads");
        assert_eq!(
            (
                answer.count("!a:x", "$1"),
                answer.count("!b:x", "$1"),
                answer.count("!a:x", "$2")
            ),
            (1, 0, 0)
        );
    }
}
