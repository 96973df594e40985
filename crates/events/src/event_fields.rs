//! The `event_fields` of a filter: which fields of an event a client wants.

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::value::{RawValue, to_raw_value};

use crate::{EventError, json};

/// Paths of fields, read once per filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFields(Vec<Vec<String>>);

impl EventFields {
    /// Reads [dot-separated property paths][paths]: a backslash makes a dot or a backslash part of
    /// a name, other escape sequences are left as they are.
    ///
    /// [paths]: https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self(paths.into_iter().map(split_path).collect())
    }

    /// The event with only the wanted fields.
    ///
    /// A path into something that is not there, or not an object, adds nothing.
    ///
    /// # Errors
    ///
    /// [`EventError::Broken`] if `event` is not an object of canonical JSON.
    pub fn apply(&self, event: &RawValue) -> Result<Box<RawValue>, EventError> {
        let event = json::parse_stored(event.get().as_bytes())?;
        let mut wanted = CanonicalJsonObject::new();
        for path in &self.0 {
            copy(&event, path, &mut wanted);
        }
        Ok(to_raw_value(&wanted)?)
    }
}

fn copy(from: &CanonicalJsonObject, path: &[String], to: &mut CanonicalJsonObject) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    match (from.get(name), rest) {
        (Some(value), []) => {
            to.insert(name.clone(), value.clone());
        }
        (Some(CanonicalJsonValue::Object(inner)), rest) => {
            let mut found = match to.remove(name) {
                Some(CanonicalJsonValue::Object(found)) => found,
                _ => CanonicalJsonObject::new(),
            };
            copy(inner, rest, &mut found);
            if !found.is_empty() {
                to.insert(name.clone(), CanonicalJsonValue::Object(found));
            }
        }
        (None | Some(_), _) => {}
    }
}

/// The names in a [dot-separated property path][paths].
///
/// [paths]: https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
#[must_use]
pub fn split_path(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut chars = path.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '.' => names.push(std::mem::take(&mut name)),
            '\\' => match chars.next_if(|next| matches!(next, '.' | '\\')) {
                Some(escaped) => name.push(escaped),
                None => name.push('\\'),
            },
            char => name.push(char),
        }
    }
    names.push(name);
    names
}
