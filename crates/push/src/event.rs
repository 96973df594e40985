//! An event as push rules look at it.

use std::sync::Arc;

use greenroom_events::event_fields::split_path;
use greenroom_model::StoredEvent;
use ruma::push::ScalarJsonValue;
use serde::Deserialize;
use serde_json::Value;

/// An event that is judged, read once for everybody whom it may concern.
#[derive(Clone, Debug)]
pub struct Candidate {
    event: Arc<StoredEvent>,
    content: Value,
}

#[derive(Deserialize)]
struct Pdu {
    content: Value,
}

impl Candidate {
    /// Reads an event. One that does not read has no content as far as rules know.
    #[must_use]
    pub fn new(event: Arc<StoredEvent>) -> Self {
        // Nesting is bounded where content comes in, and higher than serde_json's own bound.
        let mut deserializer = serde_json::Deserializer::from_slice(&event.json);
        deserializer.disable_recursion_limit();
        let content = Pdu::deserialize(&mut deserializer).map_or(Value::Null, |pdu| pdu.content);
        Self { event, content }
    }

    /// The event as stored.
    #[must_use]
    pub fn event(&self) -> &Arc<StoredEvent> {
        &self.event
    }

    /// The property at a path, as clients see the event. Its signatures and its place in the room
    /// are no properties of it.
    fn property<'a>(&'a self, path: &PropertyPath) -> Option<Property<'a>> {
        let (name, rest) = path.0.split_first()?;
        if name == "content" {
            let mut at = &self.content;
            for name in rest {
                at = at.as_object()?.get(name)?;
            }
            return Some(Property::Json(at));
        }
        let event = &*self.event;
        let property = match (name.as_str(), rest) {
            ("type", []) => Property::Text(&event.event_type),
            ("sender", []) => Property::Text(event.sender.as_str()),
            ("state_key", []) => Property::Text(event.state_key.as_deref()?),
            ("room_id", []) => Property::Text(event.room_id.as_str()),
            ("event_id", []) => Property::Text(event.event_id.as_str()),
            ("origin_server_ts", []) => Property::Integer(event.origin_server_ts.get().into()),
            _ => return None,
        };
        Some(property)
    }

    /// The text at a path; `None` if there is something else or nothing.
    pub(crate) fn text(&self, path: &PropertyPath) -> Option<&str> {
        match self.property(path)? {
            Property::Text(text) => Some(text),
            Property::Json(value) => value.as_str(),
            Property::Integer(_) => None,
        }
    }

    /// Whether the property at a path is exactly this.
    pub(crate) fn is(&self, path: &PropertyPath, wanted: &ScalarJsonValue) -> bool {
        match self.property(path) {
            Some(Property::Text(text)) => wanted.as_str() == Some(text),
            Some(Property::Integer(number)) => integer(wanted) == Some(number),
            Some(Property::Json(value)) => equal(value, wanted),
            None => false,
        }
    }

    /// Whether there is a list at a path with exactly this in it.
    pub(crate) fn contains(&self, path: &PropertyPath, wanted: &ScalarJsonValue) -> bool {
        match self.property(path) {
            Some(Property::Json(Value::Array(values))) => {
                values.iter().any(|value| equal(value, wanted))
            }
            _ => false,
        }
    }
}

enum Property<'a> {
    Text(&'a str),
    Integer(i64),
    Json(&'a Value),
}

fn integer(value: &ScalarJsonValue) -> Option<i64> {
    value.as_integer().map(Into::into)
}

fn equal(value: &Value, wanted: &ScalarJsonValue) -> bool {
    match (value, wanted) {
        (Value::Null, ScalarJsonValue::Null) => true,
        (Value::Bool(value), ScalarJsonValue::Bool(wanted)) => value == wanted,
        (Value::String(value), ScalarJsonValue::String(wanted)) => value == wanted,
        (Value::Number(value), ScalarJsonValue::Integer(wanted)) => {
            value.as_i64() == Some((*wanted).into())
        }
        _ => false,
    }
}

/// A [dot-separated path](https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths)
/// to a property.
#[derive(Clone, Debug)]
pub(crate) struct PropertyPath(Vec<String>);

impl PropertyPath {
    pub(crate) fn new(path: &str) -> Self {
        Self(split_path(path))
    }
}
