//! `PUT /_matrix/client/*/rooms/{roomId}/redact/{eventId}/{txnId}`, and `POST` of the first API
//! without a transaction ID

use actix_web::web;
use greenroom_rooms::{NewEvent, Rooms};
use ruma::{OwnedEventId, OwnedRoomId, OwnedTransactionId};
use serde_json::value::RawValue;

use super::{Author, SentEvent};
use crate::{ApiError, JsonAnswer, JsonBody, Limited, Path, Requester};

pub(super) async fn put(
    author: Author,
    Path((room_id, target, txn_id)): Path<(OwnedRoomId, OwnedEventId, OwnedTransactionId)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let endpoint = format!("PUT rooms/{room_id}/redact/{target}");
    let transaction = super::transaction(&requester, &endpoint, txn_id);
    let event = redaction(requester, target, &content);
    let event_id = rooms.send(&room_id, event, Some(transaction)).await?;
    Ok(JsonAnswer(SentEvent { event_id }))
}

pub(super) async fn post(
    author: Author,
    Path((room_id, target)): Path<(OwnedRoomId, OwnedEventId)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
    rooms: web::Data<Rooms>,
) -> Result<JsonAnswer<SentEvent>, ApiError> {
    let requester = author.counted(Limited::Message)?;
    let event = redaction(requester, target, &content);
    let event_id = rooms.send(&room_id, event, None).await?;
    Ok(JsonAnswer(SentEvent { event_id }))
}

fn redaction(by: Requester, target: OwnedEventId, content: &RawValue) -> NewEvent<'_> {
    NewEvent {
        sender: by.user_id,
        event_type: "m.room.redaction".to_owned(),
        state_key: None,
        content: content.get().as_bytes(),
        redacts: Some(target),
        origin_server_ts: None,
        by_admin: by.admin,
    }
}
