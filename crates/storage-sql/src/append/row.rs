//! The events table's row of one append.
#![expect(clippy::ref_option_ref, reason = "in what the derive expands to")]

use std::borrow::Cow;

use diesel::Insertable;

use super::PreparedAppend;
use crate::{rows::ts, schema::events, text::pack};

/// A row to be written, borrowed from its append. No column has a default, so that a batch is one
/// statement, and a single row one that stays prepared.
#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub(super) struct NewEventRow<'a> {
    position: i64,
    event_id: &'a str,
    room_id: &'a str,
    event_type: Cow<'a, str>,
    state_key: Option<Cow<'a, str>>,
    sender: &'a str,
    origin_server_ts: i64,
    depth: i64,
    json: &'a [u8],
    redacted_by: Option<&'a str>,
    replaces_state: Option<&'a str>,
    txn_key: Option<&'a [u8]>,
    device_id: Option<Cow<'a, str>>,
    txn_id: Option<Cow<'a, str>>,
}

impl<'a> NewEventRow<'a> {
    pub(super) fn of(append: &'a PreparedAppend) -> Self {
        let event = &*append.event;
        let transaction = event.transaction.as_ref();
        Self {
            position: event.position.0,
            event_id: event.event_id.as_str(),
            room_id: event.room_id.as_str(),
            event_type: pack(&event.event_type),
            state_key: event.state_key.as_deref().map(pack),
            sender: event.sender.as_str(),
            origin_server_ts: ts(event.origin_server_ts.0.into()),
            depth: ts(append.depth),
            json: &event.json,
            redacted_by: None,
            replaces_state: event.replaces_state.as_ref().map(|id| id.as_str()),
            txn_key: append.txn_key.as_ref().map(|key| key.as_bytes().as_slice()),
            device_id: transaction.map(|(device, _)| pack(device.as_str())),
            txn_id: transaction.map(|(_, txn)| pack(txn.as_str())),
        }
    }
}
