//! Whether a room's state allows an event.

use ruma::{
    RoomVersionId,
    events::{StateEventType, TimelineEventType},
    state_res::{
        Event, auth_types_for_event, check_state_dependent_auth_rules,
        check_state_independent_auth_rules,
    },
};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{Draft, EventError, RoomVersion};

/// The room does not allow an event: 403 `M_FORBIDDEN`. The text is fit for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejected {
    /// The rule it breaks.
    pub reason: String,
}

/// The places in the room's state that decide over this draft, and whose events it must name in
/// `auth_events` where they are taken.
///
/// In version 12 the create event also decides, but is never named: it is the room ID.
///
/// # Errors
///
/// [`EventError::BadJson`] if a field that decides does not have its shape.
pub fn auth_keys(
    draft: &Draft,
    version: &RoomVersion,
) -> Result<Vec<(StateEventType, String)>, EventError> {
    let event_type = TimelineEventType::from(draft.event_type.as_str());
    // Only a member event's content has a say in it; others need not be serialized for it.
    let content = match event_type {
        TimelineEventType::RoomMember => to_raw_value(&draft.content)?,
        _ => RawValue::NULL.to_owned(),
    };
    auth_types_for_event(
        &event_type,
        &draft.sender,
        draft.state_key.as_deref(),
        &content,
        &version.rules.authorization,
    )
    .map_err(|reason| EventError::BadJson(reason.into()))
}

/// Checks an event against the state before it.
///
/// Assumes that its `auth_events` were chosen by [`auth_keys`] from that state, so that the rules
/// about them hold.
///
/// # Errors
///
/// [`Rejected`] with the rule it breaks.
pub fn authorize<E: Event>(
    pdu: impl Event,
    version: &RoomVersion,
    fetch_state: impl Fn(&StateEventType, &str) -> Option<E>,
) -> Result<(), Rejected> {
    let rules = &version.rules.authorization;
    if *pdu.event_type() == TimelineEventType::RoomCreate {
        check_version(pdu.content())?;
        return check_state_independent_auth_rules(rules, pdu, |_| None::<E>)
            .map_err(|reason| Rejected { reason });
    }
    check_state_dependent_auth_rules(rules, pdu, fetch_state).map_err(|reason| Rejected { reason })
}

/// "If `content.room_version` is present and is not a recognised version, reject."
fn check_version(create: &RawValue) -> Result<(), Rejected> {
    #[derive(Deserialize)]
    struct Content {
        room_version: Option<RoomVersionId>,
    }
    let known = match serde_json::from_str::<Content>(create.get()) {
        Ok(content) => content
            .room_version
            .is_none_or(|id| RoomVersion::new(&id).is_some()),
        Err(_) => false,
    };
    if known {
        return Ok(());
    }
    Err(Rejected {
        reason: "the room is of a version that this server does not know".to_owned(),
    })
}
