//! Stored events as one reader sees them: with `unsigned`, in the reader's format.

use std::collections::HashMap;

use greenroom_model::StoredEvent;
use ruma::{DeviceId, OwnedEventId, UserId};
use serde_json::value::RawValue;

use crate::{
    ClientEvent, EventError, EventFields, Format, Unsigned, VisibilityHistory, relations::Bundles,
};

/// Who reads, and how.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// The reader.
    pub user_id: &'a UserId,
    /// Their device: it alone gets to see its transaction IDs.
    pub device_id: Option<&'a DeviceId>,
    /// Now, in milliseconds since the Unix epoch, for `age`.
    pub now_ms: u64,
    /// What the reader may see of the room, for `membership` and `prev_content`.
    pub history: Option<&'a VisibilityHistory>,
    /// The shape of the answer.
    pub format: Format,
    /// The fields wanted, if not all.
    pub fields: Option<&'a EventFields>,
    /// What relates to the events, where the reader is told.
    pub bundles: Option<&'a Bundles>,
}

/// Events that others refer to, by ID.
pub type Related = HashMap<OwnedEventId, StoredEvent>;

/// The IDs of the events that are needed to show these: state they replaced, redactions.
pub fn related_ids<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Vec<OwnedEventId> {
    let mut ids: Vec<OwnedEventId> = events
        .into_iter()
        .flat_map(|event| event.replaces_state.iter().chain(&event.redacted_by))
        .cloned()
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

impl Viewer<'_> {
    /// One event as the reader sees it. `related` holds what [`related_ids`] asked for; what is
    /// missing from it is left out.
    ///
    /// # Errors
    ///
    /// [`EventError::Broken`] if a stored event does not read as one.
    pub fn view(
        &self,
        event: &StoredEvent,
        related: &Related,
    ) -> Result<Box<RawValue>, EventError> {
        self.view_prepared(event, &ClientEvent::new(event)?, related)
    }

    /// The same for an event that was prepared before.
    ///
    /// # Errors
    ///
    /// As [`Self::view`].
    pub fn view_prepared(
        &self,
        event: &StoredEvent,
        prepared: &ClientEvent,
        related: &Related,
    ) -> Result<Box<RawValue>, EventError> {
        let replaced = event
            .replaces_state
            .as_ref()
            .and_then(|id| related.get(id))
            .filter(|before| self.history.is_none_or(|history| history.allows(before)));
        let before = replaced.map(ClientEvent::new).transpose()?;
        let redaction = event
            .redacted_by
            .as_ref()
            .and_then(|id| related.get(id))
            // Whole, whatever fields are wanted of the event itself.
            .map(|redaction| self.whole(None).view(redaction, &Related::new()))
            .transpose()?;
        let relations = self.bundled(event)?;
        let unsigned = Unsigned {
            age_ms: Some(age_ms(event, self.now_ms)),
            transaction_id: event
                .transaction
                .as_ref()
                .filter(|(device, _)| {
                    event.sender == self.user_id && self.device_id == Some(device)
                })
                .map(|(_, transaction_id)| &**transaction_id),
            prev_content: before.as_ref().map(ClientEvent::content),
            prev_sender: replaced.map(|before| &*before.sender),
            replaces_state: event.replaces_state.as_deref(),
            redacted_because: redaction.as_deref(),
            membership: self
                .history
                .map(|history| history.membership_at(event.position)),
            relations: relations.as_deref(),
        };
        let rendered = prepared.render(&unsigned, self.format)?;
        match self.fields {
            Some(fields) => fields.apply(&rendered),
            None => Ok(rendered),
        }
    }

    /// For an event inside of another one.
    pub(crate) fn whole<'a>(&'a self, bundles: Option<&'a Bundles>) -> Viewer<'a> {
        Viewer {
            fields: None,
            bundles,
            ..*self
        }
    }
}

fn age_ms(event: &StoredEvent, now_ms: u64) -> i64 {
    let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let sent = i64::try_from(u64::from(event.origin_server_ts.get())).unwrap_or(i64::MAX);
    now.saturating_sub(sent)
}
