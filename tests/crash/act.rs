//! What a client of the swarm wants done, and the request that says so.

use greenroom_tests::{Client, encode};
use reqwest::Method;
use serde_json::{Value, json};

/// The kinds of acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A message under a transaction id.
    Message,
    /// A state event under the sender's own state key.
    State,
    /// Joins a room.
    Join,
    /// Leaves it again.
    Leave,
    /// The account's own data.
    AccountData,
    /// The account's data of a room.
    RoomAccountData,
    /// A read receipt.
    Receipt,
    /// Makes a room with an alias, so that asking again does not make another.
    Create,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Message,
        Self::State,
        Self::Join,
        Self::Leave,
        Self::AccountData,
        Self::RoomAccountData,
        Self::Receipt,
        Self::Create,
    ];

    /// As in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::State => "state",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::AccountData => "account data",
            Self::RoomAccountData => "room account data",
            Self::Receipt => "receipt",
            Self::Create => "create",
        }
    }

    /// Whether the act makes an event of the room's timeline.
    pub fn makes_event(self) -> bool {
        matches!(self, Self::Message | Self::State | Self::Join | Self::Leave)
    }
}

/// One act of one writer.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who.
    pub writer: usize,
    /// The how-manieth of this writer.
    pub number: u64,
    /// What.
    pub kind: Kind,
    /// Where; empty for the account's own data.
    pub room: String,
    /// The type of state or account data, or the event that was read.
    pub slot: String,
}

impl Act {
    /// What tells this act from all others in what the server gives back.
    pub fn mark(&self) -> String {
        format!("{}.{}", self.writer, self.number)
    }

    /// What acts overwrite each other in; the last one counts.
    pub fn place(&self) -> (usize, Kind, String, String) {
        let slot = match self.kind {
            Kind::Receipt => String::new(),
            _ => self.slot.clone(),
        };
        // A leave overwrites a join.
        let kind = match self.kind {
            Kind::Leave => Kind::Join,
            kind => kind,
        };
        (self.writer, kind, self.room.clone(), slot)
    }

    /// As in the journal.
    pub fn to_json(&self) -> Value {
        json!({
            "writer": self.writer,
            "act": self.number,
            "kind": self.kind.name(),
            "room": self.room,
            "slot": self.slot,
        })
    }

    /// From the journal.
    pub fn from_json(line: &Value) -> Option<Self> {
        let text = |name: &str| Some(line[name].as_str()?.to_owned());
        Some(Self {
            writer: usize::try_from(line["writer"].as_u64()?).ok()?,
            number: line["act"].as_u64()?,
            kind: Kind::ALL
                .into_iter()
                .find(|kind| line["kind"] == kind.name())?,
            room: text("room")?,
            slot: text("slot")?,
        })
    }

    /// The request that does it: the same each time.
    pub fn request(&self, client: &Client) -> (Method, String, Value) {
        let mark = self.mark();
        let room = encode(&self.room);
        let user = encode(&client.user_id);
        let slot = encode(&self.slot);
        let content = json!({ "mark": mark });
        match self.kind {
            Kind::Message => (
                Method::PUT,
                format!("rooms/{room}/send/m.room.message/{mark}"),
                json!({"msgtype": "m.text", "body": format!("message {mark}"), "mark": mark}),
            ),
            Kind::State => (
                Method::PUT,
                format!("rooms/{room}/state/{slot}/{user}"),
                content,
            ),
            Kind::Join => (
                Method::POST,
                format!("rooms/{room}/join"),
                json!({ "reason": mark }),
            ),
            Kind::Leave => (
                Method::POST,
                format!("rooms/{room}/leave"),
                json!({ "reason": mark }),
            ),
            Kind::AccountData => (
                Method::PUT,
                format!("user/{user}/account_data/{slot}"),
                content,
            ),
            Kind::RoomAccountData => (
                Method::PUT,
                format!("user/{user}/rooms/{room}/account_data/{slot}"),
                content,
            ),
            Kind::Receipt => (
                Method::POST,
                format!("rooms/{room}/receipt/m.read/{slot}"),
                json!({}),
            ),
            Kind::Create => (
                Method::POST,
                "createRoom".to_owned(),
                json!({"room_alias_name": mark, "name": mark, "topic": mark}),
            ),
        }
    }
}

/// The mark of the act that made an event.
pub fn mark_of(event: &Value) -> Option<&str> {
    let content = &event["content"];
    content["mark"]
        .as_str()
        .or_else(|| content["reason"].as_str())
}
