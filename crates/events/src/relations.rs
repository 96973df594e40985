//! Events that relate to others: what an event says of it, and how clients are told what relates
//! to an event.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use greenroom_model::{Aggregations, Relation, StoredEvent, Target, rel_type};
use memchr::memmem::Finder;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    EventError, Viewer,
    client_format::{into_text, raw},
};

/// The longest `rel_type` and event ID, in bytes.
const MAX_IDENTIFIER: usize = 255;

/// What is summed up of the relations to each of these events.
pub type Bundles = HashMap<OwnedEventId, Aggregations>;

static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"m.relates_to\":"));

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(rename = "m.relates_to", borrow)]
    relates_to: RelatesTo<'a>,
}

#[derive(Deserialize)]
struct RelatesTo<'a> {
    #[serde(borrow)]
    rel_type: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct KeyField<'a> {
    #[serde(rename = "m.relates_to", borrow)]
    relates_to: AnnotationField<'a>,
}

#[derive(Deserialize)]
struct AnnotationField<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

#[derive(Deserialize)]
struct NewContent<'a> {
    #[serde(rename = "m.new_content", borrow)]
    new_content: &'a RawValue,
}

/// The relation that an event with this content has. "Relationships which don't match the schema
/// [...] are simply ignored."
#[must_use]
pub fn relation_in(
    event_type: &str,
    state_key: Option<&str>,
    content: &CanonicalJsonObject,
) -> Option<Relation> {
    let CanonicalJsonValue::Object(relates_to) = content.get("m.relates_to")? else {
        return None;
    };
    let text = |key: &str| match relates_to.get(key) {
        Some(CanonicalJsonValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let new_content = || {
        matches!(
            content.get("m.new_content"),
            Some(CanonicalJsonValue::Object(_))
        )
    };
    let form = Form {
        event_type,
        is_state: state_key.is_some(),
    };
    form.relation(
        text("rel_type")?,
        text("event_id")?,
        || text("key").map(ToOwned::to_owned),
        new_content,
    )
}

/// The relation that a stored event has. One that has none costs a search for a word in it.
#[must_use]
pub fn relation_of(event: &StoredEvent) -> Option<Relation> {
    KEY.find(&event.json)?;
    let Event { content } = serde_json::from_slice(&event.json).ok()?;
    let content = content.get();
    let Content { relates_to } = serde_json::from_str(content).ok()?;
    let key = || {
        let found: Option<KeyField<'_>> = serde_json::from_str(content).ok();
        found.map(|found| found.relates_to.key.into_owned())
    };
    let form = Form {
        event_type: &event.event_type,
        is_state: event.state_key.is_some(),
    };
    form.relation(&relates_to.rel_type, &relates_to.event_id, key, || {
        let new: Option<NewContent<'_>> = serde_json::from_str(content).ok();
        new.is_some_and(|new| new.new_content.get().starts_with('{'))
    })
}

/// What of an event beside its content decides over its relation.
struct Form<'a> {
    event_type: &'a str,
    is_state: bool,
}

impl Form<'_> {
    fn relation(
        &self,
        rel_type: &str,
        target: &str,
        key: impl FnOnce() -> Option<String>,
        has_new_content: impl FnOnce() -> bool,
    ) -> Option<Relation> {
        let longest = rel_type.len().max(target.len());
        if rel_type.is_empty() || longest > MAX_IDENTIFIER {
            return None;
        }
        // "The replacement event (once decrypted, if appropriate) must have an `m.new_content`."
        let is_edit = rel_type == rel_type::REPLACE
            && !self.is_state
            && (self.event_type == "m.room.encrypted" || has_new_content());
        Some(Relation {
            target: EventId::parse(target).ok()?,
            rel_type: rel_type.to_owned(),
            key: (rel_type == rel_type::ANNOTATION).then(key).flatten(),
            is_edit,
        })
    }
}

/// Those of the events that are told of what relates to them, for the question to the database.
///
/// "State events do not currently receive bundled aggregations."
pub fn targets<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Vec<Target> {
    let events = events.into_iter().filter(|event| event.state_key.is_none());
    events.map(target).collect()
}

/// An event as the target of others.
#[must_use]
pub fn target(event: &StoredEvent) -> Target {
    let relation = relation_of(event);
    Target {
        room_id: event.room_id.clone(),
        event_id: event.event_id.clone(),
        position: event.position,
        event_type: event.event_type.clone(),
        sender: event.sender.clone(),
        // "If the original event is redacted, any `m.replace` relationship should not be bundled."
        editable: event.state_key.is_none()
            && event.redacted_by.is_none()
            && relation
                .as_ref()
                .is_none_or(|it| it.rel_type != rel_type::REPLACE),
        threadable: relation.is_none(),
    }
}

impl Viewer<'_> {
    /// What relates to an event, as `m.relations` of its `unsigned`.
    pub(crate) fn bundled(&self, event: &StoredEvent) -> Result<Option<Box<RawValue>>, EventError> {
        let bundle = self
            .bundles
            .and_then(|bundles| bundles.get(&event.event_id));
        let Some(bundle) = bundle.filter(|bundle| !bundle.is_empty()) else {
            return Ok(None);
        };
        let mut out = Vec::with_capacity(1024);
        let mut open = "{\"";
        if !bundle.references.is_empty() {
            raw(&mut out, "{\"m.reference\":{\"chunk\":");
            let ids = bundle.references.iter();
            let chunk: Vec<_> = ids.map(|event_id| ReferenceItem { event_id }).collect();
            serde_json::to_writer(&mut out, &chunk)?;
            raw(&mut out, "}");
            open = ",\"";
        }
        if let Some(edit) = &bundle.edit {
            let edit = self.whole(None).view(edit, &HashMap::new())?;
            raw(&mut out, open);
            raw(&mut out, "m.replace\":");
            raw(&mut out, edit.get());
            open = ",\"";
        }
        if let Some(thread) = &bundle.thread {
            raw(&mut out, open);
            raw(&mut out, "m.thread\":{\"count\":");
            serde_json::to_writer(&mut out, &thread.count)?;
            raw(&mut out, ",\"current_user_participated\":");
            serde_json::to_writer(&mut out, &thread.participated)?;
            raw(&mut out, ",\"latest_event\":");
            raw(&mut out, self.latest_of(&thread.latest)?.get());
            raw(&mut out, "}");
        }
        raw(&mut out, "}");
        Ok(Some(RawValue::from_string(into_text(out)?)?))
    }

    /// The latest event of a thread. "Child events of the `latest_event` should themselves be
    /// aggregated [...]. The server should be careful to avoid loops."
    fn latest_of(&self, latest: &StoredEvent) -> Result<Box<RawValue>, EventError> {
        let own = self.bundles.and_then(|all| all.get(&latest.event_id));
        let own = own.map(|own| {
            let own = Aggregations {
                thread: None,
                ..own.clone()
            };
            Bundles::from([(latest.event_id.clone(), own)])
        });
        self.whole(own.as_ref()).view(latest, &HashMap::new())
    }
}

#[derive(serde::Serialize)]
struct ReferenceItem<'a> {
    event_id: &'a EventId,
}
