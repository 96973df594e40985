//! Typing and receipts of a joined room.

use std::collections::BTreeMap;

use greenroom_model::StreamPosition;
use greenroom_storage::Receipt;
use ruma::{OwnedEventId, OwnedUserId, RoomId};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Told;
use crate::{SyncError, index::Room, service::Reading};

#[derive(Serialize)]
struct EphemeralEvent<C> {
    #[serde(rename = "type")]
    event_type: &'static str,
    content: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<String>,
}

#[derive(Serialize)]
struct TypingContent {
    user_ids: Vec<OwnedUserId>,
}

#[derive(Serialize)]
struct ReceiptData {
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
}

/// `event ID → receipt type → user → receipt`.
type ReceiptContent = BTreeMap<OwnedEventId, BTreeMap<String, BTreeMap<OwnedUserId, ReceiptData>>>;

fn event<C: Serialize>(
    event_type: &'static str,
    content: C,
    room_id: Option<&RoomId>,
) -> Result<Box<RawValue>, SyncError> {
    let room_id = room_id.map(ToString::to_string);
    to_raw_value(&EphemeralEvent {
        event_type,
        content,
        room_id,
    })
    .map_err(|error| greenroom_events::EventError::from(error).into())
}

/// An `m.typing` event.
pub(crate) fn typing_event(
    user_ids: Vec<OwnedUserId>,
    room_id: Option<&RoomId>,
) -> Result<Box<RawValue>, SyncError> {
    event("m.typing", TypingContent { user_ids }, room_id)
}

/// These receipts as `m.receipt` events, one per thread: a user may have read up to the same event
/// in a thread and in the room as a whole, and one event has no place for both.
pub(crate) fn receipt_events(
    receipts: Vec<Receipt>,
    room_id: Option<&RoomId>,
) -> Result<Vec<Box<RawValue>>, SyncError> {
    let mut threads: BTreeMap<Option<String>, ReceiptContent> = BTreeMap::new();
    for receipt in receipts {
        threads
            .entry(receipt.thread_id.clone())
            .or_default()
            .entry(receipt.event_id)
            .or_default()
            .entry(receipt.receipt_type)
            .or_default()
            .insert(
                receipt.user_id,
                ReceiptData {
                    ts: receipt.ts_ms,
                    thread_id: receipt.thread_id,
                },
            );
    }
    threads
        .into_values()
        .map(|content| event("m.receipt", content, room_id))
        .collect()
}

/// These receipts as one `m.receipt` event, where there is no place for more. If somebody has read
/// up to the same event in the room as a whole and in a thread, the former says both.
pub(crate) fn receipt_event(mut receipts: Vec<Receipt>) -> Result<Box<RawValue>, SyncError> {
    let mut content = ReceiptContent::new();
    // The last one of a place stays.
    receipts.sort_by_key(|receipt| receipt.thread_id.is_none());
    for receipt in receipts {
        content
            .entry(receipt.event_id)
            .or_default()
            .entry(receipt.receipt_type)
            .or_default()
            .insert(
                receipt.user_id,
                ReceiptData {
                    ts: receipt.ts_ms,
                    thread_id: receipt.thread_id,
                },
            );
    }
    event("m.receipt", content, None)
}

impl Reading<'_> {
    /// The receipts of a room after `after` and not after `upto`: not those of users who are
    /// ignored, nor those for events that the reader may not see. They have been joined at least
    /// since `joined_since`.
    pub(crate) async fn receipts(
        &self,
        room_id: &RoomId,
        joined_since: StreamPosition,
        after: StreamPosition,
        upto: StreamPosition,
    ) -> Result<Vec<Receipt>, SyncError> {
        let store = &self.service.parts.receipts;
        let user_id = &self.user.user_id;
        let mut receipts = store.receipts(room_id, user_id, after, upto).await?;
        receipts.retain(|receipt| !self.ignored.contains(&receipt.user_id));
        let is_old = |receipt: &Receipt| receipt.event_position < joined_since;
        if receipts.iter().any(is_old) {
            let history = self.known_history(room_id).await?;
            receipts.retain(|receipt| history.allows_at(receipt.event_position));
        }
        Ok(receipts)
    }

    /// Typing and receipts that changed; for a room that is new to the client, as they are.
    pub(super) async fn ephemeral(
        &self,
        room: &Room,
        joined_since: StreamPosition,
        is_new: bool,
        told: &mut Told,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        let filter = &self.filter.ephemeral;
        let mut events = Vec::new();
        if !filter.allows_room(&room.room_id) || !filter.allows_content("{}") {
            return Ok(events);
        }
        if let Some(typing) = self.wanted_typing(&room.room_id, is_new) {
            told.typers |= !typing.is_empty();
            events.push(typing_event(typing, None)?);
        }
        let after = match is_new {
            true => StreamPosition::START,
            false => self.after(),
        };
        // Of a room that nobody here was in before, memory knows no receipts.
        let (edition, newest) = (room.edition(), room.newest_receipt());
        let facts = &self.user.facts;
        if is_new && facts.has_no_receipts(&room.room_id, edition, newest) {
            return Ok(events);
        }
        if (is_new || newest > after) && filter.allows_type("m.receipt", None) {
            let upto = self.upto.position;
            let mut receipts = self
                .receipts(&room.room_id, joined_since, after, upto)
                .await?;
            if receipts.is_empty() && is_new && self.ignored.is_empty() {
                facts.keep_no_receipts(&room.room_id, edition, newest);
            }
            receipts.retain(|receipt| filter.allows_type("m.receipt", Some(&receipt.user_id)));
            events.extend(receipt_events(receipts, None)?);
        }
        Ok(events)
    }

    /// Who types in a room, of those whom the filter lets through, if the client has to be told.
    fn wanted_typing(&self, room_id: &RoomId, is_new: bool) -> Option<Vec<OwnedUserId>> {
        let filter = &self.filter.ephemeral;
        if !filter.allows_type("m.typing", None) {
            return None;
        }
        let changed = self.since.and_then(|_| self.new_typing(room_id));
        let is_change = changed.is_some();
        let now = || self.typing(room_id);
        let typing = changed.or_else(|| is_new.then(now).flatten())?;
        let wanted = |user_id: &OwnedUserId| filter.allows_type("m.typing", Some(user_id));
        let typers: Vec<_> = typing.user_ids.into_iter().filter(wanted).collect();
        // Somebody who did not know that anybody typed need not hear that nobody does.
        (is_change || !typers.is_empty()).then_some(typers)
    }
}
