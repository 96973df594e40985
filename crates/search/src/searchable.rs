//! What of an event is searched.

use std::collections::BTreeSet;

use greenroom_model::StoredEvent;
use serde::Deserialize;

use crate::{
    fold::pieces,
    tokens::{hash, kind_token, of_text, room_token, sender_token},
};

/// A key that is searched over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `content.body` of `m.room.message`.
    Body,
    /// `content.name` of `m.room.name`.
    Name,
    /// `content.topic` of `m.room.topic`, and the plain text of its `m.topic`.
    Topic,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Body, Self::Name, Self::Topic];

    /// The key whose text events of this type have.
    #[must_use]
    pub fn of(event_type: &str, is_state: bool) -> Option<Self> {
        match (event_type, is_state) {
            ("m.room.message", false) => Some(Self::Body),
            ("m.room.name", true) => Some(Self::Name),
            ("m.room.topic", true) => Some(Self::Topic),
            _ => None,
        }
    }
}

/// Whether there may be something to search in an event.
#[must_use]
pub fn is_searchable(event: &StoredEvent) -> bool {
    event.redacted_by.is_none() && key(event).is_some()
}

fn key(event: &StoredEvent) -> Option<Key> {
    Key::of(&event.event_type, event.state_key.is_some())
}

/// The texts of an event that are searched, and the key that they are under. What is not a text
/// where there should be one is no text.
#[must_use]
pub fn texts(event: &StoredEvent) -> Option<(Key, Vec<String>)> {
    #[derive(Deserialize)]
    struct Event {
        content: serde_json::Map<String, serde_json::Value>,
    }
    let key = key(event)?;
    let Event { content } = serde_json::from_slice(&event.json).ok()?;
    let field = |name: &str| content.get(name).and_then(|text| text.as_str());
    let texts: Vec<&str> = match key {
        Key::Body => field("body").into_iter().collect(),
        Key::Name => field("name").into_iter().collect(),
        Key::Topic => {
            let plain = content.get("m.topic").and_then(|topic| {
                let representations = topic.get("m.text")?.as_array()?;
                let plain = representations.iter().find(|representation| {
                    // "Defaults to `text/plain` if omitted."
                    let mimetype = representation.get("mimetype");
                    mimetype.is_none_or(|mimetype| mimetype == "text/plain")
                });
                plain?.get("body")?.as_str()
            });
            let topic = field("topic");
            topic
                .into_iter()
                .chain(plain.filter(|plain| Some(*plain) != topic))
                .collect()
        }
    };
    Some((key, texts.into_iter().map(ToOwned::to_owned).collect()))
}

/// The tokens by which an index knows an event; `None` if there is nothing to search in it. The same
/// for the same event every time, until it is redacted.
#[must_use]
pub fn entry(event: &StoredEvent) -> Option<Vec<String>> {
    let (key, texts) = texts(event)?;
    let mut tokens = BTreeSet::new();
    for piece in texts.iter().flat_map(|text| pieces(text)) {
        of_text(&piece, &mut tokens);
    }
    if tokens.is_empty() {
        return None;
    }
    tokens.insert(room_token(hash(event.room_id.as_str())));
    tokens.insert(sender_token(hash(event.sender.as_str())));
    tokens.extend(kind_token(key));
    Some(tokens.into_iter().collect())
}
